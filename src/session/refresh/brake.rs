//! The refusal brake: when the authority refuses most sessions, that counts as its fault (a broken deploy), and
//! refusals end no session until a refresh succeeds.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{clock::Timestamp, store::Sid};

/// Refreshes within this time are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// The brake engages from this many refused sessions, if refusals are also more than half of all refreshes.
const MIN_SESSIONS: usize = 20;
/// Refreshes remembered: one minute of 1,000 refreshes a second.
const MOST_REMEMBERED: usize = 60_000;

/// Remembers how recent refreshes ended, and decides whether a refusal ends its session.
#[derive(Debug, Default)]
pub(crate) struct RefusalBrake {
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    refreshes: VecDeque<(Timestamp, Sid, RefreshResult)>,
    is_engaged: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum RefreshResult {
    Refreshed,
    Refused,
}

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The session has ended.
    EndsSession,
    /// The brake engages with this refusal, which counts as an outage.
    EngagesBrake,
    /// The brake is engaged: the refusal counts as an outage.
    BrakeEngaged,
}

impl RefusalBrake {
    /// Records a successful refresh: refusals end sessions again.
    pub(super) fn refreshed(&self, sid: Sid, now: Timestamp) {
        let mut recent = self.recent();
        recent.is_engaged = false;
        recent.remember(now, sid, RefreshResult::Refreshed);
    }

    /// Records a refusal and returns what it means.
    pub(super) fn refused(&self, sid: Sid, now: Timestamp) -> Refusal {
        let mut recent = self.recent();
        recent.remember(now, sid, RefreshResult::Refused);
        let refusals = recent.refreshes.iter().filter(|(_, _, result)| *result == RefreshResult::Refused);
        let mut refused: Vec<Sid> = refusals.map(|(_, sid, _)| *sid).collect();
        let is_majority = refused.len() * 2 > recent.refreshes.len();
        refused.sort_unstable();
        refused.dedup();
        if recent.is_engaged {
            Refusal::BrakeEngaged
        } else if refused.len() >= MIN_SESSIONS && is_majority {
            recent.is_engaged = true;
            Refusal::EngagesBrake
        } else {
            Refusal::EndsSession
        }
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn remember(&mut self, now: Timestamp, sid: Sid, result: RefreshResult) {
        while self.refreshes.front().is_some_and(|(at, _, _)| now.since(*at) >= WINDOW)
            || self.refreshes.len() >= MOST_REMEMBERED
        {
            self.refreshes.pop_front();
        }
        self.refreshes.push_back((now, sid, result));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn sid(n: u8) -> Sid {
        Sid([n; 16])
    }

    #[test]
    fn the_brake_is_engaged_from_20_refused_sessions_that_are_the_majority_until_one_refresh_succeeds() {
        let brake = RefusalBrake::default();
        for n in 0..19 {
            assert_eq!(brake.refused(sid(n), at(0)), Refusal::EndsSession);
        }
        assert_eq!(brake.refused(sid(19), at(0)), Refusal::EngagesBrake);
        assert_eq!(brake.refused(sid(20), at(59_000)), Refusal::BrakeEngaged);
        brake.refreshed(sid(99), at(59_001));
        assert_eq!(brake.refused(sid(21), at(61_000)), Refusal::EndsSession);
    }

    #[test]
    fn refusals_that_are_the_minority_end_their_sessions() {
        let brake = RefusalBrake::default();
        for n in 0..60 {
            brake.refreshed(sid(n), at(0));
        }
        assert!((0..40).all(|n| brake.refused(sid(n), at(1)) == Refusal::EndsSession));
    }
}
