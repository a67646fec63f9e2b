//! The body of a request on its way to an upstream: streamed, limited, timed, and told how far it is.

use std::{
    fmt, mem,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    Deadlines, headers,
    replay::{Recorded, Replayed},
};
use crate::alarm::{Alarm, after};

/// What is wrong with a visitor's body.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is longer than the route allows.
    #[error("the request's body is over the limit")]
    TooLarge,
    /// The visitor broke off, or sent what is no body.
    #[error("the request's body broke off")]
    Broken(#[source] hyper::Error),
    /// The visitor was silent for longer than the route allows, or sends less than it asks for.
    #[error("the visitor was too slow")]
    Stalled,
    /// Its bytes were taken for another try.
    #[error("the request's body was taken for another try")]
    Taken,
}

/// The body of a request to an upstream.
pub struct RequestBody(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    /// Boxed, so that a request without a body is not moved around with the room for one.
    Visitor(Box<Visitor>),
}

struct Visitor {
    source: Source,
    idle: Duration,
    pace: Pace,
    progress: Arc<Progress>,
    /// Since when the visitor is awaited.
    silent_since: Option<Instant>,
    alarm: Alarm,
}

enum Source {
    Direct(Intake),
    Recorded(Recorded),
    Replayed(Box<Replayed>),
}

impl RequestBody {
    /// No body.
    pub const fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// These bytes.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self(Kind::Full(bytes)) }
    }

    /// A visitor's body as it comes, up to `limit` bytes.
    pub fn stream(body: Incoming, limit: Option<u64>) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::visitor(Source::Direct(Intake::new(body, limit)))
    }

    pub(super) fn recorded(recorded: Recorded) -> Self {
        Self::visitor(Source::Recorded(recorded))
    }

    pub(super) fn replayed(replayed: Replayed) -> Self {
        Self::visitor(Source::Replayed(Box::new(replayed)))
    }

    fn visitor(source: Source) -> Self {
        Self(Kind::Visitor(Box::new(Visitor {
            source,
            idle: Duration::MAX,
            pace: Pace::new(0),
            progress: Arc::default(),
            silent_since: None,
            alarm: Alarm::default(),
        })))
    }

    /// Whether it says of itself that it is longer than its limit.
    pub(super) fn is_too_large(&self) -> bool {
        match &self.0 {
            Kind::Visitor(visitor) => match &visitor.source {
                Source::Direct(intake) => intake.is_too_large(),
                Source::Recorded(recorded) => recorded.is_too_large(),
                Source::Replayed(_) => false,
            },
            Kind::Empty | Kind::Full(_) => false,
        }
    }

    /// Limits how long the visitor is waited for, and shows how far the body is; `None` where there is nothing to wait for.
    pub(super) fn watch(&mut self, deadlines: Deadlines) -> Option<Arc<Progress>> {
        match &mut self.0 {
            Kind::Visitor(visitor) => {
                visitor.idle = deadlines.idle;
                visitor.pace = Pace::new(deadlines.body_rate);
                Some(Arc::clone(&visitor.progress))
            }
            Kind::Empty | Kind::Full(_) => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        match &mut self.get_mut().0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Kind::Visitor(visitor) => visitor.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_empty(),
            Kind::Visitor(visitor) => match &visitor.source {
                Source::Direct(intake) => intake.is_end_stream(),
                Source::Recorded(recorded) => recorded.is_end_stream(),
                Source::Replayed(replayed) => replayed.is_end_stream(),
            },
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Visitor(visitor) => match &visitor.source {
                Source::Direct(intake) => intake.size_hint(),
                Source::Recorded(recorded) => recorded.size_hint(),
                Source::Replayed(replayed) => replayed.size_hint(),
            },
        }
    }
}

