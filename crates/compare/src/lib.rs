//! Comparisons of topologies, everything but the deeds: what is measured, in which order runs are made, what the numbers
//! say and what they do not, and the report that shows it. Pure: the caller runs scenarios, reads clocks and writes files.
//!
//! The way of the data: [`Plan`] says which [`Slot`] is next, the caller makes a [`Run`] of it and puts it into the
//! [`Comparison`], [`summarise`] makes the one [`Summary`] that [`metrics`], [`html`] and the JSON document ([`Report`]) show.

pub mod baseline;
pub mod catalogue;
mod circumstances;
pub mod facts;
pub mod fairness;
mod html;
pub mod layers;
mod life;
mod question;
mod results;
mod schedule;
mod show;
pub mod statistics;
mod summary;
pub mod surface;
mod table;

pub use circumstances::{Mismatch, mismatches};
pub use html::{PageError, html};
pub use life::Life;
pub use question::Question;
pub use results::{
    Caches, Compared, Comparison, Detail, Host, MOST_RUNS, Measured, ReadError, Reading, Report, Run, RunOutcome,
    SCHEMA,
};
pub use rig_model::{Scenario, UnknownScenario};
pub use schedule::{Plan, Slot, remaining_seconds};
pub use show::shown;
pub use summary::{Answer, Cell, Dot, Failure, Gap, MetricSummary, PairSummary, Summary, summarise};
pub use table::{Table, differences, failures, gaps, metrics};
