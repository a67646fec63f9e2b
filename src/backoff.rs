//! Waits after failures: waits that double, and suspension of peers. Each wait is shortened at random, so that the
//! instances of a fleet do not retry at the same moment.

use std::{
    sync::atomic::{AtomicI64, AtomicU32, Ordering},
    time::Duration,
};

use rand::RngExt as _;

use crate::{clock::Timestamp, secret::Random};

/// `span` with jitter: uniformly distributed between three quarters of it and all of it, both included, in steps of a
/// nanosecond. It is never longer than `span`, so documented waits are upper bounds.
pub fn jittered(span: Duration, random: &Random) -> Duration {
    let most = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(random.clone().random_range(most - most / 4..=most))
}

/// Waits that double with every failure in a row, each with [jitter](jittered).
///
/// After *n* failures in a row before this one, the wait lies between ¾ *w* and *w*, where *w* = min(`first` · 2ⁿ,
/// `longest`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Waits from `first`, after the first failure, to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The wait after a failure with `before` failures in a row before it.
    pub fn wait(self, before: u32, random: &Random) -> Duration {
        let factor = 1_u32.checked_shl(before).unwrap_or(u32::MAX);
        jittered(self.first.saturating_mul(factor).min(self.longest), random)
    }
}

/// Suspends a peer that fails several times in a row. It is lock-free.
#[derive(Debug)]
pub struct Suspension {
    /// Failures in a row that suspend the peer.
    limit: u32,
    span: Duration,
    failures: AtomicU32,
    /// When the suspension ends, in milliseconds since the Unix epoch; `i64::MIN` if there was none.
    until: AtomicI64,
}

impl Suspension {
    /// The peer is suspended by failure number `limit` in a row, and by every one after that until it succeeds; each
    /// time for `span` with [jitter](jittered).
    pub const fn new(limit: u32, span: Duration) -> Self {
        Self { limit, span, failures: AtomicU32::new(0), until: AtomicI64::new(i64::MIN) }
    }

    /// Records a failure. True for the failure that reaches `limit`, false for the ones before and after it.
    pub fn failed(&self, now: Timestamp, random: &Random) -> bool {
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(1)));
        let failures = before.unwrap_or(0).saturating_add(1);
        if failures >= self.limit {
            self.until.fetch_max(self.end(now, random), Ordering::Relaxed);
        }
        failures == self.limit
    }

    /// Records a success, and ends a suspension.
    pub fn restored(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.until.store(i64::MIN, Ordering::Relaxed);
    }

    /// Whether the caller may use the peer. When a suspension is over, one caller may, as a probe. For the others the
    /// suspension starts again, until the probe [restores](Self::restored) the peer.
    pub fn admits(&self, now: Timestamp, random: &Random) -> bool {
        if self.failures.load(Ordering::Relaxed) < self.limit {
            return true;
        }
        let until = self.until.load(Ordering::Relaxed);
        let again = self.end(now, random);
        until <= now.as_millis()
            && self.until.compare_exchange(until, again, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn end(&self, now: Timestamp, random: &Random) -> i64 {
        now.plus(jittered(self.span, random)).as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));

    #[test]
    fn waits_double_up_to_the_longest_and_are_shortened_by_a_quarter_at_most() {
        for (before, full) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (31, 30), (32, 30), (u32::MAX, 30)] {
            let full = Duration::from_secs(full);
            assert_eq!(BACKOFF.wait(before, &Random::repeated(255)), full);
            assert_eq!(BACKOFF.wait(before, &Random::repeated(0)), full * 3 / 4);
        }
    }

    #[test]
    fn instances_that_fail_at_the_same_moment_do_not_try_again_at_the_same_moment() {
        let random = Random::system();
        let waits: Vec<_> = (0..1000).map(|_| BACKOFF.wait(3, &random)).collect();
        let eighth = Duration::from_millis(250);
        for part in 0..8 {
            let from = Duration::from_secs(6) + eighth * part;
            let inside = waits.iter().filter(|wait| (from..=from + eighth).contains(*wait)).count();
            // 125 are expected, with a standard deviation of 10.5.
            assert!((60..=190).contains(&inside), "{inside} of 1000 waits in the 250 ms from {from:?}");
        }
    }

    #[test]
    fn spans_of_any_length_can_be_jittered() {
        let random = Random::system();
        assert_eq!(jittered(Duration::ZERO, &random), Duration::ZERO);
        assert!(jittered(Duration::from_nanos(1), &random) <= Duration::from_nanos(1));
        assert!(jittered(Duration::MAX, &random) > Duration::from_secs(100 * 365 * 86_400));
    }

    const SPAN: Duration = Duration::from_secs(10);

    #[test]
    fn the_third_failure_in_a_row_suspends_and_so_does_every_one_after_it() {
        let (peer, random, now) = (Suspension::new(3, SPAN), Random::repeated(255), Timestamp::from_secs(1000));
        assert!(!peer.failed(now, &random) && !peer.failed(now, &random));
        peer.restored();
        assert!(!peer.failed(now, &random) && !peer.failed(now, &random));
        assert!(peer.admits(now, &random));
        assert!(peer.failed(now, &random));
        assert!(!peer.admits(now, &random));
        let later = now.plus(SPAN);
        assert!(!peer.failed(later, &random), "it was suspended before");
        assert!(!peer.admits(later, &random));
        peer.restored();
        assert!(peer.admits(later, &random));
    }

    #[test]
    fn after_a_suspension_one_caller_may_probe_the_peer() {
        let (peer, random, now) = (Suspension::new(1, SPAN), Random::repeated(0), Timestamp::from_secs(1000));
        assert!(peer.admits(now, &random) && peer.admits(now, &random));
        peer.failed(now, &random);
        assert!(!peer.admits(now, &random));
        let later = now.plus(SPAN * 3 / 4);
        assert!(peer.admits(later, &random), "the probe");
        assert!(!peer.admits(later, &random), "another caller");
        peer.restored();
        assert!(peer.admits(later, &random) && peer.admits(later, &random));
    }
}
