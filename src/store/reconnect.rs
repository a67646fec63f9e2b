//! How long a store waits between two attempts to connect: longer after each failure, and of random length, so that the
//! instances of a fleet do not all ask at the same moment.

use std::time::Duration;

use crate::secret::Random;

/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The pauses between attempts: each up to twice as long as the one before it.
pub(super) struct Backoff {
    random: Random,
    longest: Duration,
    /// The upper bound of the next pause.
    next: Duration,
}

impl Backoff {
    /// Pauses of up to [`LONGEST_PAUSE`].
    pub(super) fn new(random: Random) -> Self {
        Self::up_to(LONGEST_PAUSE, random)
    }

    /// Pauses of up to `longest`.
    pub(super) fn up_to(longest: Duration, random: Random) -> Self {
        Self { random, longest, next: FIRST_PAUSE }
    }

    /// The next pause: between a half and the whole of its upper bound.
    pub(super) fn pause(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(self.longest);
        let [share] = self.random.bytes();
        bound / 2 + bound / 2 * u32::from(share) / u32::from(u8::MAX)
    }

    /// Begins again with the shortest pause: the last attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.next = FIRST_PAUSE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_a_reset_begins_again() {
        let mut backoff = Backoff::new(Random::system());
        for bound in [50, 100, 200, 400, 800, 1000, 1000] {
            let (pause, bound) = (backoff.pause(), Duration::from_millis(bound));
            assert!(bound / 2 <= pause && pause <= bound, "{pause:?} of {bound:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= FIRST_PAUSE);
    }

    #[test]
    fn two_instances_do_not_pause_in_step() {
        let pauses = || {
            let mut backoff = Backoff::new(Random::system());
            [(); 16].map(|()| backoff.pause())
        };
        assert_ne!(pauses(), pauses());
    }
}
