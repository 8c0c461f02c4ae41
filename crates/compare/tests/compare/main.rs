//! The whole of a comparison, from planned runs to the page.

mod baseline;
mod example;
mod page;
mod schedule;
mod statistics;
mod summary;
