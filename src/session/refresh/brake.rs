//! The refusal brake: when an authority refuses most sessions, that counts as its fault (a broken deploy), and refusals
//! end no session until a refresh succeeds. The counts are part of the note that the fleet shares.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Refreshes within this time are counted, to within [`SLOT_SECS`].
const WINDOW: Duration = Duration::from_secs(60);
/// Length of the slots in which refreshes are counted.
const SLOT_SECS: i64 = 5;
/// The brake engages from this many refused sessions, if refusals are also more than half of all refreshes.
const MIN_SESSIONS: usize = 20;

/// A session, by the first octets of its `sid`: enough to tell the sessions of an outage apart.
pub(super) type SessionMark = u32;

/// How the refreshes of the last minute ended.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Brake {
    slots: Vec<Slot>,
    /// The sessions that were refused last, at most [`MIN_SESSIONS`], each once.
    refused: Vec<(SessionMark, Timestamp)>,
    /// When the brake engaged, if it holds.
    pub(super) engaged_at: Option<Timestamp>,
}

/// The refreshes of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Slot {
    /// The slot's start, in seconds since the Unix epoch.
    from: i64,
    succeeded: u32,
    refused: u32,
}

/// What a refusal means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The session has ended.
    EndsSession,
    /// The brake engages with this refusal, which counts as an outage.
    EngagesBrake,
    /// The brake is engaged: the refusal counts as an outage.
    BrakeEngaged,
}

impl Brake {
    /// Counts successful refreshes: refusals end sessions again.
    pub(super) fn refreshed(&mut self, number: u32, now: Timestamp) {
        self.engaged_at = None;
        let slot = self.slot(now);
        slot.succeeded = slot.succeeded.saturating_add(number);
    }

    /// Counts a refusal and returns what it means.
    pub(super) fn refused(&mut self, session: SessionMark, now: Timestamp) -> Refusal {
        let slot = self.slot(now);
        slot.refused = slot.refused.saturating_add(1);
        self.refused.retain(|(other, at)| *other != session && is_recent(*at, now, WINDOW));
        if self.refused.len() >= MIN_SESSIONS {
            self.refused.remove(0);
        }
        self.refused.push((session, now));
        let total = |of: fn(&Slot) -> u32| self.slots.iter().map(|slot| u64::from(of(slot))).sum::<u64>();
        let (refused, succeeded) = (total(|slot| slot.refused), total(|slot| slot.succeeded));
        if self.engaged_at.is_some() {
            Refusal::BrakeEngaged
        } else if self.refused.len() >= MIN_SESSIONS && refused > succeeded {
            self.engaged_at = Some(now);
            Refusal::EngagesBrake
        } else {
            Refusal::EndsSession
        }
    }

    /// The current slot; slots older than the window are removed.
    fn slot(&mut self, now: Timestamp) -> &mut Slot {
        let from = now.as_secs().div_euclid(SLOT_SECS) * SLOT_SECS;
        self.slots.retain(|slot| slot.from <= from && is_recent(Timestamp::from_secs(slot.from), now, WINDOW));
        if self.slots.last().is_none_or(|slot| slot.from != from) {
            self.slots.push(Slot { from, succeeded: 0, refused: 0 });
        }
        self.slots.last_mut().expect("a slot was pushed")
    }
}

/// Whether `at` is within the last `span`.
pub(super) fn is_recent(at: Timestamp, now: Timestamp, span: Duration) -> bool {
    at <= now && now.since(at) < span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn the_brake_is_engaged_from_20_refused_sessions_that_are_the_majority_until_one_refresh_succeeds() {
        let mut brake = Brake::default();
        for session in 0..19 {
            assert_eq!(brake.refused(session, at(0)), Refusal::EndsSession);
        }
        assert_eq!(brake.refused(19, at(0)), Refusal::EngagesBrake);
        assert_eq!(brake.refused(20, at(59_000)), Refusal::BrakeEngaged);
        brake.refreshed(1, at(59_001));
        assert_eq!(brake.engaged_at, None);
        assert_eq!(brake.refused(21, at(120_000)), Refusal::EndsSession);
    }

    #[test]
    fn a_session_that_is_refused_many_times_counts_once() {
        let mut brake = Brake::default();
        assert!((0..100).all(|_| brake.refused(7, at(0)) == Refusal::EndsSession));
    }

    #[test]
    fn refusals_that_are_the_minority_end_their_sessions() {
        let mut brake = Brake::default();
        brake.refreshed(60, at(0));
        assert!((0..40).all(|session| brake.refused(session, at(1)) == Refusal::EndsSession));
    }

    #[test]
    fn what_is_counted_does_not_grow_with_the_number_of_refreshes() {
        let mut brake = Brake::default();
        for number in 0..100_000 {
            brake.refused(number, at(i64::from(number) * 7));
            brake.refreshed(1, at(i64::from(number) * 7));
        }
        assert!(brake.slots.len() <= 13 && brake.refused.len() <= MIN_SESSIONS);
    }
}
