//! Reads `workspace.kdl`: KDL 2 becomes a validated [`rig_model::Workspace`], or a report of all its mistakes at once,
//! each with its place, what is wrong there, and what was probably meant.
//!
//! The way through the modules: `syntax` makes a tree of nodes with places, `decode` reads nodes into the model (through
//! `reader`, which notices what nobody asked for, and `eval`, which interpolates and checks types), `validate` checks what
//! concerns several machines. Nothing here prints, reads the environment or talks to a provider.

mod context;
mod decode;
mod eval;
mod excerpt;
mod load;
mod mistake;
mod reader;
mod scope;
mod sources;
mod suggest;
mod syntax;
mod template;
mod validate;

pub use load::{Loaded, Overrides, VariableInfo, VariableType, load, parse};
pub use mistake::{Mistake, MistakeInfo, Mistakes};
pub use sources::{Disk, NoSources, SourceKind, Sources};
