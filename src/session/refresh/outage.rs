//! What the fleet knows of one authority, and the rules that follow from it: when it counts as down as a whole, who
//! probes it then, and which holds its first success ends. All instances share it as a note in the store, in JSON.
//!
//! A failure first concerns its own session (`hold`). The authority counts as down after failures of at least
//! [`MIN_PEOPLE`] different people that make up over half of its refreshes of the last [`WINDOW`], or after
//! [`UNSENT_IN_A_ROW`] connection attempts in a row that failed. One person's failures count once a second at most, so
//! that one person with many sessions cannot make an outage of two people's failures.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use super::brake::{Brake, Refusal, SessionMark, is_recent};
use crate::clock::Timestamp;

/// Failures and successes within this time are compared, to within a second.
const WINDOW: Duration = Duration::from_secs(5);
/// An authority is down if at least this many different people failed.
const MIN_PEOPLE: usize = 3;
/// An authority is down after this many connection attempts in a row that failed.
const UNSENT_IN_A_ROW: u32 = 3;
/// Shortest time between two probes of the fleet.
const PACE: Duration = Duration::from_secs(1);
/// A session that has failed probes this much later than one that has not, so that the latter is preferred.
const AFTER_OTHERS: Duration = Duration::from_millis(150);
/// A session that has probed waits longer than this, so that those that have not come first.
const AFTER_NEW: Duration = Duration::from_millis(300);
/// The session of the last probe waits this much longer still: it probes again only if it is the only one.
const AFTER_ALL: Duration = Duration::from_millis(300);
/// Different people that are told apart within a second. Beyond this number each failure counts as another person's.
const MOST_PEOPLE: usize = 32;
/// Sessions that are remembered to have probed.
const MOST_PROBED: usize = 32;
/// Ends of outages that are remembered.
const MOST_RELEASES: usize = 4;
/// How long the end of an outage is remembered: longer than a hold that it ends.
const RELEASE_KEPT: Duration = Duration::from_secs(60);

/// What the fleet knows of one authority. Times are of the store's clock.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AuthorityRecord {
    /// The refreshes of the last seconds, in their order.
    seconds: Vec<Second>,
    /// Connection attempts in a row that failed.
    unsent: u32,
    /// Since when the authority counts as down; the time of the first of the failures that it was found down by.
    down_since: Option<Timestamp>,
    last_probe: Timestamp,
    /// The sessions of the last probes, in their order.
    probed: Vec<SessionMark>,
    /// From the first failure to the end of the last outages: holds that were set between are over.
    releases: Vec<(Timestamp, Timestamp)>,
    brake: Brake,
    /// The end of the last hold of a session: while it is near, each refresh looks for its own.
    holds_until: Timestamp,
}

/// The refreshes of one second.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Second {
    /// In seconds since the Unix epoch.
    at: i64,
    /// Refreshes that the authority answered with tokens or a refusal.
    answered: u32,
    /// The people whose refreshes failed.
    failed: Vec<u32>,
    /// Further failures.
    more: u32,
}

/// What happened at one instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// So many refreshes succeeded.
    Refreshed(u32),
    /// A refresh of this person failed; its session is held until then.
    Failed { person: u32, until: Timestamp },
    /// A connection attempt failed.
    Unsent,
    /// The authority's answer concerns one session (429); it is held until then.
    SessionHeld { until: Timestamp },
    /// The authority refused a session.
    Refused(SessionMark),
    /// A session wants to probe. `has_failed`: it failed in this outage.
    Probe { session: SessionMark, has_failed: bool },
}

/// What follows from an [`Event`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Nothing for the caller.
    Noted,
    /// What the refusal means.
    Refusal(Refusal),
    /// Whether the session may ask the authority now.
    MayAsk(bool),
}

