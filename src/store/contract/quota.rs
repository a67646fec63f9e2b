//! The arithmetic of quotas, the same in every store. Windows are aligned to the Unix epoch. The count of the previous
//! window is added in proportion to the part of it that is less than one window ago. One more event is admitted if, in
//! integers without rounding and with all times in milliseconds:
//!
//! `previous × (window − elapsed) + (current + 1) × window ≤ most × window`
//!
//! `redis/lua/spend.lua` and `vestibule.spend` (`postgres/migrations/0004_counters.sql`) have the same formula.

use std::time::Duration;

use super::counters::Quota;
use crate::clock::Timestamp;

/// The counts under one key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(in crate::store) struct Counted {
    /// The number of the current window, counted from the Unix epoch.
    pub(in crate::store) window: i64,
    /// The count of the current window.
    pub(in crate::store) current: u32,
    /// The count of the previous window.
    pub(in crate::store) previous: u32,
}

impl Quota {
    /// The length of a window in milliseconds; at least 1.
    pub(in crate::store) fn millis(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    /// The number of the window that `now` is in.
    pub(in crate::store) fn window_of(&self, now: Timestamp) -> i64 {
        now.as_millis().div_euclid(self.millis())
    }

    /// The time from which the count of the window of `now` has no effect: two windows after its start.
    pub(in crate::store) fn forgotten_at(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis((self.window_of(now) + 2) * self.millis())
    }

    /// `None` if one more event is within the quota; otherwise the time from which it is, if nothing else is counted
    /// until then.
    pub(in crate::store) fn refused_until(&self, counted: Counted, now: Timestamp) -> Option<Timestamp> {
        let (length, most) = (self.millis(), i64::from(self.most));
        let counted = counted.at(self.window_of(now));
        let (current, previous) = (i64::from(counted.current), i64::from(counted.previous));
        let start = counted.window * length;
        let elapsed = now.as_millis() - start;
        if previous * (length - elapsed) + (current + 1) * length <= most * length {
            return None;
        }
        let at = if current < most {
            // In this window, as the share of the previous one decreases.
            start + length - ((most - current - 1) * length).div_euclid(previous.max(1)).min(length)
        } else {
            // In the next window, as the share of this one decreases.
            start + 2 * length - ((most - 1) * length).div_euclid(current).min(length)
        };
        Some(Timestamp::from_millis(at).max(now.plus(Duration::from_millis(1))))
    }
}

impl Counted {
    /// The same counts as seen from `window`: a previous window's count moves to `previous`, an older one is dropped.
    pub(in crate::store) fn at(self, window: i64) -> Self {
        match window - self.window {
            0 => self,
            1 => Self { window, current: 0, previous: self.current },
            _ => Self { window, current: 0, previous: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ids::Digest, *};

    fn quota(most: u32) -> Quota {
        Quota { key: Digest([0; 32]), most, window: Duration::from_secs(100) }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    #[test]
    fn a_full_window_counts_in_the_next_one_by_the_share_that_is_less_than_a_window_ago() {
        let full = Counted { window: 0, current: 5, previous: 0 };
        let five = quota(5);
        assert_eq!(five.refused_until(full, at(99)), Some(at(120)));
        assert_eq!(five.refused_until(full, at(100)), Some(at(120)));
        assert_eq!(five.refused_until(full, at(119)), Some(at(120)));
        assert_eq!(five.refused_until(full, at(120)), None);
        let one_more = Counted { window: 1, current: 1, previous: 5 };
        assert_eq!(five.refused_until(one_more, at(120)), Some(at(140)));
        assert_eq!(five.refused_until(full, at(250)), None);
    }

    #[test]
    fn no_aligned_window_admits_more_than_its_quota_and_one_more_is_admitted_at_the_time_returned() {
        for most in [1, 2, 5, 20] {
            let quota = quota(most);
            let (mut counted, mut now, mut in_window) = (Counted::default(), 0, std::collections::BTreeMap::new());
            while now < 2_000_000 {
                let moment = Timestamp::from_millis(now);
                match quota.refused_until(counted, moment) {
                    None => {
                        counted = counted.at(quota.window_of(moment));
                        counted.current += 1;
                        let admitted = in_window.entry(counted.window).or_insert(0);
                        *admitted += 1;
                        assert!(*admitted <= most);
                        now += 10;
                    }
                    Some(again) => {
                        assert!(again > moment && again <= quota.forgotten_at(moment));
                        assert_eq!(quota.refused_until(counted, again), None, "{most} at {again:?}");
                        now = again.as_millis();
                    }
                }
            }
        }
    }
}
