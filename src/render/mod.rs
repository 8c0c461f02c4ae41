//! Everything that a person or a program sees: results on standard output, progress and errors on standard error.

mod bars;
mod errors;
mod json;
mod plain;
mod plan;
mod span;
mod style;
mod table;
mod ui;

pub(crate) use errors::{failure, operation_failures};
pub(crate) use plan::print as print_plan;
pub(crate) use span::span;
pub(crate) use style::{Paint, machine_color};
pub(crate) use table::table;
pub(crate) use ui::{Mode, Ui};
