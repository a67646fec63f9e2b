//! The in-memory state of one instance for a store that it shares with other instances: `redis` and `postgres`.

use std::{
    sync::atomic::{AtomicI64, AtomicU8, Ordering},
    time::Duration,
};

use super::{
    contract::{Sid, clocks_agree},
    ended_sessions::EndedSessions,
    waiters::Waiters,
};
use crate::clock::{Clock, Timestamp};

/// A measurement of the store's clock whose call took longer than this says too little.
const LONGEST_MEASUREMENT: Duration = Duration::from_secs(1);
/// `LocalState::difference` before the first measurement.
const UNMEASURED: i64 = i64::MIN;

/// Values of `LocalState::reachable`.
const UNTRIED: u8 = 0;
const REACHABLE: u8 = 1;
const UNREACHABLE: u8 = 2;

/// What this instance remembers itself.
pub(super) struct LocalState {
    /// The sessions that have ended.
    pub(super) ended: EndedSessions,
    /// The tasks that wait for a lease of a session to be settled.
    pub(super) waiters: Waiters,
    /// The process's clock, for background tasks.
    clock: Clock,
    /// How far the store's clock is ahead of `clock`, in milliseconds, or [`UNMEASURED`].
    difference: AtomicI64,
    /// In tests whose calls say what time it is: the latest `now` of any call, in milliseconds since the Unix epoch. It
    /// is then the time of this process and of the server.
    #[cfg(test)]
    latest: Option<AtomicI64>,
    /// Whether the last call got an answer.
    reachable: AtomicU8,
}

impl LocalState {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            ended: EndedSessions::new(),
            waiters: Waiters::default(),
            clock,
            difference: AtomicI64::new(UNMEASURED),
            #[cfg(test)]
            latest: None,
            reachable: AtomicU8::new(UNTRIED),
        }
    }

    /// The time by this process's clock.
    pub(super) fn now(&self) -> Timestamp {
        #[cfg(test)]
        if let Some(latest) = &self.latest {
            return Timestamp::from_millis(latest.load(Ordering::Relaxed));
        }
        self.clock.now()
    }

    /// Records the time `at` of the store's clock, which a call answered that was sent at `asked_at`.
    pub(super) fn note_store_time(&self, at: Timestamp, asked_at: Timestamp) {
        #[cfg(test)]
        if self.latest.is_some() {
            return;
        }
        let took = self.now().since(asked_at);
        if took <= LONGEST_MEASUREMENT {
            let difference = at.as_millis().saturating_sub(asked_at.plus(took / 2).as_millis());
            let before = self.difference.swap(difference, Ordering::Relaxed);
            let did_agree = before == UNMEASURED || clocks_agree(before);
            match (did_agree, clocks_agree(difference)) {
                (true, false) => tracing::warn!(
                    store_is_ahead_by_ms = difference,
                    "the clocks of this instance and of the store differ by more than 2 s: set the clocks; leases and \
                     expiry follow the store's, but tokens are judged by this instance's"
                ),
                (false, true) => tracing::info!("the clocks of this instance and of the store agree again"),
                _ => {}
            }
        }
    }

    /// How far the store's clock is ahead of this process's, in milliseconds; `None` before the first measurement.
    pub(super) fn clock_difference(&self) -> Option<i64> {
        Some(self.difference.load(Ordering::Relaxed)).filter(|difference| *difference != UNMEASURED)
    }

    /// A time of the store's clock by this process's clock.
    pub(super) fn by_own_clock(&self, moment: Timestamp) -> Timestamp {
        Timestamp::from_millis(moment.as_millis().saturating_sub(self.clock_difference().unwrap_or(0)))
    }

    /// Remembers until `until` that a session has ended, sends its id to the receivers, and wakes the tasks that wait
    /// for it.
    pub(super) fn note_end(&self, sid: Sid, until: Timestamp) {
        self.ended.add(sid, until);
        self.waiters.wake(sid);
    }

    /// Records whether the last call got an answer.
    pub(super) fn note_reachable(&self, is_reachable: bool) {
        self.reachable.store(if is_reachable { REACHABLE } else { UNREACHABLE }, Ordering::Relaxed);
    }

    /// Whether the last call got an answer; `None` before the first one.
    pub(super) fn is_reachable(&self) -> Option<bool> {
        match self.reachable.load(Ordering::Relaxed) {
            UNTRIED => None,
            noted => Some(noted == REACHABLE),
        }
    }
}

#[cfg(test)]
impl LocalState {
    /// For tests in which the `now` of a call is also the time of the server.
    pub(super) fn in_time_of_calls() -> Self {
        Self { latest: Some(AtomicI64::new(0)), ..Self::new(Clock::system()) }
    }

    /// Records the `now` of a call.
    pub(super) fn note_time(&self, now: Timestamp) {
        if let Some(latest) = &self.latest {
            latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
    }

    /// The server's time for a call at `now`; `None`: the server's own.
    pub(super) fn server_time(&self, now: Timestamp) -> Option<Timestamp> {
        self.note_time(now);
        self.latest.is_some().then_some(now)
    }
}
