//! The streams of an HTTP/2 connection, each in a task of its own: one whose peer takes nothing of its answer ends.
//!
//! A closed window of flow control looks like silence to the connection, and hyper does not ask the answer's body meanwhile.
//! So the body notes when it has given something that the peer has not made room behind, and the task looks at that.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use crate::alarm::{Alarm, after};

thread_local! {
    /// Of the stream that is being polled.
    static CURRENT: RefCell<Option<Arc<Taking>>> = const { RefCell::new(None) };
}

/// Runs streams; dropping one resets it (RFC 9113 section 5.4.2) and lets go of its upstream.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    /// How long a peer may take nothing of an answer.
    pub(super) stalled: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let stalled = self.stalled;
        tokio::spawn(async move {
            let taking = Arc::new(Taking::default());
            let mut stream = pin!(stream);
            let (mut seen, mut since) = (0, Instant::now());
            let mut alarm = Alarm::default();
            poll_fn(|cx| {
                let current = Current::enter(Arc::clone(&taking));
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                drop(current);
                let Some(given) = taking.awaited() else { return Poll::Pending };
                if given != seen {
                    (seen, since) = (given, Instant::now());
                }
                ready!(alarm.poll_until(after(since, stalled), cx));
                tracing::debug!("a stream was reset: its peer takes nothing");
                Poll::Ready(())
            })
            .await;
        });
    }
}

/// What an answer's body tells its stream.
#[derive(Default, Debug)]
pub(super) struct Taking {
    /// The peer has not made room for more.
    awaits_room: AtomicBool,
    /// Pieces given so far.
    given: AtomicUsize,
}

impl Taking {
    /// Of the stream that is being polled; none in HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// A piece is on its way.
    pub(super) fn gave(&self) {
        self.given.fetch_add(1, Relaxed);
        self.awaits_room.store(true, Relaxed);
    }

    /// There is room for the next one.
    pub(super) fn has_room(&self) {
        self.awaits_room.store(false, Relaxed);
    }

    /// How many were given, if the last one is still on its way.
    fn awaited(&self) -> Option<usize> {
        self.awaits_room.load(Relaxed).then(|| self.given.load(Relaxed))
    }
}

/// While this is held a stream is being polled.
struct Current;

impl Current {
    fn enter(taking: Arc<Taking>) -> Self {
        CURRENT.set(Some(taking));
        Self
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}
