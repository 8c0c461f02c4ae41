//! Whether there is time for another round.

use std::time::Duration;
use tokio::time::Instant;

/// The rounds of a comparison, and how long they may take together.
pub(super) struct Rounds {
    within: Option<Duration>,
    began: Instant,
    /// The round that is being made, and when it began.
    current: Option<(u32, Instant)>,
}

impl Rounds {
    /// Begins now.
    pub(super) fn begin(within: Option<Duration>) -> Self {
        Self { within, began: Instant::now(), current: None }
    }

    /// Whether something of a round may begin. A round that has begun is made to its end, and the first one is made in any
    /// case; another one is begun when there is time for one that takes as long as the one before.
    pub(super) fn may_begin(&mut self, number: u32) -> bool {
        let now = Instant::now();
        let last = match self.current {
            Some((current, _)) if current == number => return true,
            Some((_, began)) => now - began,
            None => Duration::ZERO,
        };
        let first = self.current.replace((number, now)).is_none();
        first || self.within.is_none_or(|within| now - self.began + last <= within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{advance, pause};

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_round_that_would_take_too_long_is_not_begun() {
        pause();
        let mut rounds = Rounds::begin(Some(8 * MINUTE));
        assert!(rounds.may_begin(1));
        advance(3 * MINUTE).await;
        assert!(rounds.may_begin(2), "6 of 8 minutes");
        advance(2 * MINUTE).await;
        assert!(rounds.may_begin(2), "what has begun goes on");
        advance(MINUTE).await;
        assert!(!rounds.may_begin(3), "9 of 8 minutes");
    }

    #[tokio::test]
    async fn the_first_round_is_made_in_any_case() {
        pause();
        let mut rounds = Rounds::begin(Some(MINUTE));
        advance(2 * MINUTE).await;
        // Of a comparison that goes on it is another number.
        assert!(rounds.may_begin(3));
        assert!(!rounds.may_begin(4));
        let mut unlimited = Rounds::begin(None);
        assert!(unlimited.may_begin(1));
        advance(600 * MINUTE).await;
        assert!(unlimited.may_begin(2));
    }
}
