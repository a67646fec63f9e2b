//! What a connection is doing now: written while it is served, read by its deadlines.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use super::slot::WorkerLoad;

/// What one connection is doing. Only the task that serves it writes (HTTP/2 streams run in tasks of the same thread),
/// so relaxed atomics are enough.
#[derive(Debug)]
pub(super) struct Activity {
    /// Requests being served.
    in_flight: AtomicUsize,
    /// Requests ever begun.
    served: AtomicUsize,
    /// HTTP/1: bytes of a next request have been read, but not its whole head.
    has_partial_head: AtomicBool,
    /// HTTP/2: the number of the frame or header block that is not complete; 0 if there is none.
    incomplete_frame: AtomicUsize,
    /// HTTP/2: requests refused since the frames were last followed.
    refused: AtomicUsize,
    /// HTTP/2: the connection ends because of the peer's flood.
    is_flooded: AtomicBool,
    /// Bytes wait to be written, and the socket accepts none.
    is_stalled: AtomicBool,
    /// Bytes that the socket has accepted.
    written: AtomicU64,
    /// The number of the request after which none can be read, because its head asks for a WebSocket;
    /// [`usize::MAX`] until such a head has been seen.
    last_request: AtomicUsize,
    load: WorkerLoad,
}

/// The state of a connection that decides which deadline applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ConnectionPhase {
    /// No request, and no byte of one.
    Idle,
    /// Part of a request's head, or of a frame.
    Head,
    /// A request is being served.
    Busy,
}

impl Activity {
    pub(super) fn new(load: WorkerLoad) -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            has_partial_head: AtomicBool::new(false),
            incomplete_frame: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            is_flooded: AtomicBool::new(false),
            is_stalled: AtomicBool::new(false),
            written: AtomicU64::new(0),
            last_request: AtomicUsize::new(usize::MAX),
            load,
        })
    }

    pub(super) fn phase(&self) -> ConnectionPhase {
        if self.in_flight.load(Relaxed) > 0 {
            ConnectionPhase::Busy
        } else if self.has_partial_head.load(Relaxed) || self.incomplete_frame() > 0 {
            ConnectionPhase::Head
        } else {
            ConnectionPhase::Idle
        }
    }

    /// Requests ever begun.
    pub(super) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// The number of the HTTP/2 frame or header block that is not complete; 0 if there is none.
    pub(super) fn incomplete_frame(&self) -> usize {
        self.incomplete_frame.load(Relaxed)
    }

    pub(super) fn set_incomplete_frame(&self, number: usize) {
        self.incomplete_frame.store(number, Relaxed);
    }

    /// Records that bytes of a next HTTP/1 request were read.
    pub(super) fn note_partial_head(&self) {
        self.has_partial_head.store(true, Relaxed);
    }

    /// Records that no request can be read after request `number`.
    pub(super) fn set_last_request(&self, number: usize) {
        self.last_request.store(number, Relaxed);
    }

    /// Records that a request was refused because of the heads in memory.
    pub(super) fn note_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// The requests refused since the last call.
    pub(super) fn take_refused(&self) -> usize {
        if self.refused.load(Relaxed) == 0 { 0 } else { self.refused.swap(0, Relaxed) }
    }

    /// Whether the connection ended because its peer sent frames that do no work.
    pub(super) fn is_flooded(&self) -> bool {
        self.is_flooded.load(Relaxed)
    }

    pub(super) fn note_flood(&self) {
        self.is_flooded.store(true, Relaxed);
    }

    /// The bytes written so far, while the socket accepts no more; `None` while it does.
    pub(super) fn stalled_at(&self) -> Option<u64> {
        self.is_stalled.load(Relaxed).then(|| self.written.load(Relaxed))
    }

    pub(super) fn set_stalled(&self, is_stalled: bool) {
        self.is_stalled.store(is_stalled, Relaxed);
    }

    /// Records that the socket has accepted `bytes` more.
    pub(super) fn note_written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Relaxed);
        self.set_stalled(false);
    }

    /// Records the start of a request, which ends when the guard is dropped.
    pub(super) fn begin_request(self: &Arc<Self>) -> RequestGuard {
        self.has_partial_head.store(false, Relaxed);
        self.served.fetch_add(1, Relaxed);
        if self.in_flight.fetch_add(1, Relaxed) > 0 {
            // The connection itself counts as one, so the first request adds nothing.
            self.load.add();
        }
        RequestGuard(Arc::clone(self))
    }
}

/// Counts one request as being served until it is dropped.
#[derive(Debug)]
pub(super) struct RequestGuard(Arc<Activity>);

impl RequestGuard {
    /// Whether no other request can be read after this one, the newest of an HTTP/1.1 connection.
    pub(super) fn is_last(&self) -> bool {
        self.0.served.load(Relaxed) == self.0.last_request.load(Relaxed)
    }

    /// Records that the request was refused.
    pub(super) fn note_refused(&self) {
        self.0.note_refused();
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        // Bytes that arrived during the request belonged to its body.
        self.0.has_partial_head.store(false, Relaxed);
        if self.0.in_flight.fetch_sub(1, Relaxed) > 1 {
            self.0.load.subtract();
        }
    }
}
