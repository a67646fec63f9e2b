//! The minimum rate at which a visitor has to send its body.

use std::time::Duration;

/// The time that the gateway still waits for a visitor, over all pauses: a fixed time at first, and more with every
/// byte that arrives.
pub(super) struct Pace {
    /// Bytes per second; 0 for no minimum.
    rate: u64,
    left: Duration,
}

/// Time to begin with, because a slow start is no attack: a phone that changes cells sends nothing for seconds.
const INITIAL_TIME: Duration = Duration::from_secs(10);

impl Pace {
    /// `rate` is in bytes per second; 0 for no minimum.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate, left: INITIAL_TIME }
    }

    pub(super) fn left(&self) -> Duration {
        if self.rate == 0 { Duration::MAX } else { self.left }
    }

    /// Subtracts a time in which the visitor sent nothing.
    pub(super) fn waited(&mut self, span: Duration) {
        self.left = self.left.saturating_sub(span);
    }

    /// Adds time for received `bytes`. The time left never exceeds `max` (or [`INITIAL_TIME`]): otherwise one burst
    /// would allow hours of silence.
    pub(super) fn received(&mut self, bytes: usize, max: Duration) {
        if self.rate == 0 {
            return;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.rate;
        self.left = self.left.saturating_add(Duration::from_micros(micros)).min(max.max(INITIAL_TIME));
    }
}
