//! What this instance knows of a session beyond the cookies of one request: whether it has ended, its newest tokens, and how often its access token was refused.
//!
//! There is one [`SessionState`] for a `sid` as long as anything holds it (an opened cookie, a request, a stream, a refresh).

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

use super::Session;
use crate::{
    clock::Timestamp,
    store::{Generation, Sid},
};

/// A backend that answers 401 to everything must not turn into a refresh for each request.
const REFRESHES_FROM_401: usize = 5;
const WINDOW_OF_401: Duration = Duration::from_secs(60);

/// What this instance knows of one session.
#[derive(Debug)]
pub(super) struct SessionState {
    pub(super) sid: Sid,
    ended: AtomicBool,
    ending: Notify,
    newest: ArcSwapOption<Session>,
    /// One more than the highest generation that a visitor showed; 0: none beyond the login's yet.
    acknowledged: AtomicU32,
    /// When that was, in milliseconds.
    acknowledged_at: AtomicI64,
    last_seen: AtomicI64,
    from_401: Mutex<VecDeque<Timestamp>>,
}

impl SessionState {
    fn new(sid: Sid) -> Self {
        Self {
            sid,
            ended: AtomicBool::new(false),
            ending: Notify::new(),
            newest: ArcSwapOption::empty(),
            acknowledged: AtomicU32::new(0),
            acknowledged_at: AtomicI64::new(0),
            last_seen: AtomicI64::new(0),
            from_401: Mutex::default(),
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

    /// True where tokens of a generation above `generation` are known. Cheap: asked for every request.
    pub(super) fn knows_newer_than(&self, generation: Generation) -> bool {
        self.newest.load().as_ref().is_some_and(|s| s.access.generation > generation)
    }

    /// Takes `session` as the newest unless a newer one is known, or the session has ended.
    pub(super) fn learn(&self, session: &Arc<Session>) {
        if self.has_ended() {
            return;
        }
        self.newest.rcu(|known| match known {
            Some(known) if known.access.generation >= session.access.generation => Some(known.clone()),
            _ => Some(session.clone()),
        });
    }

    /// True for the first sight of `generation` (or one above it) on this instance.
    pub(super) fn first_sight_of(&self, generation: Generation, now: Timestamp) -> bool {
        let mark = generation.saturating_add(1);
        let is_first = self.acknowledged.fetch_max(mark, Ordering::Relaxed) < mark;
        if is_first {
            self.acknowledged_at.store(now.as_millis(), Ordering::Relaxed);
        }
        is_first
    }

    /// True where a visitor showed a generation above `generation` before `moment`.
    pub(super) fn was_succeeded(&self, generation: Generation, moment: Timestamp) -> bool {
        self.acknowledged.load(Ordering::Relaxed) > generation.saturating_add(1)
            && self.acknowledged_at.load(Ordering::Relaxed) < moment.as_millis()
    }

    pub(super) fn see(&self, now: Timestamp) {
        self.last_seen.store(now.as_millis(), Ordering::Relaxed);
    }

    pub(super) fn last_seen(&self) -> Timestamp {
        Timestamp::from_millis(self.last_seen.load(Ordering::Relaxed))
    }

    /// True while a 401 may still cause a refresh; counts it.
    pub(super) fn may_refresh_after_401(&self, now: Timestamp) -> bool {
        let mut times = self.from_401.lock().unwrap_or_else(PoisonError::into_inner);
        while times.front().is_some_and(|t| now.since(*t) >= WINDOW_OF_401) {
            times.pop_front();
        }
        let may = times.len() < REFRESHES_FROM_401;
        if may {
            times.push_back(now);
        }
        may
    }
}

/// Finds the state of a session. Holds it weakly: what nothing refers to any more is forgotten.
#[derive(Debug, Default)]
pub(super) struct States {
    shards: [Mutex<HashMap<Sid, Weak<SessionState>>>; 16],
}

impl States {
    /// The state of `sid`, made where there is none; `ended` says whether a new one begins as ended.
    pub(super) fn of(&self, sid: Sid, ended: impl FnOnce() -> bool) -> Arc<SessionState> {
        let mut shard = self.shard(sid);
        if let Some(state) = shard.get(&sid).and_then(Weak::upgrade) {
            return state;
        }
        // Dead entries are swept when the map would grow: its size stays within twice the live ones.
        if shard.len() == shard.capacity() {
            shard.retain(|_, state| state.strong_count() > 0);
        }
        let state = Arc::new(SessionState::new(sid));
        state.ended.store(ended(), Ordering::Release);
        shard.insert(sid, Arc::downgrade(&state));
        state
    }

    /// The state of `sid`, where something still refers to it.
    pub(super) fn known(&self, sid: Sid) -> Option<Arc<SessionState>> {
        self.shard(sid).get(&sid).and_then(Weak::upgrade)
    }

    /// Every session that is known here.
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
    fn there_is_one_state_for_a_session_while_anything_holds_it() {
        let states = States::default();
        let first = states.of(SID, || false);
        assert!(Arc::ptr_eq(&first, &states.of(SID, || true)));
        drop(first);
        assert!(states.known(SID).is_none());
        assert!(states.of(SID, || true).has_ended());
    }

    #[test]
    fn five_401s_a_minute_may_refresh() {
        let state = SessionState::new(SID);
        let start = Timestamp::from_secs(1_000);
        assert_eq!((0..9).filter(|_| state.may_refresh_after_401(start)).count(), 5);
        assert!(state.may_refresh_after_401(start.plus(Duration::from_secs(60))));
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_is_told_even_when_it_came_before() {
        let state = SessionState::new(SID);
        state.end();
        state.until_ended().await;
    }
}
