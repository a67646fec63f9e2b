//! The body of a request to an upstream: streamed, limited in bytes and time, with its progress observable.

mod budget;
mod limited;
mod pace;
mod progress;
mod recording;

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use self::pace::Pace;
pub use self::{
    budget::{Budget, DEFAULT_BUDGET},
    limited::RequestError,
};
pub(super) use self::{
    limited::LimitedBody,
    progress::{UploadPhase, UploadProgress},
    recording::{FirstTry, SecondTry, SharedRecording},
};
use super::settings::RequestDeadlines;
use crate::alarm::{Alarm, after};

/// The body of a request to an upstream.
pub struct RequestBody(BodySource);

enum BodySource {
    Empty,
    Full(Bytes),
    /// Boxed, so that moving a request without a body does not move the size of one with a body.
    Streamed(Box<StreamedBody>),
}

/// A visitor's body, with the deadlines for the visitor.
struct StreamedBody {
    source: StreamSource,
    idle: Duration,
    pace: Pace,
    progress: Arc<UploadProgress>,
    /// Since when the visitor has sent nothing.
    silent_since: Option<Instant>,
    alarm: Alarm,
}

enum StreamSource {
    Direct(LimitedBody),
    FirstTry(FirstTry),
    SecondTry(Box<SecondTry>),
}

impl RequestBody {
    /// No body.
    pub const fn empty() -> Self {
        Self(BodySource::Empty)
    }

    /// A body of these bytes.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::empty() } else { Self(BodySource::Full(bytes)) }
    }

    /// A visitor's body as it arrives, up to `limit` bytes.
    pub fn stream(body: Incoming, limit: Option<u64>) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self::streamed(StreamSource::Direct(LimitedBody::new(body, limit)))
    }

    pub(super) fn first_try(body: FirstTry) -> Self {
        Self::streamed(StreamSource::FirstTry(body))
    }

    pub(super) fn second_try(body: SecondTry) -> Self {
        Self::streamed(StreamSource::SecondTry(Box::new(body)))
    }

    fn streamed(source: StreamSource) -> Self {
        Self(BodySource::Streamed(Box::new(StreamedBody {
            source,
            idle: Duration::MAX,
            pace: Pace::new(0),
            progress: Arc::default(),
            silent_since: None,
            alarm: Alarm::default(),
        })))
    }

    /// Whether the body announces more bytes than its limit allows.
    pub(super) fn is_too_large(&self) -> bool {
        match &self.0 {
            BodySource::Streamed(body) => match &body.source {
                StreamSource::Direct(body) => body.is_too_large(),
                StreamSource::FirstTry(body) => body.is_too_large(),
                StreamSource::SecondTry(_) => false,
            },
            BodySource::Empty | BodySource::Full(_) => false,
        }
    }

    /// Sets the deadlines for the visitor and returns the body's progress; `None` if nothing is waited for.
    pub(super) fn watch(&mut self, deadlines: RequestDeadlines) -> Option<Arc<UploadProgress>> {
        match &mut self.0 {
            BodySource::Streamed(body) => {
                body.idle = deadlines.idle;
                body.pace = Pace::new(deadlines.body_rate);
                Some(Arc::clone(&body.progress))
            }
            BodySource::Empty | BodySource::Full(_) => None,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        match &mut self.get_mut().0 {
            BodySource::Empty => Poll::Ready(None),
            BodySource::Full(bytes) => {
                let bytes = mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            BodySource::Streamed(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            BodySource::Empty => true,
            BodySource::Full(bytes) => bytes.is_empty(),
            BodySource::Streamed(body) => body.source.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            BodySource::Empty => SizeHint::with_exact(0),
            BodySource::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodySource::Streamed(body) => match &body.source {
                StreamSource::Direct(body) => body.size_hint(),
                StreamSource::FirstTry(body) => body.size_hint(),
                StreamSource::SecondTry(body) => body.size_hint(),
            },
        }
    }
}

impl StreamSource {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        match self {
            Self::Direct(body) => body.poll_frame(cx),
            Self::FirstTry(body) => body.poll_frame(cx),
            Self::SecondTry(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::FirstTry(body) => body.is_end_stream(),
            Self::SecondTry(body) => body.is_end_stream(),
        }
    }
}

impl StreamedBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        match self.source.poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(since) = self.silent_since.take() {
                    self.pace.waited(since.elapsed());
                }
                if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
                    self.pace.received(data.len(), self.idle);
                }
                let has_ended = match &frame {
                    Some(Ok(frame)) => frame.is_trailers() || self.source.is_end_stream(),
                    Some(Err(_)) | None => true,
                };
                self.progress.moved(if has_ended { UploadPhase::Done } else { UploadPhase::WaitingForUpstream });
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let since = *self.silent_since.get_or_insert_with(|| {
                    self.progress.moved(UploadPhase::WaitingForVisitor);
                    Instant::now()
                });
                // Once the answer has begun, the two may be a dialogue: then only the idle timeout applies.
                let longest_wait =
                    if self.progress.is_answered() { self.idle } else { self.pace.left().min(self.idle) };
                ready!(self.alarm.poll_until(after(since, longest_wait), cx));
                self.progress.moved(UploadPhase::Done);
                Poll::Ready(Some(Err(RequestError::Stalled)))
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            BodySource::Empty => "RequestBody(empty)",
            BodySource::Full(_) => "RequestBody(full)",
            BodySource::Streamed(_) => "RequestBody(stream)",
        })
    }
}

#[cfg(test)]
mod tests;