impl AuthorityRecord {
    /// Applies an event that happened at `now`.
    pub(super) fn apply(&mut self, event: Event, now: Timestamp) -> Verdict {
        self.forget_old(now);
        // Anything but a failed connection attempt is proof of a connection; a wish to probe is proof of nothing.
        match event {
            Event::Unsent | Event::Probe { .. } => {}
            Event::Refreshed(_) | Event::Failed { .. } | Event::SessionHeld { .. } | Event::Refused(_) => {
                self.unsent = 0;
            }
        }
        match event {
            Event::Refreshed(number) => {
                self.release(now);
                self.brake.refreshed(number, now);
                let second = self.second(now);
                second.answered = second.answered.saturating_add(number);
            }
            Event::Failed { person, until } => {
                self.holds_until = self.holds_until.max(until);
                self.failed(person, now);
            }
            Event::Unsent => {
                self.unsent = self.unsent.saturating_add(1);
                if !self.is_held() && self.unsent >= UNSENT_IN_A_ROW {
                    self.down_since = Some(now);
                    self.last_probe = now;
                }
            }
            Event::SessionHeld { until } => self.holds_until = self.holds_until.max(until),
            Event::Refused(session) => {
                let second = self.second(now);
                second.answered = second.answered.saturating_add(1);
                let refusal = self.brake.refused(session, now);
                if refusal == Refusal::EngagesBrake && self.down_since.is_none() {
                    self.last_probe = now;
                }
                return Verdict::Refusal(refusal);
            }
            Event::Probe { session, has_failed } => return Verdict::MayAsk(self.probe(session, has_failed, now)),
        }
        Verdict::Noted
    }

    /// Whether the authority counts as down.
    pub(super) fn is_down(&self) -> bool {
        self.down_since.is_some()
    }

    /// Whether the brake is engaged.
    pub(super) fn is_braked(&self) -> bool {
        self.brake.engaged_at.is_some()
    }

    /// Whether the authority is only probed: it counts as down, or the brake is engaged.
    pub(super) fn is_held(&self) -> bool {
        self.is_down() || self.is_braked()
    }

    /// Whether a hold that was set at this time belongs to the outage: the first success ends it.
    pub(super) fn covers(&self, set_at: Timestamp) -> bool {
        self.held_since().is_some_and(|since| set_at >= since)
    }

    /// Whether some session may have a hold at `now`, or had one within `remembered`.
    pub(super) fn has_holds(&self, remembered: Duration, now: Timestamp) -> bool {
        now < self.holds_until.plus(remembered)
    }

    /// Whether the end of an outage has ended a hold that was set at this time.
    pub(super) fn has_released(&self, set_at: Timestamp) -> bool {
        self.releases.iter().any(|(from, to)| (*from..=*to).contains(&set_at))
    }

    /// When a session may probe if no other does before. Of those that have probed, the one whose probe is longest ago
    /// comes first.
    pub(super) fn next_probe(&self, session: SessionMark, has_failed: bool) -> Timestamp {
        let slot = self.last_probe.plus(PACE);
        let Some(place) = self.probed.iter().position(|other| *other == session) else {
            return if has_failed { slot.plus(AFTER_OTHERS) } else { slot };
        };
        let (later, of) = (u32::try_from(place + 1).unwrap_or(1), u32::try_from(self.probed.len()).unwrap_or(1));
        slot.plus(AFTER_NEW + AFTER_ALL * later / of.max(1))
    }

    fn held_since(&self) -> Option<Timestamp> {
        self.down_since.into_iter().chain(self.brake.engaged_at).min()
    }

    /// A failed refresh. During an outage it concerns its session alone.
    fn failed(&mut self, person: u32, now: Timestamp) {
        if self.is_held() {
            return;
        }
        let second = self.second(now);
        if !second.failed.contains(&person) {
            if second.failed.len() < MOST_PEOPLE {
                second.failed.push(person);
            } else {
                second.more = second.more.saturating_add(1);
            }
        }
        let people: BTreeSet<u32> = self.seconds.iter().flat_map(|second| second.failed.iter().copied()).collect();
        let failures: u64 = self.seconds.iter().map(|second| second.failed.len() as u64 + u64::from(second.more)).sum();
        let answered: u64 = self.seconds.iter().map(|second| u64::from(second.answered)).sum();
        if people.len() >= MIN_PEOPLE && failures > answered {
            let first = self.seconds.iter().find(|second| !second.failed.is_empty()).map_or(now.as_secs(), |s| s.at);
            self.down_since = Some(Timestamp::from_secs(first));
            self.last_probe = now;
        }
    }

    fn probe(&mut self, session: SessionMark, has_failed: bool, now: Timestamp) -> bool {
        if !self.is_held() {
            return true;
        }
        if now < self.next_probe(session, has_failed) {
            return false;
        }
        self.last_probe = now;
        self.probed.retain(|other| *other != session);
        if self.probed.len() >= MOST_PROBED {
            self.probed.remove(0);
        }
        self.probed.push(session);
        true
    }

    /// The first success of an outage ends it, with the holds that were set since its first failure.
    fn release(&mut self, now: Timestamp) {
        let Some(since) = self.held_since() else { return };
        if self.releases.len() >= MOST_RELEASES {
            self.releases.remove(0);
        }
        self.releases.push((since, now));
        self.down_since = None;
        self.probed.clear();
        self.seconds.clear();
    }

