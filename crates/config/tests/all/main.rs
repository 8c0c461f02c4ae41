//! Tests of the whole way from text to workspace.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests end a test as tests do")]

mod docs;
mod golden;
mod includes;
mod machines;
mod mistakes;
mod overrides;
mod provisioners;
mod report;
mod robust;
mod support;
