//! Carrying a plan out.

mod action;
mod await_machine;
mod deaths;
mod runner;

pub use runner::{Executor, OperationFailure, Report};

pub(crate) use action::log_tail;
