//! A visitor's body that is recorded while it streams to the first try, and sent again in the second.

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

/// A recorded body, shared by the first try and by the [`super::super::replay::Replay`] for a second. `None` when the
/// second try has the body, or when the body has failed.
#[derive(Clone)]
pub(in crate::upstream) struct SharedRecording(Arc<Mutex<Option<Recording>>>);

struct Recording {
    body: LimitedBody,
    /// `None` once a part could not be recorded, or is no longer needed.
    recorded: Option<RecordedBytes>,
    has_ended: bool,
}

/// The recorded bytes of a body.
struct RecordedBytes {
    bytes: BytesMut,
    trailers: Option<HeaderMap>,
    /// Bytes of this body that are recorded at most.
    max: usize,
    budget: Arc<Budget>,
    /// Bytes taken from the budget.
    taken: usize,
}

impl SharedRecording {
    /// Records up to `max` bytes of `body`, and no more than `budget` has free.
    pub(in crate::upstream) fn new(body: LimitedBody, max: usize, budget: &Arc<Budget>) -> Self {
        let recorded =
            RecordedBytes { bytes: BytesMut::new(), trailers: None, max, budget: Arc::clone(budget), taken: 0 };
        Self(Arc::new(Mutex::new(Some(Recording { body, recorded: Some(recorded), has_ended: false }))))
    }

    /// The body of the second try: first what was recorded, then what the visitor has yet to send. `None` if a part
    /// that was read was not recorded, or if the body has failed.
    pub(in crate::upstream) fn take(&self) -> Option<SecondTry> {
        let Recording { body, recorded, has_ended } = self.lock().take()?;
        let mut recorded = recorded?;
        Some(SecondTry {
            bytes: mem::take(&mut recorded.bytes).freeze(),
            trailers: recorded.trailers.take(),
            rest: (!has_ended).then_some(body),
            _reserved: recorded,
        })
    }

    /// Frees the recorded bytes: there will be no second try.
    pub(in crate::upstream) fn discard(&self) {
        if let Some(recording) = &mut *self.lock() {
            recording.recorded = None;
        }
    }

    /// Locked briefly and by one task at a time; a panic leaves nothing half changed.
    fn lock(&self) -> MutexGuard<'_, Option<Recording>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecordedBytes {
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

impl Drop for RecordedBytes {
    fn drop(&mut self) {
        self.budget.put_back(self.taken);
    }
}

impl Recording {
    fn record(&mut self, frame: &Frame<Bytes>) {
        if let Some(trailers) = frame.trailers_ref() {
            self.has_ended = true;
            if let Some(recorded) = &mut self.recorded {
                recorded.trailers = Some(trailers.clone());
            }
        } else if let Some(data) = frame.data_ref() {
            self.has_ended = self.body.is_end_stream();
            if self.recorded.as_mut().is_some_and(|recorded| !recorded.add(data)) {
                self.recorded = None;
            }
        }
    }
}

/// The body of the first try.
pub(in crate::upstream) struct FirstTry(pub(in crate::upstream) SharedRecording);

impl FirstTry {
    pub(super) fn is_too_large(&self) -> bool {
        self.inspect(false, |recording| recording.body.is_too_large())
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.inspect(false, |recording| recording.has_ended || recording.body.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.inspect(SizeHint::new(), |recording| recording.body.size_hint())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let mut shared = self.0.lock();
        let Some(recording) = &mut *shared else {
            return Poll::Ready(Some(Err(RequestError::Taken)));
        };
        match ready!(recording.body.poll_frame(cx)) {
            Some(Ok(frame)) => {
                recording.record(&frame);
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

    fn inspect<T>(&self, if_taken: T, read: impl FnOnce(&Recording) -> T) -> T {
        self.0.lock().as_ref().map_or(if_taken, read)
    }
}

/// The body of the second try.
pub(in crate::upstream) struct SecondTry {
    bytes: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<LimitedBody>,
    /// Returns its part of the budget when it is dropped together with `bytes`.
    _reserved: RecordedBytes,
}

impl SecondTry {
    pub(super) fn is_end_stream(&self) -> bool {
        self.bytes.is_empty() && self.trailers.is_none() && self.rest.as_ref().is_none_or(LimitedBody::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let recorded = self.bytes.len() as u64;
        let rest = self.rest.as_ref().map_or_else(|| SizeHint::with_exact(0), LimitedBody::size_hint);
        let mut hint = SizeHint::new();
        hint.set_lower(recorded.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(recorded.saturating_add(upper));
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
