//! Which way is tried next: in the configured order, except that one that keeps failing stands last for a while.

use std::{sync::Mutex, time::Duration};

use crate::clock::Timestamp;

/// Failures in a row after which a way stands last.
const FAILURES: u32 = 3;
/// For how long; then one message tries it in its place.
const LAST: Duration = Duration::from_secs(60);

/// Remembers how the ways have done; as many entries as there are ways.
pub(super) struct Breaker(Mutex<Vec<State>>);

#[derive(Clone, Copy, Default)]
struct State {
    /// In a row.
    failures: u32,
    /// Where the failures are enough, it stands last until then.
    until: Timestamp,
}

impl Breaker {
    /// For so many ways.
    pub(super) fn new(ways: usize) -> Self {
        Self(Mutex::new(vec![State::default(); ways]))
    }

    /// Takes out of `left`, which is in the configured order, the way to try next. A way whose time is up is given to one caller, who probes
    /// it, and stands last for the others until it has worked.
    pub(super) fn next(&self, left: &mut Vec<usize>, now: Timestamp) -> Option<usize> {
        let mut states = self.states();
        let at = left.iter().position(|way| !states[*way].stands_last(now)).unwrap_or(0);
        let way = (at < left.len()).then(|| left.remove(at))?;
        let state = &mut states[way];
        if state.failures >= FAILURES && !state.stands_last(now) {
            state.until = now.plus(LAST);
        }
        Some(way)
    }

    /// `way` took a message.
    pub(super) fn worked(&self, way: usize) {
        self.states()[way] = State::default();
    }

    /// `way` did not take a message. True where it stands last from now on.
    pub(super) fn failed(&self, way: usize, now: Timestamp) -> bool {
        let mut states = self.states();
        let state = &mut states[way];
        state.failures = state.failures.saturating_add(1);
        state.until = now.plus(LAST);
        state.failures == FAILURES
    }

    fn states(&self) -> std::sync::MutexGuard<'_, Vec<State>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn stands_last(self, now: Timestamp) -> bool {
        self.failures >= FAILURES && now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(breaker: &Breaker, now: Timestamp) -> Vec<usize> {
        let mut left = vec![0, 1, 2];
        std::iter::from_fn(|| breaker.next(&mut left, now)).collect()
    }

    #[test]
    fn what_fails_three_times_in_a_row_stands_last_for_a_minute_and_is_then_probed_once() {
        let breaker = Breaker::new(3);
        let start = Timestamp::from_secs(1000);
        assert!(!breaker.failed(0, start) && !breaker.failed(0, start));
        breaker.worked(0);
        assert!(!breaker.failed(0, start) && !breaker.failed(0, start));
        assert_eq!(order(&breaker, start), [0, 1, 2]);
        assert!(breaker.failed(0, start));
        assert_eq!(order(&breaker, start.plus(Duration::from_millis(59_999))), [1, 2, 0]);

        let later = start.plus(LAST);
        assert_eq!(order(&breaker, later), [0, 1, 2], "the probe");
        assert_eq!(order(&breaker, later), [1, 2, 0], "the others");
        assert!(!breaker.failed(0, later));
        assert_eq!(order(&breaker, later.plus(LAST / 2)), [1, 2, 0]);
        breaker.worked(0);
        assert_eq!(order(&breaker, later), [0, 1, 2]);
    }

    #[test]
    fn when_all_fail_the_configured_order_stays_and_a_probe_that_is_not_made_is_not_spent() {
        let breaker = Breaker::new(3);
        let start = Timestamp::from_secs(1000);
        for way in [2, 1, 0, 0, 1, 2, 2, 1, 0] {
            breaker.failed(way, start);
        }
        assert_eq!(order(&breaker, start), [0, 1, 2]);
        breaker.worked(0);
        let later = start.plus(LAST);
        assert_eq!(breaker.next(&mut vec![0, 1], later), Some(0));
        assert_eq!(order(&breaker, later), [0, 1, 2]);
        assert_eq!(breaker.next(&mut vec![], later), None);
    }
}
