//! Stops a login loop: three logins of one browser for one path within 30 s, because the application does not accept
//! the session and sends the visitor back to the login.
//!
//! Only logins that succeeded count, by the device id in the browser's cookie. So twenty tabs that start a login at
//! once are no loop, and people behind one address do not count for each other. A device id is a random UUID: nobody
//! can cause the page for somebody else, and the page itself is only a link. Counts are in memory, bounded, and per
//! instance; a loop over several instances takes a few turns more.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use moka::sync::Cache;
use uuid::Uuid;

use crate::clock::Timestamp;

/// Logins for one path within [`WINDOW`] that are a loop.
const LOOP: usize = 3;
/// The time in which logins for one path are counted.
const WINDOW: Duration = Duration::from_secs(30);
/// Browsers whose logins are remembered; of the others a loop is noticed later.
const MAX_BROWSERS: u64 = 10_000;

/// Logins remembered of one browser: a loop may go over several paths.
const MAX_ARRIVALS: usize = 12;

/// The recent logins of each browser.
#[derive(Debug)]
pub(super) struct LoopGuard {
    recent: Cache<Uuid, Arc<[Arrival]>>,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// Hash of the path. Two paths with the same hash show the page too early, no more.
    path: u64,
    at: Timestamp,
}

impl LoopGuard {
    pub(super) fn new() -> Self {
        Self { recent: Cache::builder().max_capacity(MAX_BROWSERS).time_to_live(2 * WINDOW).build() }
    }

    /// Records that a login of `device` ended at `return_to`.
    pub(super) fn arrived(&self, device: Uuid, return_to: &str, now: Timestamp) {
        let arrival = Arrival { path: hash(return_to), at: now };
        self.recent.entry(device).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value);
            let recent =
                known.iter().flat_map(|arrivals| arrivals.iter()).filter(|a| now.since(a.at) < WINDOW).copied();
            std::iter::once(arrival).chain(recent).take(MAX_ARRIVALS).collect()
        });
    }

    /// Whether `device` starts one login too many for `return_to`. Its count starts again then, so that the link on the
    /// page works.
    pub(super) fn trips(&self, device: Uuid, return_to: &str, now: Timestamp) -> bool {
        let Some(arrivals) = self.recent.get(&device) else { return false };
        let path = hash(return_to);
        let trips = arrivals.iter().filter(|a| a.path == path && now.since(a.at) < WINDOW).count() >= LOOP;
        if trips {
            self.recent.invalidate(&device);
        }
        trips
    }

    /// Forgets the logins of `device`, after a logout: the next login is no loop.
    pub(super) fn forget(&self, device: Uuid) {
        self.recent.invalidate(&device);
    }
}

/// Hash of the path without query and fragment: in a loop an application may change them each time.
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
            assert!(!guard.trips(ONE, path, after(i)));
            guard.arrived(ONE, path, after(i));
        }
    }

    #[test]
    fn the_fourth_login_for_one_path_within_the_window_trips_once() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a?n=1");
        assert!(guard.trips(ONE, "/a?n=2", after(3)));
        assert!(!guard.trips(ONE, "/a?n=2", after(3)), "the page's link works");
    }

    #[test]
    fn slow_logins_and_those_for_other_paths_or_of_other_browsers_are_no_loop() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a");
        assert!(!guard.trips(ONE, "/b", after(3)));
        assert!(!guard.trips(Uuid::from_u128(2), "/a", after(3)));
        assert!(!guard.trips(ONE, "/a", after(30)));
    }

    #[test]
    fn a_logout_in_between_is_no_loop() {
        let guard = LoopGuard::new();
        thrice(&guard, "/a");
        guard.forget(ONE);
        assert!(!guard.trips(ONE, "/a", after(3)));
    }

    #[test]
    fn at_most_twelve_logins_of_a_browser_are_remembered() {
        let guard = LoopGuard::new();
        for i in 0..100 {
            guard.arrived(ONE, &format!("/{i}"), START);
        }
        assert_eq!(guard.recent.get(&ONE).unwrap().len(), MAX_ARRIVALS);
    }
}
