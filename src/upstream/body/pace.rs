//! The minimum rate at which a visitor has to send its body.

use std::time::Duration;

/// Time in all that a visitor may be waited for: a fixed time at first, and more with every byte that it sends.
pub(super) struct Pace {
    /// Bytes per second; 0 for no minimum.
    rate: u64,
    left: Duration,
}

/// Time to begin with, because a slow start is no attack: a phone that changes cells sends nothing for seconds.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

impl Pace {
    /// `rate` is in bytes per second; 0 for no minimum.
    pub(super) fn new(rate: u64) -> Self {
        Self { rate, left: FIRST_PATIENCE }
    }

    pub(super) fn left(&self) -> Duration {
        if self.rate == 0 { Duration::MAX } else { self.left }
    }

    /// Notes that the visitor was waited for.
    pub(super) fn waited(&mut self, span: Duration) {
        self.left = self.left.saturating_sub(span);
    }

    /// Notes that the visitor sent `bytes`. The time left never exceeds `max` (or the first patience): otherwise one
    /// burst would allow hours of silence.
    pub(super) fn received(&mut self, bytes: usize, max: Duration) {
        if self.rate == 0 {
            return;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.rate;
        self.left = self.left.saturating_add(Duration::from_micros(micros)).min(max.max(FIRST_PATIENCE));
    }
}
