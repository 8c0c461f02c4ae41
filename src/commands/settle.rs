//! After a killed command: what it had asked the engine for may come about after the next one has looked.

use crate::failure::Failure;
use rig_engine::Report;
use std::time::Duration;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(700);
/// How many looks in a row must find nothing to do.
const QUIET: u32 = 2;
/// How many looks there are at most.
const LOOKS: u32 = 20;

/// Looks again until nothing has changed for a while. `again` plans and executes; nothing to do is `None`.
pub(super) async fn settle(
    report: &mut Report,
    mut again: impl AsyncFnMut() -> Result<Option<Report>, Failure>,
) -> Result<(), Failure> {
    let mut quiet = 0;
    for _ in 0..LOOKS {
        if !report.is_success() || quiet == QUIET {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        match again().await? {
            None => quiet += 1,
            Some(next) => {
                quiet = 0;
                *report = next;
            }
        }
    }
    Ok(())
}
