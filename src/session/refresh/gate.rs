//! Who may ask the authority now, and who waits: for the end of the session's own hold, or in an outage for a probe's
//! turn or for the first success.

use std::time::Duration;

use super::{
    brake::SessionMark,
    hold::Hold,
    outage::{Event, Verdict},
    outcome::RETRY_AFTER,
    watch::AuthorityWatch,
};
use crate::{clock::Timestamp, store::Digest};

/// How often those who wait look whether another instance has ended the outage; nothing wakes them for that.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The shortest wait between two looks, for one that another has just probed before.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The refresh that wants to ask.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// Its refresh token, as the session has it ([`token_of_session`](crate::session::digest::token_of_session)).
    pub(super) rt: Digest,
    pub(super) session: SessionMark,
    /// The person, or the client that logged in.
    pub(super) person: u32,
}

/// The answer to a refresh that wants to ask.
#[derive(Clone, Copy, Debug)]
pub(super) enum Admission {
    /// It may ask now. The hold that its refresh token had, if it has failed before.
    MayAsk(Option<Hold>),
    /// It may not; another try is possible after this time.
    Held(Duration),
}

/// What a refresh has to wait for.
enum Standing {
    /// Nothing.
    Free,
    /// The end of its own hold.
    Until(Timestamp),
    /// The end of the outage, or its turn to probe, which may come at this time.
    Outage(Timestamp),
}

impl AuthorityWatch {
    /// Waits until the refresh may ask, for `patience` at most. A hold that lasts longer than that is not waited for.
    pub(super) async fn admit(&self, asker: Asker, patience: Duration) -> Admission {
        self.look().await;
        let deadline = self.now().plus(patience);
        let hold = self.hold_of(asker.rt).await;
        loop {
            let changed = self.changed();
            self.look().await;
            let now = self.now();
            let next = match self.standing(asker, hold, now) {
                Standing::Free => return Admission::MayAsk(self.lasting(hold)),
                Standing::Until(end) if end > deadline => return Admission::Held(end.since(now)),
                Standing::Until(end) => end,
                Standing::Outage(turn) => {
                    if turn <= now && self.probes(asker, hold).await {
                        return Admission::MayAsk(self.lasting(hold));
                    }
                    turn.max(now.plus(LOOK_AGAIN))
                }
            };
            if now >= deadline {
                return Admission::Held(RETRY_AFTER);
            }
            let wait = next.min(deadline).since(now).min(LOOK_EVERY);
            // Whatever ends the wait, the standing is looked at again.
            let _ = tokio::time::timeout(wait, changed).await;
        }
    }

    fn standing(&self, asker: Asker, hold: Option<Hold>, now: Timestamp) -> Standing {
        self.view(|record| {
            let hold = hold.filter(|hold| hold.is_own || !record.has_released(hold.set_at));
            let lasting = hold.filter(|hold| hold.until > now);
            match lasting {
                Some(hold) if hold.is_own || !record.covers(hold.set_at) => return Standing::Until(hold.until),
                Some(_) | None if !record.is_held() => return Standing::Free,
                Some(_) | None => {}
            }
            let has_failed = hold.is_some_and(|hold| record.covers(hold.set_at));
            Standing::Outage(record.next_probe(asker.session, has_failed))
        })
    }

    async fn probes(&self, asker: Asker, hold: Option<Hold>) -> bool {
        let has_failed = hold.is_some_and(|hold| self.view(|record| record.covers(hold.set_at)));
        self.record(Event::Probe { session: asker.session, has_failed }).await == Verdict::MayAsk(true)
    }

    /// The hold, unless the end of an outage has ended it: then the next failure is the first in a row.
    fn lasting(&self, hold: Option<Hold>) -> Option<Hold> {
        hold.filter(|hold| hold.is_own || !self.view(|record| record.has_released(hold.set_at)))
    }
}
