//! Consecutive failures of one peer (a target, a sender, a refresh token's call), and until when the peer is left
//! alone.

use std::{
    sync::atomic::{AtomicI64, AtomicU32, Ordering},
    time::Duration,
};

use crate::clock::Timestamp;

/// Counts failures in a row and holds the rest that they cause. Lock-free: it may be asked for every proxied request.
#[derive(Debug, Default)]
pub struct FailureCount {
    in_a_row: AtomicU32,
    /// Milliseconds since the Unix epoch; 0: there is no rest.
    rests_until: AtomicI64,
}

impl FailureCount {
    /// A peer that rests until `until` without a failure that counts.
    pub fn resting_until(until: Timestamp) -> Self {
        Self { in_a_row: AtomicU32::new(0), rests_until: AtomicI64::new(until.as_millis()) }
    }

    /// Counts a failure at `now`. `rest` maps the number of failures in a row, this one included, to how long the peer
    /// is left alone. Returns that number.
    pub fn failed(&self, now: Timestamp, rest: impl FnOnce(u32) -> Duration) -> u32 {
        let before = self.in_a_row.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(1)));
        let in_a_row = before.unwrap_or(0).saturating_add(1);
        let rest = rest(in_a_row);
        if !rest.is_zero() {
            self.rests_until.store(now.plus(rest).as_millis(), Ordering::Relaxed);
        }
        in_a_row
    }

    /// The peer did its work: the row of failures and the rest end.
    pub fn succeeded(&self) {
        // Read first: a store on every request would move the cache line between all cores.
        if self.in_a_row.load(Ordering::Relaxed) != 0 || self.rests_until.load(Ordering::Relaxed) != 0 {
            self.in_a_row.store(0, Ordering::Relaxed);
            self.rests_until.store(0, Ordering::Relaxed);
        }
    }

    /// How much of the rest is left at `now`; zero if the peer may be used.
    pub fn rest_left(&self, now: Timestamp) -> Duration {
        self.rests_until().since(now)
    }

    /// True if the peer is left alone at `now`.
    pub fn is_resting(&self, now: Timestamp) -> bool {
        self.rests_until() > now
    }

    /// When the rest ends, or ended; the Unix epoch if there is none.
    pub fn rests_until(&self) -> Timestamp {
        Timestamp::from_millis(self.rests_until.load(Ordering::Relaxed))
    }

    /// True if the caller may use the peer. After a rest only one caller may, as a probe: for the others the peer rests
    /// `rest` longer, or until the probe has succeeded.
    pub fn admit(&self, now: Timestamp, rest: Duration) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        if until == 0 {
            return true;
        }
        let again = now.plus(rest).as_millis();
        until <= now.as_millis()
            && self.rests_until.compare_exchange(until, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Duration = Duration::from_secs(10);
    const NOW: Timestamp = Timestamp::from_secs(1000);

    fn from_three(in_a_row: u32) -> Duration {
        if in_a_row < 3 { Duration::ZERO } else { REST }
    }

    #[test]
    fn the_third_failure_in_a_row_causes_a_rest_and_a_success_ends_it() {
        let count = FailureCount::default();
        assert_eq!([count.failed(NOW, from_three), count.failed(NOW, from_three)], [1, 2]);
        count.succeeded();
        assert_eq!([count.failed(NOW, from_three), count.failed(NOW, from_three)], [1, 2]);
        assert!(!count.is_resting(NOW));
        assert_eq!(count.failed(NOW, from_three), 3);
        assert_eq!(count.rest_left(NOW), REST);
        assert!(!count.is_resting(NOW.plus(REST)));
        assert_eq!(count.failed(NOW.plus(REST), from_three), 4);
        assert!(count.is_resting(NOW.plus(REST)), "one more failure after a rest is enough");
        count.succeeded();
        assert!(!count.is_resting(NOW.plus(REST)));
    }

    #[test]
    fn after_a_rest_one_caller_is_admitted_until_a_success_admits_all() {
        let count = FailureCount::default();
        assert!(count.admit(NOW, REST) && count.admit(NOW, REST));
        count.failed(NOW, |_| REST);
        assert!(!count.admit(NOW, REST));
        let later = NOW.plus(REST);
        assert!(count.admit(later, REST) && !count.admit(later, REST));
        assert!(count.admit(later.plus(REST), REST), "a probe that was never made is offered again");
        count.succeeded();
        assert!(count.admit(later, REST) && count.admit(later, REST));
    }
}
