//! Waits between two attempts to connect to a store's server.

use std::time::Duration;

use crate::{backoff::Backoff, secret::Random};

/// The wait after the first failure.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The default upper bound of a wait. With the time that an attempt may take it is below the 2 s in which a store that
/// is back is used again.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The waits between attempts: doubled by every failure in a row, with jitter.
pub(super) struct Reconnect {
    backoff: Backoff,
    failures: u32,
    random: Random,
}

impl Reconnect {
    /// Waits from 50 ms to [`LONGEST_WAIT`].
    pub(super) fn new(random: Random) -> Self {
        Self::up_to(LONGEST_WAIT, random)
    }

    /// Waits from 50 ms to `longest`.
    pub(super) fn up_to(longest: Duration, random: Random) -> Self {
        Self { backoff: Backoff::new(FIRST_WAIT, longest), failures: 0, random }
    }

    /// The wait after one more failure.
    pub(super) fn wait(&mut self) -> Duration {
        let wait = self.backoff.wait(self.failures, &self.random);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// The last attempt succeeded: the next wait is the shortest.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again_after_a_success() {
        let mut reconnect = Reconnect::new(Random::repeated(255));
        for wait in [50, 100, 200, 400, 500, 500] {
            assert_eq!(reconnect.wait(), Duration::from_millis(wait));
        }
        reconnect.succeeded();
        assert_eq!(reconnect.wait(), FIRST_WAIT);
    }
}
