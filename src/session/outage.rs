//! How often a troubled authority is asked, and when its refusals are not believed.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    store::{Digest, Sid},
};

/// While the authority is in trouble it is asked at most this often in all, and one refresh token as often after an answer of no use.
const PACE: Duration = Duration::from_secs(1);
/// Longest wait before a refresh token that was asked about without an answer is sent again: it may have been spent.
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);
/// Refresh tokens held back at once; past that the oldest may be asked again early.
const MOST_HELD: usize = 100_000;

const BRAKE_WINDOW: Duration = Duration::from_secs(60);
const BRAKE_SESSIONS: usize = 20;
/// Refreshes remembered for the brake: at this rate the window is a minute of 1,000 refreshes a second.
const MOST_REMEMBERED: usize = 60_000;

/// The trouble an authority is in.
#[derive(Debug, Default)]
pub(super) struct Outage {
    troubles: Mutex<Troubles>,
}

#[derive(Debug, Default)]
struct Troubles {
    /// When the authority was last asked since it fell into trouble; `None`: it is not in trouble.
    last_asked: Option<Timestamp>,
    held: HashMap<Digest, Held>,
    recent: VecDeque<(Timestamp, Sid, Verdict)>,
    braked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    until: Timestamp,
    unanswered: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Refreshed,
    Refused,
}

/// How a call that brought no tokens failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// It was answered, with nothing of use (5xx, 429, rubbish).
    Useless,
    /// It was sent and not answered: the token may be spent.
    Unanswered,
    /// Nothing reached the authority.
    Unsent,
}

/// What to make of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// The session is over.
    Believed,
    /// With this one the brake engages: it counts as an outage.
    BrakedNow,
    /// The brake holds: it counts as an outage.
    Braked,
}

impl Outage {
    /// How long `rt` must wait before the authority may be asked; zero takes the turn.
    pub(super) fn hold(&self, rt: Digest, now: Timestamp) -> Duration {
        let mut troubles = self.lock();
        let own = troubles.held.get(&rt).map_or(Duration::ZERO, |held| held.until.since(now));
        let all = troubles.last_asked.map_or(Duration::ZERO, |asked| asked.plus(PACE).since(now));
        let wait = own.max(all);
        if wait.is_zero() && troubles.last_asked.is_some() {
            troubles.last_asked = Some(now);
        }
        wait
    }

    /// Notes a failed call; returns how long to wait before the next.
    pub(super) fn failed(&self, rt: Digest, failure: Failure, now: Timestamp) -> Duration {
        let mut troubles = self.lock();
        let unanswered = troubles.held.get(&rt).map_or(0, |held| held.unanswered);
        let (wait, unanswered) = match failure {
            Failure::Unsent => return PACE,
            // Whatever the authority says of when to come back: recovery must show within two seconds.
            Failure::Useless => (PACE, 0),
            Failure::Unanswered => {
                ((PACE * 2_u32.saturating_pow(unanswered.min(5))).min(LONGEST_BACKOFF), unanswered + 1)
            }
        };
        troubles.last_asked = Some(now);
        if troubles.held.len() >= MOST_HELD {
            troubles.held.retain(|_, held| held.until > now);
        }
        if troubles.held.len() < MOST_HELD {
            troubles.held.insert(rt, Held { until: now.plus(wait), unanswered });
        }
        wait
    }

    /// Notes that the authority refreshed: the trouble is over for all, and refusals are believed again.
    pub(super) fn refreshed(&self, sid: Sid, now: Timestamp) {
        let mut troubles = self.lock();
        troubles.last_asked = None;
        troubles.braked = false;
        troubles.held.clear();
        troubles.remember(now, sid, Verdict::Refreshed);
    }

    /// Notes a refusal, and says whether to believe it: a broken deploy must log nobody out.
    pub(super) fn refused(&self, sid: Sid, now: Timestamp) -> Refusal {
        let mut troubles = self.lock();
        troubles.remember(now, sid, Verdict::Refused);
        let mut refused: Vec<Sid> =
            troubles.recent.iter().filter(|(_, _, v)| *v == Verdict::Refused).map(|(_, sid, _)| *sid).collect();
        let most = refused.len() * 2 > troubles.recent.len();
        refused.sort_unstable();
        refused.dedup();
        if troubles.braked {
            Refusal::Braked
        } else if refused.len() >= BRAKE_SESSIONS && most {
            troubles.braked = true;
            Refusal::BrakedNow
        } else {
            Refusal::Believed
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Troubles> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Troubles {
    fn remember(&mut self, now: Timestamp, sid: Sid, verdict: Verdict) {
        while self.recent.front().is_some_and(|(t, _, _)| now.since(*t) >= BRAKE_WINDOW)
            || self.recent.len() >= MOST_REMEMBERED
        {
            self.recent.pop_front();
        }
        self.recent.push_back((now, sid, verdict));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RT: Digest = Digest([1; 32]);
    const OTHER: Digest = Digest([2; 32]);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn sid(n: u8) -> Sid {
        Sid([n; 16])
    }

    #[test]
    fn a_token_asked_about_without_an_answer_waits_1_2_4_up_to_30_seconds() {
        let outage = Outage::default();
        let waits: Vec<_> = (0..7).map(|_| outage.failed(RT, Failure::Unanswered, at(0)).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_troubled_authority_is_asked_once_a_second_whoever_asks() {
        let outage = Outage::default();
        assert_eq!(outage.hold(RT, at(0)), Duration::ZERO);
        outage.failed(RT, Failure::Useless, at(0));
        assert_eq!(outage.hold(OTHER, at(400)), Duration::from_millis(600));
        assert_eq!(outage.hold(OTHER, at(1000)), Duration::ZERO);
        assert_eq!(outage.hold(RT, at(1000)), Duration::from_secs(1));
        outage.refreshed(sid(1), at(1001));
        assert_eq!(outage.hold(RT, at(1001)), Duration::ZERO);
    }

    #[test]
    fn where_nothing_was_sent_the_next_ask_is_at_once() {
        let outage = Outage::default();
        outage.failed(RT, Failure::Unsent, at(0));
        assert_eq!(outage.hold(RT, at(0)), Duration::ZERO);
    }

    #[test]
    fn the_brake_holds_from_20_refused_sessions_that_are_the_majority_until_one_refresh_succeeds() {
        let outage = Outage::default();
        for n in 0..19 {
            assert_eq!(outage.refused(sid(n), at(0)), Refusal::Believed);
        }
        assert_eq!(outage.refused(sid(19), at(0)), Refusal::BrakedNow);
        assert_eq!(outage.refused(sid(20), at(59_000)), Refusal::Braked);
        outage.refreshed(sid(99), at(59_001));
        assert_eq!(outage.refused(sid(21), at(61_000)), Refusal::Believed);
    }

    #[test]
    fn refusals_that_are_the_minority_are_believed() {
        let outage = Outage::default();
        for n in 0..60 {
            outage.refreshed(sid(n), at(0));
        }
        assert!((0..40).all(|n| outage.refused(sid(n), at(1)) == Refusal::Believed));
    }
}