impl Visitor {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let polled = match &mut self.source {
            Source::Direct(intake) => intake.poll_frame(cx),
            Source::Recorded(recorded) => recorded.poll_frame(cx),
            Source::Replayed(replayed) => replayed.poll_frame(cx),
        };
        match polled {
            Poll::Ready(frame) => {
                if let Some(since) = self.silent_since.take() {
                    self.pace.waited(since.elapsed());
                }
                if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    self.pace.received(data.len(), self.idle);
                }
                let ended = match (&frame, &self.source) {
                    (Some(Ok(frame)), _) if frame.is_trailers() => true,
                    (Some(Ok(_)), Source::Direct(intake)) => intake.is_end_stream(),
                    (Some(Ok(_)), Source::Recorded(recorded)) => recorded.is_end_stream(),
                    (Some(Ok(_)), Source::Replayed(replayed)) => replayed.is_end_stream(),
                    (Some(Err(_)) | None, _) => true,
                };
                self.progress.moved(if ended { Phase::Done } else { Phase::Sending });
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let since = *self.silent_since.get_or_insert_with(|| {
                    self.progress.moved(Phase::Waiting);
                    Instant::now()
                });
                // An answer under way may be one half of a conversation: from then on silence alone counts.
                let patience = if self.progress.is_answered() { self.idle } else { self.pace.left().min(self.idle) };
                ready!(self.alarm.poll_until(after(since, patience), cx));
                self.progress.moved(Phase::Done);
                Poll::Ready(Some(Err(RequestError::Stalled)))
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Empty => "RequestBody(empty)",
            Kind::Full(_) => "RequestBody(full)",
            Kind::Visitor(_) => "RequestBody(stream)",
        })
    }
}

/// How long the visitor may be waited for in all: so long at first, and longer with every byte that it sends.
struct Pace {
    /// Bytes a second; 0: no minimum.
    rate: u64,
    left: Duration,
}

/// A slow start is none of an attacker's: a phone that changes cells sends nothing for seconds.
const FIRST_PATIENCE: Duration = Duration::from_secs(10);

impl Pace {
    fn new(rate: u64) -> Self {
        Self { rate, left: FIRST_PATIENCE }
    }

    fn left(&self) -> Duration {
        if self.rate == 0 { Duration::MAX } else { self.left }
    }

    fn waited(&mut self, span: Duration) {
        self.left = self.left.saturating_sub(span);
    }

    /// What was sent at once buys no more than `most`: else a burst would pay for hours.
    fn received(&mut self, bytes: usize, most: Duration) {
        if self.rate == 0 {
            return;
        }
        let micros = (bytes as u64).saturating_mul(1_000_000) / self.rate;
        self.left = self.left.saturating_add(Duration::from_micros(micros)).min(most.max(FIRST_PATIENCE));
    }
}

/// A visitor's body with its limit.
pub(super) struct Intake {
    body: Incoming,
    /// Bytes that may still come.
    left: Option<u64>,
}

impl Intake {
    pub(super) fn new(body: Incoming, limit: Option<u64>) -> Self {
        Self { body, left: limit }
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.left.is_some_and(|left| self.body.size_hint().lower() > left)
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)) else { return Poll::Ready(None) };
        let mut frame = frame.map_err(RequestError::Broken)?;
        if let (Some(left), Some(data)) = (&mut self.left, frame.data_ref()) {
            let Some(rest) = left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(RequestError::TooLarge)));
            };
            *left = rest;
        }
        if let Some(trailers) = frame.trailers_mut() {
            headers::prepare_trailers(trailers);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// How far a request's body is, seen by the task that waits for the answer.
#[derive(Default)]
pub(super) struct Progress {
    moves: AtomicU64,
    phase: AtomicU8,
    answered: AtomicBool,
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The upstream is to take more.
    Sending = 0,
    /// The visitor is to send more; the body itself holds the deadline.
    Waiting = 1,
    /// The whole body has been handed over, or it failed.
    Done = 2,
}

impl Progress {
    fn moved(&self, phase: Phase) {
        self.moves.fetch_add(1, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The upstream's answer has begun.
    pub(super) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    pub(super) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Sending,
            1 => Phase::Waiting,
            _ => Phase::Done,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase() == Phase::Done
    }
}

#[cfg(test)]
mod tests;
