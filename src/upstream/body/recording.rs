//! A visitor's body that is kept while it streams to the first try, and sent again in the second.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::{
    budget::Budget,
    limited::{LimitedBody, RequestError},
};

/// A recorded body, shared by the first try and by the one who may ask for a second. Empty when the second try has the
/// body, or when the body has failed.
#[derive(Clone)]
pub(in crate::upstream) struct SharedRecording(Arc<Mutex<Option<Recording>>>);

struct Recording {
    body: LimitedBody,
    /// `None` once a part could not be kept, or is no longer needed.
    kept: Option<KeptBytes>,
    has_ended: bool,
}

/// The bytes kept of a body.
struct KeptBytes {
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    /// Most bytes kept of this body.
    max: usize,
    budget: Arc<Budget>,
    /// Bytes taken from the budget.
    taken: usize,
}

impl SharedRecording {
    /// Keeps up to `max` bytes of `body`, and no more than `budget` has free.
    pub(in crate::upstream) fn new(body: LimitedBody, max: usize, budget: &Arc<Budget>) -> Self {
        let kept = KeptBytes { bytes: BytesMut::new(), trailers: None, max, budget: Arc::clone(budget), taken: 0 };
        Self(Arc::new(Mutex::new(Some(Recording { body, kept: Some(kept), has_ended: false }))))
    }

    /// The body of the second try: first what was kept, then what the visitor has yet to send. `None` if a part that
    /// was read was not kept, or if the body has failed.
    pub(in crate::upstream) fn take(&self) -> Option<SecondTry> {
        let Recording { body, kept, has_ended } = self.lock().take()?;
        let mut kept = kept?;
        Some(SecondTry {
            bytes: mem::take(&mut kept.bytes).freeze(),
            trailers: kept.trailers.take(),
            rest: (!has_ended).then_some(body),
            _kept: kept,
        })
    }

    /// Frees what was kept: no second try will come.
    pub(in crate::upstream) fn forget(&self) {
        if let Some(recording) = &mut *self.lock() {
            recording.kept = None;
        }
    }

    /// Locked briefly and by one task at a time; a panic leaves nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Option<Recording>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeptBytes {
    /// Copies `data`: a slice of hyper's read buffer would keep the whole buffer alive, and the budget would count only
    /// the slice.
    fn add(&mut self, data: &[u8]) -> bool {
        if data.len() > self.max - self.bytes.len() || !self.budget.take(data.len()) {
            return false;
        }
        self.taken += data.len();
        self.bytes.extend_from_slice(data);
        true
    }
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        self.budget.put_back(self.taken);
    }
}

impl Recording {
    fn keep(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.has_ended = true;
            if let Some(kept) = &mut self.kept {
                kept.trailers = Some(trailers.clone());
            }
        } else if let Some(data) = frame.data_ref() {
            self.has_ended = self.body.is_end_stream();
            if self.kept.as_mut().is_some_and(|kept| !kept.add(data)) {
                self.kept = None;
            }
        }
    }
}

/// The body of the first try.
pub(in crate::upstream) struct FirstTry(pub(in crate::upstream) SharedRecording);

impl FirstTry {
    pub(super) fn is_too_large(&self) -> bool {
        self.look(false, |recording| recording.body.is_too_large())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.look(false, |recording| recording.has_ended || recording.body.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.look(SizeHint::new(), |recording| recording.body.size_hint())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let mut shared = self.0.lock();
        let Some(recording) = &mut *shared else {
            return Poll::Ready(Some(Err(RequestError::Taken)));
        };
        match ready!(recording.body.poll_frame(cx)) {
            Some(Ok(frame)) => {
                recording.keep(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                *shared = None;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                recording.has_ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn look<T>(&self, if_taken: T, see: impl FnOnce(&Recording) -> T) -> T {
        self.0.lock().as_ref().map_or(if_taken, see)
    }
}

/// The body of the second try.
pub(in crate::upstream) struct SecondTry {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<LimitedBody>,
    /// Holds its part of the budget as long as the bytes are held.
    _kept: KeptBytes,
}

impl SecondTry {
    pub(super) fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none() && self.rest.as_ref().is_none_or(LimitedBody::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let kept = self.bytes.len() as u64;
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), LimitedBody::size_hint);
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
