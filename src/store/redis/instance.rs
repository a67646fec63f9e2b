//! The state that calls and `follow.rs` share: the servers, the names of keys, and this instance's memory.

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
    keys::KeyNames,
    message::InstanceMessage,
    script::{ANNOUNCE, END, ScriptCall},
    servers::Servers,
};
use crate::{
    alarm,
    clock::Timestamp,
    secret::Random,
    store::{
        contract::{OpenStoreError, Sid, StoreError},
        local::LocalState,
    },
};

/// Most ended sessions that wait to be announced to other instances until the store can be reached again.
const MOST_UNANNOUNCED: usize = 10_000;
/// How many of them are announced between two readings of the list.
const ANNOUNCED_AT_ONCE: usize = 100;

/// This instance's access to Redis.
pub(super) struct Instance {
    pub(super) servers: Servers,
    pub(super) keys: KeyNames,
    pub(super) local: LocalState,
    timeout: Duration,
    /// Sessions that ended here while the store was unreachable, each with the time until which the end is remembered.
    unannounced: Mutex<VecDeque<(Sid, Timestamp)>>,
    /// The count of fences and claims. It starts with the process id.
    numbers: AtomicU64,
}

impl Instance {
    /// Starts tasks on `runtime` that connect to the servers.
    pub(super) fn new(
        address: Address,
        runtime: &Handle,
        random: &Random,
        local: LocalState,
    ) -> Result<Self, OpenStoreError> {
        Ok(Self {
            servers: Servers::new(&address, runtime, random)?,
            keys: KeyNames::new(address.prefix),
            local,
            timeout: address.timeout,
            unannounced: Mutex::default(),
            numbers: AtomicU64::new(u64::from(std::process::id())),
        })
    }

    /// Runs a script for a caller whose clock shows `now`.
    pub(super) async fn ask(&self, call: ScriptCall, now: Timestamp) -> Result<ScriptAnswer, StoreError> {
        self.ask_by(call, now, self.deadline()).await
    }

    /// Runs a script with a deadline.
    pub(super) async fn ask_by(
        &self,
        call: ScriptCall,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<ScriptAnswer, StoreError> {
        #[cfg(test)]
        let call = call.at_server_time(self.local.server_time(now));
        let answer = self.servers.run(&call, deadline).await.map_err(StoreError::from);
        self.local.note_reachable(!matches!(answer, Err(StoreError::Unavailable(_))));
        ScriptAnswer::of(answer?, now)
    }

    /// The deadline of a call that begins now.
    pub(super) fn deadline(&self) -> Instant {
        alarm::after(Instant::now(), self.timeout)
    }

    /// The last 10 bits of a new fence or claim, which distinguish those of one millisecond.
    pub(super) fn fresh_number(&self) -> i64 {
        i64::try_from(self.numbers.fetch_add(1, Ordering::Relaxed) % 1024).unwrap_or_default()
    }

    /// Wakes the tasks that wait for a session that has ended. If `until`, by this process's clock, is in the future,
    /// the end is remembered in this process.
    pub(super) fn note_end(&self, sid: Sid, until: Timestamp) {
        if until > self.local.now() {
            self.local.note_end(sid, until);
        } else {
            self.local.waiters.wake(sid);
        }
    }

    /// Ends a session for all instances. The first step is in its record: after it no result is stored and no lease is
    /// granted. The list for other instances may be on another node of a Cluster, so it needs a second step.
    pub(super) async fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let deadline = self.deadline();
        let end = ScriptCall::new(&END, self.keys.session(sid)).moment(until, now).time_to_live(until, now);
        let announce = ScriptCall::new(&ANNOUNCE, self.keys.endings())
            .arg(sid.0)
            .moment(until, now)
            .time_to_live(until, now)
            .arg(self.keys.channel())
            .arg(InstanceMessage::ended_before_time(sid));
        self.ask_by(end, now, deadline).await?;
        self.ask_by(announce, now, deadline).await.map(drop)
    }

    /// Queues an ended session, to announce it to other instances when the store can be reached again.
    pub(super) fn announce_later(&self, sid: Sid, until: Timestamp) {
        let mut unannounced = self.unannounced();
        if unannounced.len() < MOST_UNANNOUNCED {
            unannounced.push_back((sid, until));
        } else {
            tracing::error!(
                ?sid,
                "too many sessions ended while the store is unreachable: this one will not be announced to other instances"
            );
        }
    }

    /// Announces the sessions that ended while the store was unreachable to other instances.
    pub(super) async fn announce_unannounced(&self) {
        // In a Cluster, one node may be unreachable while others answer, so an error does not end the loop.
        for _ in 0..ANNOUNCED_AT_ONCE {
            let Some((sid, until)) = self.unannounced().pop_front() else { return };
            let now = self.local.now();
            if until > now && self.end(sid, until, now).await.is_err() {
                self.announce_later(sid, until);
            }
        }
    }

    fn unannounced(&self) -> MutexGuard<'_, VecDeque<(Sid, Timestamp)>> {
        self.unannounced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
