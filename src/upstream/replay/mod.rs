//! A request's body that can be sent a second time: kept while it streams to the first try, as long as there is room.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::body::{Intake, RequestBody, RequestError};

/// Bytes of kept bodies that a process has room for by default.
pub const DEFAULT_BUDGET: usize = 64 << 20;

/// The room for kept bodies, process-wide. Past it nothing more is kept; the bodies stream on.
#[derive(Debug)]
pub struct Budget {
    free: AtomicUsize,
}

impl Budget {
    /// Room for `bytes`.
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> bool {
        self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(bytes)).is_ok()
    }

    fn put_back(&self, bytes: usize) {
        self.free.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A body for the first try, and what makes one for a second out of it. At most `keep` bytes are kept, and no more than
/// `budget` has room for.
pub fn record(body: Incoming, limit: Option<u64>, keep: usize, budget: &Arc<Budget>) -> (RequestBody, Replay) {
    if body.is_end_stream() {
        return (RequestBody::empty(), Replay(None));
    }
    let shared = Arc::new(Mutex::new(Some(Recording {
        body: Intake::new(body, limit),
        kept: Some(Kept { bytes: BytesMut::new(), trailers: None, keep, budget: Arc::clone(budget), taken: 0 }),
        ended: false,
    })));
    (RequestBody::recorded(Recorded(Arc::clone(&shared))), Replay(Some(shared)))
}

/// The second try of a recorded body.
#[must_use]
pub struct Replay(Option<Arc<Mutex<State>>>);

impl Replay {
    /// The same body once more: what was kept, then what the visitor has yet to send. `None` where something that was read was not
    /// kept, or the visitor's body is broken. The first try's body fails from here on.
    pub fn again(mut self) -> Option<RequestBody> {
        let Some(shared) = self.0.take() else { return Some(RequestBody::empty()) };
        let Recording { body, kept, ended } = lock(&shared).take()?;
        let mut kept = kept?;
        Some(RequestBody::replayed(Replayed {
            bytes: mem::take(&mut kept.bytes).freeze(),
            trailers: kept.trailers.take(),
            rest: (!ended).then_some(body),
            _room: kept,
        }))
    }
}

impl Drop for Replay {
    /// Without a second try to come nothing more need be kept.
    fn drop(&mut self) {
        if let Some(shared) = &self.0
            && let Some(recording) = &mut *lock(shared)
        {
            recording.kept = None;
        }
    }
}

/// The body of the first try.
pub(super) struct Recorded(Arc<Mutex<State>>);

/// `None` when the second try has it, or when it failed.
type State = Option<Recording>;

struct Recording {
    body: Intake,
    /// `None` once anything was not kept.
    kept: Option<Kept>,
    ended: bool,
}

struct Kept {
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    keep: usize,
    budget: Arc<Budget>,
    /// What of the budget is ours.
    taken: usize,
}

impl Kept {
    /// Copied, because a slice of hyper's would keep the whole of its read buffer alive, and the budget would count a part of that.
    fn add(&mut self, data: &[u8]) -> bool {
        if data.len() > self.keep - self.bytes.len() || !self.budget.take(data.len()) {
            return false;
        }
        self.taken += data.len();
        self.bytes.extend_from_slice(data);
        true
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.budget.put_back(self.taken);
    }
}

impl Recorded {
    pub(super) fn is_too_large(&self) -> bool {
        self.look(false, |recording| recording.body.is_too_large())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.look(false, |recording| recording.ended || recording.body.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.look(SizeHint::new(), |recording| recording.body.size_hint())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let mut state = lock(&self.0);
        let Some(recording) = &mut *state else {
            return Poll::Ready(Some(Err(RequestError::Taken)));
        };
        match ready!(recording.body.poll_frame(cx)) {
            Some(Ok(frame)) => {
                recording.keep(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                *state = None;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                recording.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn look<T>(&self, taken: T, see: impl FnOnce(&Recording) -> T) -> T {
        lock(&self.0).as_ref().map_or(taken, see)
    }
}

impl Recording {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.ended = true;
            if let Some(kept) = &mut self.kept {
                kept.trailers = Some(trailers.clone());
            }
        } else if let Some(data) = frame.data_ref() {
            self.ended = self.body.is_end_stream();
            if self.kept.as_mut().is_some_and(|kept| !kept.add(data)) {
                self.kept = None;
            }
        }
    }
}

/// The body of the second try.
pub(super) struct Replayed {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<Intake>,
    /// Held as long as the bytes are.
    _room: Kept,
}

impl Replayed {
    pub(super) fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none() && self.rest.as_ref().is_none_or(Intake::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = self.bytes.len() as u64;
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), Intake::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(kept.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(kept.saturating_add(upper));
        }
        hint
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        if !self.bytes.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(mem::take(&mut self.bytes)))));
        }
        match &mut self.rest {
            Some(rest) => rest.poll_frame(cx),
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }
}

/// Held for a moment and by one task at a time; nothing is left half-changed by a panic.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
