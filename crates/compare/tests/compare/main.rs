//! The whole of a comparison, from planned runs to the page.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests end a test as tests do")]

mod baseline;
mod example;
mod page;
mod schedule;
mod statistics;
mod summary;
