//! The order in which providers are tried: as configured, but a provider that keeps failing is tried last for a minute.

use std::time::Duration;

use crate::{backoff::Suspension, clock::Timestamp, secret::Random};

/// Failures in a row after which a provider is tried last.
const FAILURES: u32 = 3;
/// How long it is tried last, with jitter. Afterwards one message tries it at its configured position.
const TRIED_LAST: Duration = Duration::from_secs(60);

/// The recent failures of each provider.
pub(super) struct Failover {
    providers: Vec<Suspension>,
    random: Random,
}

impl Failover {
    pub(super) fn new(providers: usize, random: Random) -> Self {
        Self { providers: (0..providers).map(|_| Suspension::new(FAILURES, TRIED_LAST)).collect(), random }
    }

    /// Removes the provider to try next from `left`, which is in the configured order: the first that is not
    /// [suspended](Suspension::admits), or the first if all are.
    pub(super) fn next(&self, left: &mut Vec<usize>, now: Timestamp) -> Option<usize> {
        let at = left.iter().position(|provider| self.providers[*provider].admits(now, &self.random)).unwrap_or(0);
        (at < left.len()).then(|| left.remove(at))
    }

    /// The provider accepted a message.
    pub(super) fn succeeded(&self, provider: usize) {
        self.providers[provider].restored();
    }

    /// The provider did not accept a message. True if it is tried last from now on.
    pub(super) fn failed(&self, provider: usize, now: Timestamp) -> bool {
        self.providers[provider].failed(now, &self.random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failover() -> Failover {
        Failover::new(3, Random::repeated(255))
    }

    fn order(failover: &Failover, now: Timestamp) -> Vec<usize> {
        let mut left = vec![0, 1, 2];
        std::iter::from_fn(|| failover.next(&mut left, now)).collect()
    }

    #[test]
    fn a_provider_that_fails_three_times_in_a_row_is_tried_last_for_a_minute_and_then_probed_once() {
        let failover = failover();
        let start = Timestamp::from_secs(1000);
        assert!(!failover.failed(0, start) && !failover.failed(0, start));
        failover.succeeded(0);
        assert!(!failover.failed(0, start) && !failover.failed(0, start));
        assert_eq!(order(&failover, start), [0, 1, 2]);
        assert!(failover.failed(0, start));
        assert_eq!(order(&failover, start.plus(Duration::from_millis(59_999))), [1, 2, 0]);

        let later = start.plus(TRIED_LAST);
        assert_eq!(order(&failover, later), [0, 1, 2], "the probe");
        assert_eq!(order(&failover, later), [1, 2, 0], "the others");
        assert!(!failover.failed(0, later));
        assert_eq!(order(&failover, later.plus(TRIED_LAST / 2)), [1, 2, 0]);
        failover.succeeded(0);
        assert_eq!(order(&failover, later), [0, 1, 2]);
    }

    #[test]
    fn when_all_providers_fail_the_configured_order_is_used_and_an_unused_probe_stays_available() {
        let failover = failover();
        let start = Timestamp::from_secs(1000);
        for provider in [2, 1, 0, 0, 1, 2, 2, 1, 0] {
            failover.failed(provider, start);
        }
        assert_eq!(order(&failover, start), [0, 1, 2]);
        failover.succeeded(0);
        let later = start.plus(TRIED_LAST);
        assert_eq!(failover.next(&mut vec![0, 1], later), Some(0));
        assert_eq!(order(&failover, later), [0, 1, 2]);
        assert_eq!(failover.next(&mut vec![], later), None);
    }
}
