//! The state that this instance has of a session besides the cookies of a request: whether it has ended, its newest
//! tokens, and how many refreshes 401s of upstreams have caused.
//!
//! There is one [`SessionState`] for each `sid` while an opened cookie, a request, a stream or a refresh refers to it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::grant::Session;
use crate::{
    clock::Timestamp,
    store::{Generation, Sid},
};

/// Refreshes that 401s may cause in [`WINDOW_OF_401`]: a backend that answers 401 to every request must not cause a
/// refresh for each of them.
const REFRESHES_FROM_401: usize = 5;
const WINDOW_OF_401: Duration = Duration::from_secs(60);

/// The state of one session on this instance.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) sid: Sid,
    ended: AtomicBool,
    ending: Notify,
    newest: ArcSwapOption<Session>,
    /// One more than the highest generation that a request had; 0 before the first.
    highest_shown: AtomicU32,
    /// When a request first had that generation, in milliseconds since the Unix epoch.
    shown_at: AtomicI64,
    /// Time of the session's last request, in milliseconds since the Unix epoch.
    last_seen: AtomicI64,
    refreshes_from_401: Mutex<VecDeque<Timestamp>>,
    /// Refreshes by `POST /refresh` that could not be counted in the store.
    forced_refreshes: Mutex<VecDeque<Timestamp>>,
}

impl SessionState {
    fn new(sid: Sid) -> Self {
        Self {
            sid,
            ended: AtomicBool::new(false),
            ending: Notify::new(),
            newest: ArcSwapOption::empty(),
            highest_shown: AtomicU32::new(0),
            shown_at: AtomicI64::new(0),
            last_seen: AtomicI64::new(0),
            refreshes_from_401: Mutex::default(),
            forced_refreshes: Mutex::default(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.newest.store(None);
        self.ending.notify_waiters();
    }

    /// Resolves when the session ends.
    pub(super) async fn until_ended(&self) {
        let ending = self.ending.notified();
        tokio::pin!(ending);
        ending.as_mut().enable();
        if !self.has_ended() {
            ending.await;
        }
    }

    /// The newest tokens that this instance obtained or read, if any.
    pub(super) fn newest(&self) -> Option<Arc<Session>> {
        self.newest.load_full()
    }

    /// True if the newest tokens have a generation above `generation`. Cheap, because every request calls this.
    pub(super) fn has_newer_than(&self, generation: Generation) -> bool {
        self.newest.load().as_ref().is_some_and(|s| s.access.generation > generation)
    }

    /// Sets `session` as the newest tokens, unless there are newer ones or the session has ended.
    pub(super) fn update_newest(&self, session: &Arc<Session>) {
        if self.has_ended() {
            return;
        }
        self.newest.rcu(|known| match known {
            Some(known) if known.access.generation >= session.access.generation => Some(known.clone()),
            _ => Some(session.clone()),
        });
    }

    /// Records that a request had `generation`. True if none on this instance had this or a higher one before.
    pub(super) fn mark_shown(&self, generation: Generation, now: Timestamp) -> bool {
        let mark = generation.saturating_add(1);
        let is_first = self.highest_shown.fetch_max(mark, Ordering::Relaxed) < mark;
        if is_first {
            self.shown_at.store(now.as_millis(), Ordering::Relaxed);
        }
        is_first
    }

    /// True if a request had a generation above `generation` before `moment`.
    pub(super) fn was_succeeded(&self, generation: Generation, moment: Timestamp) -> bool {
        self.highest_shown.load(Ordering::Relaxed) > generation.saturating_add(1)
            && self.shown_at.load(Ordering::Relaxed) < moment.as_millis()
    }

    /// Records a request of the session at `now`.
    pub(super) fn mark_seen(&self, now: Timestamp) {
        self.last_seen.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// True if a 401 may cause a refresh now; that refresh is counted.
    pub(super) fn may_refresh_after_401(&self, now: Timestamp) -> bool {
        count(&self.refreshes_from_401, REFRESHES_FROM_401, WINDOW_OF_401, now).is_none()
    }

    /// Counts a refresh by `POST /refresh`; the time until one is admitted if there were `most` within `window`.
    pub(super) fn forced_too_often(&self, most: usize, window: Duration, now: Timestamp) -> Option<Duration> {
        count(&self.forced_refreshes, most, window, now)
    }
}

/// Counts an event, unless there were `most` within `window`: then the time until one more is admitted.
fn count(times: &Mutex<VecDeque<Timestamp>>, most: usize, window: Duration, now: Timestamp) -> Option<Duration> {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    while times.front().is_some_and(|time| now.since(*time) >= window) {
        times.pop_front();
    }
    if times.len() < most {
        times.push_back(now);
        return None;
    }
    times.front().map(|first| first.plus(window).since(now))
}

/// The session states of this process, by `sid`. The references are weak: a state is dropped with its last other user.
#[derive(Debug, Default)]
pub(super) struct SessionStates {
    shards: [Mutex<HashMap<Sid, Weak<SessionState>>>; 16],
}

impl SessionStates {
    /// The state of `sid`, created if there is none; `ended` is then called for whether it begins as ended.
    pub(super) fn find_or_create(&self, sid: Sid, ended: impl FnOnce() -> bool) -> Arc<SessionState> {
        let mut shard = self.shard(sid);
        if let Some(state) = shard.get(&sid).and_then(Weak::upgrade) {
            return state;
        }
        // Dropped states are removed when the map would grow, so it has at most twice as many entries as live states.
        if shard.len() == shard.capacity() {
            shard.retain(|_, state| state.strong_count() > 0);
        }
        let state = Arc::new(SessionState::new(sid));
        state.ended.store(ended(), Ordering::Release);
        shard.insert(sid, Arc::downgrade(&state));
        state
    }

    /// The state of `sid`, if it is in use.
    pub(super) fn find(&self, sid: Sid) -> Option<Arc<SessionState>> {
        self.shard(sid).get(&sid).and_then(Weak::upgrade)
    }

    /// All states that are in use.
    pub(super) fn all(&self) -> Vec<Arc<SessionState>> {
        let shards = self.shards.iter().map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner));
        shards.flat_map(|shard| shard.values().filter_map(Weak::upgrade).collect::<Vec<_>>()).collect()
    }

    fn shard(&self, sid: Sid) -> std::sync::MutexGuard<'_, HashMap<Sid, Weak<SessionState>>> {
        self.shards[usize::from(sid.0[0] & 15)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: Sid = Sid([3; 16]);

    #[test]
    fn a_session_has_one_state_while_it_is_in_use() {
        let states = SessionStates::default();
        let first = states.find_or_create(SID, || false);
        assert!(Arc::ptr_eq(&first, &states.find_or_create(SID, || true)));
        drop(first);
        assert!(states.find(SID).is_none());
        assert!(states.find_or_create(SID, || true).has_ended());
    }

    #[test]
    fn five_401s_a_minute_may_cause_a_refresh() {
        let state = SessionState::new(SID);
        let start = Timestamp::from_secs(1_000);
        assert_eq!((0..9).filter(|_| state.may_refresh_after_401(start)).count(), 5);
        assert!(state.may_refresh_after_401(start.plus(Duration::from_secs(60))));
    }

    #[tokio::test]
    async fn waiting_for_the_end_of_a_session_that_has_ended_returns_at_once() {
        let state = SessionState::new(SID);
        state.end();
        state.until_ended().await;
    }
}