    fn second(&mut self, now: Timestamp) -> &mut Second {
        let at = now.as_secs();
        if self.seconds.last().is_none_or(|second| second.at != at) {
            self.seconds.push(Second { at, answered: 0, failed: Vec::new(), more: 0 });
        }
        self.seconds.last_mut().expect("a second was pushed")
    }

    /// Removes what is too old to count, and what is later than `now`: the store's clock was set back, or another
    /// server has taken over.
    fn forget_old(&mut self, now: Timestamp) {
        self.last_probe = self.last_probe.min(now);
        let second = now.as_secs();
        self.seconds.retain(|s| s.at <= second && is_recent(Timestamp::from_secs(s.at), now, WINDOW));
        self.releases.retain(|(_, to)| is_recent(*to, now, RELEASE_KEPT));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000_000 + millis)
    }

    fn failed(record: &mut AuthorityRecord, person: u32, now: i64) -> bool {
        record.apply(Event::Failed { person, until: at(now + 1000) }, at(now));
        record.is_down()
    }

    fn may_ask(record: &mut AuthorityRecord, session: SessionMark, has_failed: bool, now: i64) -> bool {
        record.apply(Event::Probe { session, has_failed }, at(now)) == Verdict::MayAsk(true)
    }

    #[test]
    fn failures_of_one_or_two_people_are_no_outage_however_many_they_are() {
        let mut record = AuthorityRecord::default();
        for n in 0..1000 {
            assert!(!failed(&mut record, n % 2, i64::from(n)));
        }
        assert!(may_ask(&mut record, 9, false, 1000));
    }

    #[test]
    fn failures_of_three_people_are_an_outage_if_they_are_over_half_of_the_last_five_seconds() {
        let mut record = AuthorityRecord::default();
        assert!(!failed(&mut record, 1, 0) && !failed(&mut record, 2, 10) && failed(&mut record, 3, 20));

        let mut record = AuthorityRecord::default();
        record.apply(Event::Refreshed(3), at(0));
        assert!(!failed(&mut record, 1, 1) && !failed(&mut record, 2, 2) && !failed(&mut record, 3, 3));
        assert!(failed(&mut record, 4, 4));

        let mut record = AuthorityRecord::default();
        record.apply(Event::Refreshed(1000), at(0));
        assert!(!failed(&mut record, 1, 4000) && !failed(&mut record, 2, 4000) && !failed(&mut record, 3, 4999));
        assert!(failed(&mut record, 3, 5000), "the successes are five seconds ago");

        let mut record = AuthorityRecord::default();
        assert!(!failed(&mut record, 1, 0) && !failed(&mut record, 2, 0));
        assert!(!failed(&mut record, 3, 5000), "the other failures are five seconds ago");
    }

    #[test]
    fn one_person_with_many_sessions_outweighs_no_successes() {
        let mut record = AuthorityRecord::default();
        record.apply(Event::Refreshed(3), at(0));
        failed(&mut record, 1, 0);
        failed(&mut record, 2, 0);
        assert!((0..500).all(|_| !failed(&mut record, 3, 900)));
    }

    #[test]
    fn three_connection_attempts_in_a_row_that_fail_are_an_outage_of_any_number_of_people() {
        let mut record = AuthorityRecord::default();
        record.apply(Event::Unsent, at(0));
        record.apply(Event::Unsent, at(0));
        let until = at(1000);
        let failed = Event::Failed { person: 1, until };
        for answered in [Event::SessionHeld { until }, failed, Event::Refused(1), Event::Refreshed(1)] {
            record.apply(answered, at(1));
            record.apply(Event::Unsent, at(2));
            record.apply(Event::Unsent, at(3));
            assert!(!record.is_down(), "{answered:?}");
        }
        record.apply(Event::Unsent, at(900_000));
        assert!(record.is_down());
    }

    #[test]
    fn a_429_is_never_an_outage() {
        let mut record = AuthorityRecord::default();
        for n in 0..1000 {
            record.apply(Event::SessionHeld { until: at(n + 30_000) }, at(n));
        }
        assert!(!record.is_held());
    }

    #[test]
    fn in_an_outage_another_session_probes_each_second_and_those_that_have_not_failed_come_first() {
        let mut record = AuthorityRecord::default();
        for person in 1..=3 {
            failed(&mut record, person, 0);
        }
        assert!(!may_ask(&mut record, 9, false, 999));
        assert!(!may_ask(&mut record, 1, true, 1000), "it has failed, so it leaves the probe to another");
        assert!(may_ask(&mut record, 9, false, 1000));
        assert!(!may_ask(&mut record, 8, false, 1999), "a second for each probe");
        assert!(!may_ask(&mut record, 1, true, 2149), "any that has not failed comes before it");
        assert!(may_ask(&mut record, 1, true, 2150));
        assert!(!may_ask(&mut record, 9, false, 3449), "any that has not probed comes before it");
        assert!(may_ask(&mut record, 9, false, 3600));
        assert!(!may_ask(&mut record, 9, true, 5199), "any other comes before the last one");
        assert!(may_ask(&mut record, 9, true, 5200), "it is the only one");
    }

    #[test]
    fn a_failed_probe_concerns_its_session_alone() {
        let mut record = AuthorityRecord::default();
        for person in 1..=3 {
            failed(&mut record, person, 0);
        }
        let before = record.clone();
        failed(&mut record, 4, 1000);
        assert!(record.has_holds(Duration::ZERO, at(1999)) && !record.has_holds(Duration::ZERO, at(2000)));
        assert_eq!(record, AuthorityRecord { holds_until: at(2000), ..before });
    }

    #[test]
    fn the_first_success_ends_the_outage_and_every_hold_that_was_set_in_its_failures_or_since() {
        let mut record = AuthorityRecord::default();
        failed(&mut record, 1, 0);
        failed(&mut record, 2, 2000);
        failed(&mut record, 3, 2500);
        assert!(record.covers(at(0)) && record.covers(at(2500)) && !record.covers(at(-1)));
        record.apply(Event::Refreshed(1), at(7000));
        assert!(!record.is_held() && may_ask(&mut record, 9, false, 7000));
        assert!(record.has_released(at(0)) && record.has_released(at(6999)));
        assert!(!record.has_released(at(-1)) && !record.has_released(at(7001)));
        // Failures before the success count no more.
        assert!(!failed(&mut record, 4, 7001) && !failed(&mut record, 5, 7002));
    }

    #[test]
    fn while_the_brake_holds_the_authority_is_probed_as_in_an_outage() {
        let mut record = AuthorityRecord::default();
        let verdicts: Vec<_> = (0..21).map(|session| record.apply(Event::Refused(session), at(0))).collect();
        assert!(verdicts[..19].iter().all(|verdict| *verdict == Verdict::Refusal(Refusal::EndsSession)));
        assert_eq!(verdicts[19..], [Refusal::EngagesBrake, Refusal::BrakeEngaged].map(Verdict::Refusal));
        assert!(!may_ask(&mut record, 99, false, 999) && may_ask(&mut record, 99, false, 1000));
        record.apply(Event::Refreshed(1), at(1500));
        assert!(may_ask(&mut record, 98, false, 1500) && record.has_released(at(1400)));
    }

    #[test]
    fn of_sessions_that_all_wait_and_have_failed_each_probes_in_turn() {
        let mut record = AuthorityRecord::default();
        let sessions: Vec<SessionMark> = (1..=20).collect();
        for person in 1..=20 {
            failed(&mut record, person, 0);
        }
        let mut probes = Vec::new();
        for _ in 0..60 {
            // The first of those whose turn comes first, as if all looked at once.
            let next = *sessions.iter().min_by_key(|session| record.next_probe(**session, true)).unwrap();
            let turn = record.next_probe(next, true);
            assert_eq!(record.apply(Event::Probe { session: next, has_failed: true }, turn), Verdict::MayAsk(true));
            probes.push(next);
        }
        for round in probes.chunks(20) {
            assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 20, "{probes:?}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_delays_no_probe_for_longer_than_a_second() {
        let mut record = AuthorityRecord::default();
        for person in 1..=3 {
            failed(&mut record, person, 90_000);
        }
        assert!(!may_ask(&mut record, 9, false, 0));
        assert!(may_ask(&mut record, 9, false, 1000));
    }

    #[test]
    fn the_record_does_not_grow_with_the_number_of_sessions() {
        let mut record = AuthorityRecord::default();
        for n in 0..10_000_u32 {
            let now = at(i64::from(n) * 17);
            record.apply(Event::Failed { person: n, until: now }, now);
            record.apply(Event::Refused(n), now);
            record.apply(Event::Probe { session: n, has_failed: false }, now);
            if n % 100 == 0 {
                record.apply(Event::Refreshed(1), now);
            }
        }
        let longest = serde_json::to_vec(&record).unwrap().len();
        assert!(longest < 8 << 10, "{longest} octets");
    }
}
