//! The body of an upstream's answer: it drives the connection it comes from and returns it to the pool at its end.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    body::{UploadPhase, UploadProgress},
    connection::AnswerConnection,
    headers, pool,
    settings::RequestDeadlines,
};
use crate::alarm::after;

/// Most frames of a discarded answer that are read to keep its connection.
const DISCARDED_FRAMES: usize = 4;

/// Whether an answer is a stream of events or of gRPC messages: its silence says nothing about the upstream, and it is
/// cut when its session ends.
pub fn is_stream(headers: &HeaderMap) -> bool {
    is_event_stream(headers) || has_type(headers, b"application/grpc")
}

/// Whether an answer is a stream of server-sent events.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    has_type(headers, b"text/event-stream")
}

fn has_type(headers: &HeaderMap, media_type: &[u8]) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.as_bytes().get(..media_type.len()))
        .is_some_and(|start| start.eq_ignore_ascii_case(media_type))
}

/// What it means that an upstream sends nothing of an answer for longer than the route allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Silence {
    /// The answer broke off.
    IsFault,
    /// A stream had nothing to say.
    IsUsual,
}

/// Why the body of an answer is incomplete. The visitor must see an incomplete answer, never a clean end.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The upstream closed the connection, or what it sent is malformed.
    #[error("the upstream's answer ended early or is malformed")]
    Upstream(#[source] hyper::Error),
    /// Nothing was sent in either direction for longer than the route allows.
    #[error("the upstream sent nothing of its answer for too long")]
    Idle,
    /// The future given to [`AnswerBody::cut_when`] completed.
    #[error("the answer was cut because its session ended")]
    Ended,
}

/// The body of an answer, streamed.
pub struct AnswerBody {
    body: Incoming,
    /// The connection, until the body has ended or broken off.
    connection: Option<AnswerConnection>,
    idle: Duration,
    /// A silence of this length counts against the target, also while the visitor still waits.
    patience: Duration,
    silence: Silence,
    /// Whether the visitor asked for trailers (RFC 9110 section 6.5.1).
    passes_trailers: bool,
    /// Since when nothing was received, while the answer is being read.
    silent_since: Option<Instant>,
    /// The request's body, if it is still being sent, and its last seen count of moves: while it moves, the exchange is
    /// not idle.
    upload: Option<(Arc<UploadProgress>, u64)>,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    clean_end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl AnswerBody {
    pub(super) fn new(
        body: Incoming,
        connection: AnswerConnection,
        deadlines: RequestDeadlines,
        silence: Silence,
        upload: Option<Arc<UploadProgress>>,
        passes_trailers: bool,
    ) -> Self {
        let upload = upload.filter(|upload| !upload.is_done()).map(|upload| (upload, 0));
        let mut this = Self {
            body,
            connection: Some(connection),
            idle: deadlines.idle,
            patience: deadlines.first_byte.min(deadlines.idle),
            silence,
            passes_trailers,
            silent_since: None,
            upload,
            end: None,
            clean_end: None,
        };
        // hyper does not poll a body that says it is empty.
        if this.body.is_end_stream() {
            this.return_connection();
        }
        this
    }

    /// Ends the body with an error when `end` completes: for a stream whose session has ended.
    pub fn cut_when(&mut self, end: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.end = Some(end);
    }

    /// Ends the body, as if the upstream had ended it, when `end` completes: for a stream of events, whose reader
    /// connects again.
    pub fn end_when(&mut self, end: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.clean_end = Some(end);
    }

    /// Drops the answer; keeps its connection if the rest of the answer has already arrived.
    pub fn discard(mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..DISCARDED_FRAMES {
            match Pin::new(&mut self).poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) if self.connection.is_some() => {}
                _ => return,
            }
        }
    }

    /// The answer is complete.
    fn return_connection(&mut self) {
        match self.connection.take() {
            Some(AnswerConnection::Open(mut connection)) => {
                connection.request.succeeded();
                if connection.prepare_for_reuse(Instant::now()) {
                    pool::put(connection);
                }
            }
            Some(AnswerConnection::Ended(mut request)) => request.succeeded(),
            None => {}
        }
    }

    /// The answer broke off. If the request's body was still being sent, it may be the visitor who ended the exchange.
    fn broke_off(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && self.upload.is_none()
        {
            connection.request().broke_off();
        }
    }

    /// Polls the body, and if it has nothing yet, the connection that fills it.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(AnswerConnection::Open(connection)) = &mut self.connection else {
            return Pin::new(&mut self.body).poll_frame(cx);
        };
        // Only the connection fills the body, and it is polled here: the body needs no waker of this task.
        let no_waker = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(no_waker) {
            return Poll::Ready(frame);
        }
        if connection.poll(cx).is_ready() {
            // The body now has everything that arrived, and its end or an error.
            self.connection.as_mut().map(AnswerConnection::close);
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        Pin::new(&mut self.body).poll_frame(no_waker)
    }

    /// Ready when nothing has been sent for too long. Before that, a silence that is as long as the wait for a first
    /// byte may be counts against the target: few visitors wait for the end of `idle`.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(AnswerConnection::Open(connection)) = &mut self.connection else { return Poll::Pending };
        if let Some((upload, seen)) = &mut self.upload {
            let moves = upload.moves();
            if moves != *seen {
                *seen = moves;
                self.silent_since = None;
            }
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        // While the visitor has to send more, the silence may be the visitor's.
        let is_targets =
            self.upload.as_ref().is_none_or(|(upload, _)| upload.phase() == UploadPhase::WaitingForUpstream);
        if self.silence == Silence::IsFault && is_targets && !connection.request.is_counted() {
            ready!(connection.alarm.poll_until(after(since, self.patience), cx));
            connection.request.failed();
        }
        connection.alarm.poll_until(after(since, self.idle), cx)
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        if let Some(end) = &mut this.end
            && end.as_mut().poll(cx).is_ready()
        {
            this.end = None;
            this.connection = None;
            return Poll::Ready(Some(Err(AnswerError::Ended)));
        }
        if let Some(end) = &mut this.clean_end
            && end.as_mut().poll(cx).is_ready()
        {
            this.connection = None;
            return Poll::Ready(None);
        }
        match this.poll_body(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                this.silent_since = None;
                let Some(trailers) = frame.trailers_mut() else {
                    if this.body.is_end_stream() {
                        this.return_connection();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                };
                headers::prepare_trailers(trailers);
                let passes = this.passes_trailers && !trailers.is_empty();
                // Trailers are the last frame; hyper may not poll again after them.
                this.return_connection();
                Poll::Ready(passes.then_some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.broke_off();
                Poll::Ready(Some(Err(AnswerError::Upstream(error))))
            }
            Poll::Ready(None) => {
                this.return_connection();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.poll_silence(cx));
                match this.silence {
                    Silence::IsFault => this.broke_off(),
                    Silence::IsUsual => this.connection = None,
                }
                Poll::Ready(Some(Err(AnswerError::Idle)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        // What was read of the answer was good; the visitor did not want the rest. But a visitor who leaves while the
        // target is silent says nothing about it.
        if let Some(connection) = &mut self.connection
            && (self.silent_since.is_none() || self.silence == Silence::IsUsual)
        {
            connection.request().succeeded();
        }
    }
}

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("body", &self.body).finish_non_exhaustive()
    }
}
