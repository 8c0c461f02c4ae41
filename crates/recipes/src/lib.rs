//! Steps with their contents: what the file names becomes what a machine is given. Pure but for [`Contents::load`], which
//! reads the files that steps name.

mod contents;
mod error;
mod facts;
mod resolve;
mod template;

pub use contents::Contents;
pub use error::RecipeError;
pub use facts::{Facts, Peer};
pub use resolve::resolve;
