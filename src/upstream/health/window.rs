//! Requests and failures of a target within the last `window`, counted without a lock.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Parts of a window. The oldest part is dropped as a whole, so counts cover the window less up to an eighth of it.
const SLOTS: usize = 8;

/// Bits of a count. A count that reaches its largest value, 262,143 in an eighth of the window, stays there.
const COUNT_BITS: u32 = 18;
const MOST: u64 = (1 << COUNT_BITS) - 1;

/// What happened within the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Requests whose end is known, failed ones included.
    pub(super) requests: u64,
    pub(super) failures: u64,
}

/// A window that moves with time. Times are milliseconds since any fixed moment.
#[derive(Debug)]
pub(super) struct Window {
    slot_millis: u64,
    /// Each has the number of its slot of time in the upper 28 bits, then the requests, then the failures.
    slots: [AtomicU64; SLOTS],
}

impl Window {
    /// An empty window of `span`, counted in steps of at least a millisecond.
    pub(super) fn new(span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { slot_millis: millis.div_ceil(SLOTS as u64).max(1), slots: Default::default() }
    }

    /// Counts a request that ended at `millis`.
    pub(super) fn add(&self, millis: u64, has_failed: bool) {
        let number = self.number(millis);
        let one = pack(number, 1, u64::from(has_failed));
        // The closure always returns a value.
        let _ = self.slot(number).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |slot| {
            if slot >> (2 * COUNT_BITS) != number {
                return Some(one);
            }
            let (requests, failures) = (slot >> COUNT_BITS & MOST, slot & MOST);
            Some(pack(number, (requests + 1).min(MOST), (failures + u64::from(has_failed)).min(MOST)))
        });
    }

    /// The counts of the window that ends at `millis`.
    pub(super) fn counts(&self, millis: u64) -> Counts {
        let now = self.number(millis);
        let mut counts = Counts::default();
        for slot in self.slots.iter().map(|slot| slot.load(Ordering::Relaxed)) {
            if now.wrapping_sub(slot >> (2 * COUNT_BITS)) < SLOTS as u64 {
                counts.requests += slot >> COUNT_BITS & MOST;
                counts.failures += slot & MOST;
            }
        }
        counts
    }

    /// The number of a slot of time, from 1, so that an untouched slot has none; 28 bits.
    fn number(&self, millis: u64) -> u64 {
        (millis / self.slot_millis + 1) & (u64::MAX >> (2 * COUNT_BITS))
    }

    fn slot(&self, number: u64) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "smaller than SLOTS")]
        &self.slots[(number % SLOTS as u64) as usize]
    }
}

fn pack(number: u64, requests: u64, failures: u64) -> u64 {
    number << (2 * COUNT_BITS) | requests << COUNT_BITS | failures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_counts_what_ended_within_it_and_forgets_what_is_older() {
        let window = Window::new(Duration::from_secs(8));
        assert_eq!(window.counts(0), Counts::default());
        for millis in [0, 500, 999, 1000, 7999] {
            window.add(millis, millis == 1000);
        }
        assert_eq!(window.counts(7999), Counts { requests: 5, failures: 1 });
        assert_eq!(window.counts(8000), Counts { requests: 2, failures: 1 });
        assert_eq!(window.counts(9000), Counts { requests: 1, failures: 0 });
        window.add(16_000, true);
        assert_eq!(window.counts(16_000), Counts { requests: 1, failures: 1 });
        assert_eq!(window.counts(1_000_000), Counts::default());
    }

    #[test]
    fn counts_of_two_threads_are_added_and_a_full_count_stays_full() {
        let window = Window::new(Duration::from_secs(3600));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..1000).for_each(|n| window.add(5, n % 2 == 0)));
            }
        });
        assert_eq!(window.counts(5), Counts { requests: 2000, failures: 1000 });
        (0..=MOST).for_each(|_| window.add(5, false));
        assert_eq!(window.counts(5), Counts { requests: MOST, failures: 1000 });
    }
}
