//! Idle connections, kept by the thread whose runtime they belong to: no lock, and no wake-up across threads.

use std::{cell::RefCell, mem, time::Duration};

use tokio::time::{Instant, sleep};

use super::connection::Link;

/// Idle connections kept to one target by one thread. Above what a thread has in flight to it at once: with fewer, every burst
/// closes connections and makes them anew, which costs more than the requests do.
const KEPT: usize = 512;

/// An idle connection is given up after this, below the 75 s after which nginx closes one. Servers that close sooner are noticed
/// when their connection is taken.
const IDLE: Duration = Duration::from_secs(60);

/// How often a thread looks for connections that have been idle too long.
const SWEEP: Duration = Duration::from_secs(15);

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { shelves: Vec::new(), swept: false }) };
}

struct Pool {
    /// One for each target with idle connections; few enough to be searched in a row.
    shelves: Vec<Shelf>,
    /// Whether a task of this thread's runtime sweeps.
    swept: bool,
}

struct Shelf {
    target: u64,
    /// Newest last.
    idle: Vec<Idle>,
}

struct Idle {
    link: Box<Link>,
    since: Instant,
}

/// The connection to `target` that was used last, and how long it has been idle. It may have been closed by the other side.
pub(super) fn take(target: u64, now: Instant) -> Option<(Box<Link>, Duration)> {
    POOL.with_borrow_mut(|pool| {
        let shelf = pool.shelves.iter_mut().find(|shelf| shelf.target == target)?;
        let Idle { link, since } = shelf.idle.pop()?;
        let idle = now.saturating_duration_since(since);
        if idle < IDLE {
            return Some((link, idle));
        }
        // All others have been idle for longer.
        shelf.idle.clear();
        None
    })
}

/// Keeps a settled connection for the next request.
pub(super) fn put(link: Box<Link>) {
    let now = Instant::now();
    // Fails only while the thread ends; the connection is then closed.
    let start_sweeping = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let shelf = if let Some(at) = pool.shelves.iter().position(|shelf| shelf.target == link.target) {
            &mut pool.shelves[at]
        } else {
            pool.shelves.push(Shelf { target: link.target, idle: Vec::new() });
            pool.shelves.last_mut().expect("a shelf was just added")
        };
        if shelf.idle.len() < KEPT {
            shelf.idle.push(Idle { link, since: now });
        }
        !mem::replace(&mut pool.swept, true)
    });
    if start_sweeping == Ok(true) {
        // Nobody waits for it: it ends by itself when nothing is left to sweep, and with the runtime at the latest.
        tokio::spawn(sweep_until_empty());
    }
}

/// Closes all idle connections to `target`: the newest of them was dead, so the older ones are.
pub(super) fn forget(target: u64) {
    drop(POOL.with_borrow_mut(|pool| {
        let at = pool.shelves.iter().position(|shelf| shelf.target == target)?;
        Some(pool.shelves.swap_remove(at))
    }));
}

async fn sweep_until_empty() {
    let _done = Sweeping;
    loop {
        sleep(SWEEP).await;
        let now = Instant::now();
        let empty = POOL.with_borrow_mut(|pool| {
            pool.shelves.retain_mut(|shelf| {
                shelf.idle.retain(|idle| now.saturating_duration_since(idle.since) < IDLE);
                !shelf.idle.is_empty()
            });
            pool.shelves.is_empty()
        });
        if empty {
            return;
        }
    }
}

/// Says that the thread is no longer swept, also when the runtime drops the task.
struct Sweeping;

impl Drop for Sweeping {
    fn drop(&mut self) {
        // Fails only while the thread ends.
        let _ = POOL.try_with(|pool| pool.borrow_mut().swept = false);
    }
}

/// Idle connections of this thread to `target`.
#[cfg(test)]
pub(super) fn kept(target: u64) -> usize {
    POOL.with_borrow(|pool| {
        pool.shelves.iter().find(|shelf| shelf.target == target).map_or(0, |shelf| shelf.idle.len())
    })
}

/// Lets the idle connections of this thread to `target` have been idle for `span` longer.
#[cfg(test)]
pub(super) fn age(target: u64, span: Duration) {
    POOL.with_borrow_mut(|pool| {
        for shelf in pool.shelves.iter_mut().filter(|shelf| shelf.target == target) {
            shelf.idle.iter_mut().for_each(|idle| idle.since -= span);
        }
    });
}
