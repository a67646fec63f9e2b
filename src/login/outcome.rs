//! What a callback led to, for the same callback that comes again: a double click, a preload, a browser's retry after
//! its connection was cut.
//!
//! Within one process a later callback joins the first one. Across instances, and for 60 s afterwards, it gets the
//! outcome from the store, sealed with a key derived from the attempt's cookie.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    problem::{Denial, ProblemKind},
    session::{CookieChanges, DepositSlot, PackedSession, Session, Sessions},
    store::{Digest, StoreError},
};

/// How long an outcome can be had again.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long another instance waits for an outcome: as long as calls to a provider and to an authority may take.
const LONGEST_RUN: Duration = Duration::from_secs(60);
/// How long an instance that died with a callback keeps the others waiting.
const MARK: Duration = Duration::from_secs(4);
/// How often the mark of a running callback is renewed.
const RENEWAL: Duration = Duration::from_secs(1);
/// The time between two questions to the store whether another instance has the outcome.
const POLL: Duration = Duration::from_millis(200);
/// Questions without an answer after which no instance is working on it: the other instance may have used the attempt
/// and not yet said so.
const UNANSWERED: u32 = 3;

/// What a callback led to.
#[derive(Clone)]
pub(super) enum Outcome {
    /// A session began.
    Entered { session: Arc<Session>, return_to: String },
    /// The provider refused the login.
    Denied { denial: Denial, return_to: String },
    /// The login failed.
    Failed { kind: ProblemKind, attempt: AttemptUse, return_to: String },
    /// The attempt was used, and there is no outcome.
    Gone,
}

/// Whether a failed callback used its attempt up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) enum AttemptUse {
    /// The code may be void: the same callback fails in the same way again.
    #[default]
    Used,
    /// Neither the code nor the attempt is used up: the same callback can be tried again, with the same cookie. Its
    /// outcome is for those who wait for it.
    Unused,
}

impl AttemptUse {
    /// What becomes of the attempt's cookie; `deletion` deletes it.
    pub(super) fn cookie(self, deletion: CookieChanges) -> CookieChanges {
        match self {
            Self::Used => deletion,
            Self::Unused => CookieChanges::default(),
        }
    }
}

/// An outcome in the store.
#[derive(Serialize, Deserialize)]
enum StoredOutcome {
    /// An instance is working on it.
    Running,
    Entered {
        session: Box<PackedSession>,
        return_to: String,
    },
    Denied {
        code: String,
        return_to: String,
    },
    Failed {
        code: String,
        #[serde(default)]
        attempt: AttemptUse,
        return_to: String,
    },
}

/// Does `work` on the callback of `slot`, and tells other instances meanwhile that it is being worked on.
pub(super) async fn announced<T>(sessions: &Sessions, slot: &DepositSlot, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    announce(sessions, slot).await;
    loop {
        if let Ok(done) = tokio::time::timeout(RENEWAL, &mut work).await {
            return done;
        }
        match select(&mut work, std::pin::pin!(announce(sessions, slot))).await {
            Either::Left((done, announcement)) => {
                // The mark must not come to the store after the outcome.
                announcement.await;
                return done;
            }
            Either::Right(((), _)) => {}
        }
    }
}

async fn announce(sessions: &Sessions, slot: &DepositSlot) {
    if let Err(error) = sessions.deposits().put(slot, &StoredOutcome::Running, MARK).await {
        tracing::debug!(%error, "other instances do not learn that a callback is being worked on");
    }
}

/// Stores the outcome of the callback of `slot`. Without it, the same callback at another instance or a moment later
/// shows that the attempt has expired.
pub(super) async fn store(sessions: &Sessions, slot: &DepositSlot, outcome: &Outcome) {
    let stored = match outcome {
        Outcome::Entered { session, return_to } => {
            let Some(session) = sessions.pack(session) else { return };
            StoredOutcome::Entered { session: Box::new(session), return_to: return_to.clone() }
        }
        Outcome::Denied { denial, return_to } => {
            StoredOutcome::Denied { code: denial.code().to_owned(), return_to: return_to.clone() }
        }
        Outcome::Failed { kind, attempt, return_to } => {
            StoredOutcome::Failed { code: kind.code().to_owned(), attempt: *attempt, return_to: return_to.clone() }
        }
        Outcome::Gone => return,
    };
    if let Err(error) = sessions.deposits().put(slot, &stored, KEPT_FOR).await {
        tracing::warn!(%error, "the outcome of a callback was not stored: the same callback cannot get it again");
    }
}

/// The outcome of the callback of `slot`, whose attempt was used before; waits while another instance works on it.
pub(super) async fn stored(sessions: &Sessions, slot: &DepositSlot) -> Result<Outcome, StoreError> {
    let begun = tokio::time::Instant::now();
    let mut unanswered = 0;
    while begun.elapsed() < LONGEST_RUN {
        match sessions.deposits().get::<StoredOutcome>(slot).await? {
            Some(StoredOutcome::Running) => unanswered = 0,
            Some(stored) => return Ok(opened(sessions, stored)),
            None if unanswered == UNANSWERED => return Ok(Outcome::Gone),
            None => unanswered += 1,
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(Outcome::Gone)
}

fn opened(sessions: &Sessions, stored: StoredOutcome) -> Outcome {
    let outcome = match stored {
        StoredOutcome::Running => None,
        StoredOutcome::Entered { session, return_to } => {
            sessions.unpack(*session).map(|session| Outcome::Entered { session, return_to })
        }
        StoredOutcome::Denied { code, return_to } => {
            Denial::of_code(&code).map(|denial| Outcome::Denied { denial, return_to })
        }
        StoredOutcome::Failed { code, attempt, return_to } => {
            ProblemKind::of_code(&code).map(|kind| Outcome::Failed { kind, attempt, return_to })
        }
    };
    outcome.unwrap_or(Outcome::Gone)
}

/// The callbacks that this process is working on; one entry for each request that is being answered.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<Digest, watch::Receiver<Option<Outcome>>>>);

/// A callback's place among those that the process works on.
pub(super) enum Turn<'r> {
    /// The first: it does the work.
    First(Run<'r>),
    /// The same callback is being worked on.
    Later(watch::Receiver<Option<Outcome>>),
}

/// The work on a callback. Dropping it without an outcome lets those who wait go.
pub(super) struct Run<'r> {
    running: &'r Running,
    key: Digest,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Running {
    /// Begins the callback with this key, or joins it.
    pub(super) fn join(&self, key: Digest) -> Turn<'_> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outcome) = running.get(&key) {
            return Turn::Later(outcome.clone());
        }
        let (outcome, receiver) = watch::channel(None);
        running.insert(key, receiver);
        Turn::First(Run { running: self, key, outcome })
    }
}

impl Run<'_> {
    /// Gives the outcome to those who wait.
    pub(super) fn finish(self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The outcome of a callback that was joined.
pub(super) async fn joined(mut outcome: watch::Receiver<Option<Outcome>>) -> Outcome {
    match outcome.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Outcome::Gone),
        Err(_) => Outcome::Gone,
    }
}
