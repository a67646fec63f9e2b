//! Stops a login loop: three logins of one browser for one path within 30 s. It happens when an application does not
//! accept the session and redirects to the login again.
//!
//! Only successful logins count, by the device id in the browser's cookie. So twenty tabs that start a login at the
//! same time are no loop, and clients behind one IP address are counted separately. A device id is a random UUID, so
//! no client can cause the page for another browser. Counts are in memory, bounded, and per instance: over several
//! instances a loop is noticed a few logins later.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use moka::sync::Cache;
use uuid::Uuid;

use crate::clock::Timestamp;

/// This many logins for one path within [`WINDOW`] are a loop.
const LOOP: usize = 3;
/// The time in which logins for one path are counted.
const WINDOW: Duration = Duration::from_secs(30);
/// Browsers whose logins are remembered; a loop of a browser that was evicted is noticed later.
const MAX_BROWSERS: u64 = 10_000;
/// Logins remembered per browser: a loop may alternate between several paths.
const MAX_LOGINS: usize = 12;

/// The recent logins of each browser.
#[derive(Debug)]
pub(super) struct LoopGuard {
    recent: Cache<Uuid, Arc<[RecentLogin]>>,
}

#[derive(Clone, Copy, Debug)]
struct RecentLogin {
    /// Hash of the path. The only effect of a collision: the page is shown too early.
    path: u64,
    at: Timestamp,
}

impl LoopGuard {
    pub(super) fn new() -> Self {
        Self { recent: Cache::builder().max_capacity(MAX_BROWSERS).time_to_live(2 * WINDOW).build() }
    }

    /// Records that a login of `device` ended at `return_to`.
    pub(super) fn record(&self, device: Uuid, return_to: &str, now: Timestamp) {
        let login = RecentLogin { path: hash(return_to), at: now };
        self.recent.entry(device).and_upsert_with(|stored| {
            let stored = stored.map(moka::Entry::into_value);
            let recent =
                stored.iter().flat_map(|logins| logins.iter()).filter(|login| now.since(login.at) < WINDOW).copied();
            std::iter::once(login).chain(recent).take(MAX_LOGINS).collect()
        });
    }

    /// Whether a login of `device` for `return_to` would continue a loop. If so, its logins are deleted, so that the
    /// link on the page works.
    pub(super) fn detects_loop(&self, device: Uuid, return_to: &str, now: Timestamp) -> bool {
        let Some(logins) = self.recent.get(&device) else { return false };
        let path = hash(return_to);
        let is_loop = logins.iter().filter(|login| login.path == path && now.since(login.at) < WINDOW).count() >= LOOP;
        if is_loop {
            self.recent.invalidate(&device);
        }
        is_loop
    }

    /// Deletes the logins of `device`; after a logout the next login is no loop.
    pub(super) fn forget(&self, device: Uuid) {
        self.recent.invalidate(&device);
    }
}

/// Hash of the path without query and fragment, which an application may change each time.
fn hash(return_to: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    return_to.split(['?', '#']).next().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Uuid = Uuid::from_u128(1);
    const START: Timestamp = Timestamp::from_secs(1_000);

    fn after(secs: u64) -> Timestamp {
        START.plus(Duration::from_secs(secs))
    }

    fn thrice(guard: &LoopGuard, path: &str) {
        for i in 0..3 {
            assert!(!guard.detects_loop(ONE, path, after(i)));
            guard.record(ONE, path, after(i));
        }
    }

    #[test]
    fn the_fourth_login_for_one_path_within_30_seconds_is_stopped_once() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a?n=1");
        assert!(guard.detects_loop(ONE, "/a?n=2", after(3)));
        assert!(!guard.detects_loop(ONE, "/a?n=2", after(3)), "the page's link works");
    }

    #[test]
    fn slow_logins_and_those_for_other_paths_or_of_other_browsers_are_no_loop() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a");
        assert!(!guard.detects_loop(ONE, "/b", after(3)));
        assert!(!guard.detects_loop(Uuid::from_u128(2), "/a", after(3)));
        assert!(!guard.detects_loop(ONE, "/a", after(30)));
    }

    #[test]
    fn a_logout_in_between_is_no_loop() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a");
        guard.forget(ONE);
        assert!(!guard.detects_loop(ONE, "/a", after(3)));
    }

    #[test]
    fn at_most_twelve_logins_of_a_browser_are_remembered() {
        let guard = LoopGuard::new();
        for i in 0..100 {
            guard.record(ONE, &format!("/{i}"), START);
        }
        assert_eq!(guard.recent.get(&ONE).unwrap().len(), MAX_LOGINS);
    }
}
