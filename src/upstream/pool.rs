//! Idle upstream connections, stored by the thread whose runtime they belong to: no lock, no wake-up across threads.

use std::{cell::RefCell, mem, time::Duration};

use tokio::time::{Instant, sleep};

use super::connection::UpstreamConnection;

/// Idle connections of one thread to one target at most. More than a thread has in flight to a target at once:
/// with fewer, each burst would close connections and open new ones, which costs more than the requests.
const MAX_IDLE_PER_TARGET: usize = 512;

/// How often a thread closes idle connections that may not be used again.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { targets: Vec::new(), has_sweeper: false }) };
}

struct Pool {
    /// One for each target with idle connections; few enough for a linear search.
    targets: Vec<TargetPool>,
    /// Whether a task of this thread's runtime closes idle connections that may not be used again.
    has_sweeper: bool,
}

struct TargetPool {
    target: u64,
    /// Newest last.
    #[expect(clippy::vec_box, reason = "a request moves the box between pool and tasks, not the connection's bytes")]
    idle: Vec<Box<UpstreamConnection>>,
}

/// The most recently used connection to `target` that may be used again. The target may have closed it.
pub(super) fn take(target: u64, now: Instant) -> Option<Box<UpstreamConnection>> {
    POOL.with_borrow_mut(|pool| {
        let pool = pool.targets.iter_mut().find(|pool| pool.target == target)?;
        while let Some(mut connection) = pool.idle.pop() {
            if connection.is_usable(now) {
                return Some(connection);
            }
        }
        None
    })
}

/// Stores a connection that is ready for the next request.
pub(super) fn put(connection: Box<UpstreamConnection>) {
    // An error means that the thread is ending; the connection is closed.
    let start_sweeping = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let target = connection.request.target().id;
        let entry = if let Some(at) = pool.targets.iter().position(|entry| entry.target == target) {
            &mut pool.targets[at]
        } else {
            pool.targets.push(TargetPool { target, idle: Vec::new() });
            pool.targets.last_mut().expect("a target was just added")
        };
        if entry.idle.len() < MAX_IDLE_PER_TARGET {
            entry.idle.push(connection);
        }
        !mem::replace(&mut pool.has_sweeper, true)
    });
    if start_sweeping == Ok(true) {
        // Not awaited: it ends when no connection is left, or with the runtime.
        tokio::spawn(sweep_until_empty());
    }
}

/// Closes all idle connections to `target`: the newest one was closed by the target, so the older ones are too.
pub(super) fn forget(target: u64) {
    drop(POOL.with_borrow_mut(|pool| {
        let at = pool.targets.iter().position(|entry| entry.target == target)?;
        Some(pool.targets.swap_remove(at))
    }));
}

async fn sweep_until_empty() {
    let _guard = SweeperGuard;
    loop {
        sleep(SWEEP_INTERVAL).await;
        let now = Instant::now();
        let empty = POOL.with_borrow_mut(|pool| {
            pool.targets.retain_mut(|entry| {
                entry.idle.retain_mut(|connection| connection.is_usable(now));
                // Idle connections to an address that is gone are found without a request too.
                let names = entry.idle.first().and_then(|connection| connection.request.target().addresses.as_ref());
                names.inspect(|addresses| addresses.refresh_if_due(now));
                !entry.idle.is_empty()
            });
            pool.targets.is_empty()
        });
        if empty {
            return;
        }
    }
}

/// Records that the thread has no sweeper any more, also when the runtime drops the task.
struct SweeperGuard;

impl Drop for SweeperGuard {
    fn drop(&mut self) {
        // An error means that the thread is ending.
        let _ = POOL.try_with(|pool| pool.borrow_mut().has_sweeper = false);
    }
}

/// Idle connections of this thread to `target`.
#[cfg(test)]
pub(super) fn idle_count(target: u64) -> usize {
    POOL.with_borrow(|pool| {
        pool.targets.iter().find(|entry| entry.target == target).map_or(0, |entry| entry.idle.len())
    })
}

/// Makes the idle connections of this thread to `target` older by `span`.
#[cfg(test)]
pub(super) fn age(target: u64, span: Duration) {
    POOL.with_borrow_mut(|pool| {
        for entry in pool.targets.iter_mut().filter(|entry| entry.target == target) {
            entry.idle.iter_mut().for_each(|connection| connection.age(span));
        }
    });
}
