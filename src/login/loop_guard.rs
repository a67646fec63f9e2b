//! Three logins of one browser for one path within 30 s: the application and the gateway send the visitor to and fro, and a page must stop it.
//!
//! Counted are logins that succeeded, by the device id of the browser's cookie: so twenty tabs that begin a login at once are no loop, a failed login (which ends on a page
//! anyway) is none, and people behind one address do not count for each other. Nobody can trip it for somebody else, as a device id is a random UUID. What can be
//! reached by it is a page with a link. It is kept in memory, bounded, and per instance: with several, a loop takes a few turns more.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use moka::sync::Cache;
use uuid::Uuid;

use crate::clock::Timestamp;

/// So many logins for one path …
const MOST: usize = 3;
/// … within so long are a loop.
const WINDOW: Duration = Duration::from_secs(30);
/// Browsers that logged in lately; past that the least interesting are forgotten, and their loops take longer to be seen.
const MOST_BROWSERS: u64 = 10_000;

/// Logins remembered of one browser: several paths may take turns.
const MOST_ARRIVALS: usize = 12;

/// Remembers who logged in lately for what.
#[derive(Debug)]
pub(super) struct LoopGuard {
    recent: Cache<Uuid, Arc<[Arrival]>>,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// A hash: if two paths meet in it, a page is shown too early.
    path: u64,
    at: Timestamp,
}

impl LoopGuard {
    pub(super) fn new() -> Self {
        Self { recent: Cache::builder().max_capacity(MOST_BROWSERS).time_to_live(2 * WINDOW).build() }
    }

    /// A login of `device` has ended at `return_to`.
    pub(super) fn arrived(&self, device: Uuid, return_to: &str, now: Timestamp) {
        let arrival = Arrival { path: hash(return_to), at: now };
        self.recent.entry(device).and_upsert_with(|known| {
            let known = known.map(moka::Entry::into_value);
            let recent =
                known.iter().flat_map(|arrivals| arrivals.iter()).filter(|a| now.since(a.at) < WINDOW).copied();
            std::iter::once(arrival).chain(recent).take(MOST_ARRIVALS).collect()
        });
    }

    /// True where `device` is about to begin one login too many for `return_to`. What was counted is forgotten then, so that the page's link works.
    pub(super) fn trips(&self, device: Uuid, return_to: &str, now: Timestamp) -> bool {
        let Some(arrivals) = self.recent.get(&device) else { return false };
        let path = hash(return_to);
        let trips = arrivals.iter().filter(|a| a.path == path && now.since(a.at) < WINDOW).count() >= MOST;
        if trips {
            self.recent.invalidate(&device);
        }
        trips
    }

    /// The person of `device` logged out: what follows is no loop.
    pub(super) fn forget(&self, device: Uuid) {
        self.recent.invalidate(&device);
    }
}

/// Of the path alone: an application in a loop may change its query each time.
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
    fn logins_that_take_their_time_go_elsewhere_or_come_from_others_are_no_loop() {
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
    fn what_is_remembered_of_a_browser_is_bounded() {
        let guard = LoopGuard::new();
        for i in 0..100 {
            guard.arrived(ONE, &format!("/{i}"), START);
        }
        assert_eq!(guard.recent.get(&ONE).unwrap().len(), MOST_ARRIVALS);
    }
}
