//! The measuring program.

mod cleanup;
mod compose;
mod contender;
mod engine;
mod goals;
mod machine;
mod naughty;
mod options;
mod own;
mod program;
mod raw;
mod report;
mod results;
mod rig;
mod rounds;
mod run;
mod script;
mod spark;
mod ssh;
mod vagrant;
mod vms;

pub(crate) use run::run;
