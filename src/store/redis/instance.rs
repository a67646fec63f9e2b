//! What the calls and the follower of other instances have in common: the servers, the names of keys, and this
//! instance's memory.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, time::Instant};

use super::{
    address::Address,
    answer::ScriptAnswer,
    keys::Keys,
    message::Message,
    script::{ANNOUNCE, Call, END, dated_number},
    servers::Servers,
};
use crate::{
    clock::Timestamp,
    secret::Random,
    store::{
        contract::{OpenStoreError, Sid, StoreError},
        local::Local,
    },
};

/// Ended sessions that wait for the store to be reachable again, so that the other instances can be told.
const MOST_UNANNOUNCED: usize = 10_000;
/// How many of them are announced between two looks at what other instances announced.
const ANNOUNCED_AT_ONCE: usize = 100;
/// The clocks of instances may differ by this much before one of them removes an end that another still needs.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// One instance's access to Redis.
pub(super) struct Instance {
    pub(super) servers: Servers,
    pub(super) keys: Keys,
    pub(super) local: Local,
    timeout: Duration,
    /// Sessions that ended here while the store was unreachable, and until when each end is remembered.
    unannounced: Mutex<VecDeque<(Sid, Timestamp)>>,
    /// Counts the numbers that were given to fences and claims.
    numbers: AtomicU64,
}

impl Instance {
    /// Connects from now on, on `runtime`.
    pub(super) fn new(address: Address, runtime: &Handle, random: &Random) -> Result<Self, OpenStoreError> {
        Ok(Self {
            servers: Servers::new(&address, runtime, random)?,
            keys: Keys::new(address.prefix),
            local: Local::new(),
            timeout: address.timeout,
            unannounced: Mutex::default(),
            numbers: AtomicU64::new(u64::from(std::process::id())),
        })
    }

    /// Runs a script that was given `now`.
    pub(super) async fn ask_at(&self, call: &Call, now: Timestamp) -> Result<ScriptAnswer, StoreError> {
        self.local.note_time(now);
        self.ask(call).await
    }

    /// Runs a script.
    pub(super) async fn ask(&self, call: &Call) -> Result<ScriptAnswer, StoreError> {
        self.ask_by(call, self.deadline()).await
    }

    /// Runs a script whose answer has to come by `deadline`.
    pub(super) async fn ask_by(&self, call: &Call, deadline: Instant) -> Result<ScriptAnswer, StoreError> {
        let answer = self.servers.run(call, deadline).await.map_err(StoreError::from);
        self.local.note_reachable(!matches!(answer, Err(StoreError::Unavailable(_))));
        ScriptAnswer::of(answer?)
    }

    /// When a call that begins now has to have its answer.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// A number for a fence or a claim.
    pub(super) fn fresh_number(&self, now: Timestamp) -> i64 {
        dated_number(now, self.numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Remembers here that a session has ended unless that is past its time, and wakes the tasks that wait for it.
    pub(super) fn note_end(&self, sid: Sid, until: Timestamp) {
        if until > self.local.latest() {
            self.local.note_end(sid, until);
        } else {
            self.local.waiters.wake(sid);
        }
    }

    /// Ends a session for all instances. First in its own record: from then on no instance stores a result or grants a
    /// lease. The list that tells the other instances may be on another node of a Cluster, so that is a second step.
    pub(super) async fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let deadline = self.deadline();
        let end = Call::new(&END, self.keys.session(sid)).moment(until).time_to_live(until, now);
        let announce = Call::new(&ANNOUNCE, self.keys.endings())
            .arg(sid.0)
            .moment(until)
            .moment(now.minus(CLOCK_SKEW))
            .time_to_live(until, now)
            .arg(self.keys.channel())
            .arg(Message::Ended(sid, until).encode());
        self.local.note_time(now);
        self.ask_by(&end, deadline).await?;
        self.ask_by(&announce, deadline).await.map(drop)
    }

    /// Has the other instances told of an ended session when the store is reachable again.
    pub(super) fn announce_later(&self, sid: Sid, until: Timestamp) {
        let mut unannounced = self.unannounced();
        if unannounced.len() < MOST_UNANNOUNCED {
            unannounced.push_back((sid, until));
        } else {
            tracing::error!(
                ?sid,
                "too many sessions ended while the store is unreachable: the other instances will not learn of this one"
            );
        }
    }

    /// Tells the other instances of the sessions that ended while the store was unreachable, as far as it is reachable
    /// now.
    pub(super) async fn announce_unannounced(&self) {
        // In a Cluster one node may be unreachable while others can be told, so an error does not end the round.
        for _ in 0..ANNOUNCED_AT_ONCE {
            let Some((sid, until)) = self.unannounced().pop_front() else { return };
            let now = self.local.latest();
            if until > now && self.end(sid, until, now).await.is_err() {
                self.announce_later(sid, until);
            }
        }
    }

    fn unannounced(&self) -> MutexGuard<'_, VecDeque<(Sid, Timestamp)>> {
        self.unannounced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
