//! Runs the streams of an HTTP/2 connection, and resets one whose peer reads nothing of its answer.
//!
//! While a peer keeps a stream's flow control window closed, the connection is silent and hyper does not poll the body
//! of the answer. So the body records in [`StreamProgress`] each part that it gives, and the stream's task watches
//! that.

use std::{
    cell::RefCell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;

use crate::alarm::{Alarm, after};

thread_local! {
    /// The progress of the stream that is being polled.
    static CURRENT: RefCell<Option<Arc<StreamProgress>>> = const { RefCell::new(None) };
}

/// Runs each stream in a task of its own; dropping a stream's future resets it (RFC 9113 section 5.4.2) and closes its
/// upstream connection.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    /// How long a peer may read nothing of an answer.
    pub(super) stalled: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        tokio::spawn(WatchedStream {
            stream,
            progress: Arc::default(),
            seen: 0,
            since: Instant::now(),
            stalled: self.stalled,
            alarm: Alarm::default(),
        });
    }
}

pin_project! {
    /// A stream that ends when its peer reads nothing. Not an `async` block: that would hold the stream's future, by
    /// far the largest part of what a stream costs, a second time.
    struct WatchedStream<F> {
        #[pin]
        stream: F,
        progress: Arc<StreamProgress>,
        // The parts given when it was last polled, and since when they were as many.
        seen: usize,
        since: Instant,
        stalled: Duration,
        alarm: Alarm,
    }
}

impl<F: Future> Future for WatchedStream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let current = CurrentStream::enter(Arc::clone(this.progress));
        if this.stream.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        drop(current);
        let Some(given) = this.progress.waiting_for_room() else { return Poll::Pending };
        if given != *this.seen {
            (*this.seen, *this.since) = (given, Instant::now());
        }
        ready!(this.alarm.poll_until(after(*this.since, *this.stalled), cx));
        tracing::debug!("stream reset: its peer does not read the answer");
        Poll::Ready(())
    }
}

/// How much of an answer its body has given to the stream.
#[derive(Default, Debug)]
pub(super) struct StreamProgress {
    /// The peer has not made room for more.
    waits_for_room: AtomicBool,
    /// Parts given so far, the head included.
    given: AtomicUsize,
}

impl StreamProgress {
    /// The progress of the stream that is being polled; `None` in HTTP/1.
    pub(super) fn current() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Records that a part was given.
    pub(super) fn gave(&self) {
        self.given.fetch_add(1, Relaxed);
        self.waits_for_room.store(true, Relaxed);
    }

    /// Records that the peer has room for the next part: hyper polls the body only then.
    pub(super) fn has_room(&self) {
        self.waits_for_room.store(false, Relaxed);
    }

    /// How many parts were given, while the last of them waits for room.
    fn waiting_for_room(&self) -> Option<usize> {
        self.waits_for_room.load(Relaxed).then(|| self.given.load(Relaxed))
    }
}

/// Sets [`CURRENT`] while a stream is being polled.
struct CurrentStream;

impl CurrentStream {
    fn enter(progress: Arc<StreamProgress>) -> Self {
        CURRENT.set(Some(progress));
        Self
    }
}

impl Drop for CurrentStream {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}
