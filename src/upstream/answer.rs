//! The body of an upstream's answer: it drives the connection it comes from, and gives it back to the pool at its end.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{body::Progress, headers, connection::Link, pool};
use crate::alarm::after;

/// Frames of an unwanted answer that are read to save its connection.
const DISCARDED_FRAMES: usize = 4;

/// Why an answer's body broke off. Whatever it is, the visitor must see a cut, never a clean end.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The upstream died or sent rubbish.
    #[error("the upstream broke off in the middle of its answer")]
    Upstream(#[source] hyper::Error),
    /// Nothing moved either way for longer than the route allows.
    #[error("the upstream was silent for too long")]
    Idle,
    /// [`AnswerBody::cut_when`] said so.
    #[error("the answer was cut with its session")]
    Ended,
}

/// The body of an answer, streamed.
pub struct AnswerBody {
    body: Incoming,
    /// The connection, until the body has ended or broken off.
    link: Option<Box<Link>>,
    idle: Duration,
    /// Whether the visitor asked for trailers (RFC 9110 section 6.5.1): others would not know what to do with them.
    passes_trailers: bool,
    /// Since when nothing has come, while something is awaited.
    silent_since: Option<Instant>,
    /// The request's body, where it is still under way: its movement counts as life.
    upload: Option<(Arc<Progress>, u64)>,
    end: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl AnswerBody {
    pub(super) fn new(
        body: Incoming,
        link: Option<Box<Link>>,
        idle: Duration,
        upload: Option<Arc<Progress>>,
        passes_trailers: bool,
    ) -> Self {
        let upload = upload.filter(|upload| !upload.is_done()).map(|upload| (upload, 0));
        let mut this = Self { body, link, idle, passes_trailers, silent_since: None, upload, end: None };
        // A server does not poll a body that says it is empty.
        if this.body.is_end_stream() {
            this.give_back();
        }
        this
    }

    /// Cuts the body off with an error when `end` is done: for a stream whose session has ended.
    pub fn cut_when(&mut self, end: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.end = Some(end);
    }

    /// Drops the answer, keeping its connection where what is left of it has come already.
    pub fn discard(mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        for _ in 0..DISCARDED_FRAMES {
            match Pin::new(&mut self).poll_frame(cx) {
                Poll::Ready(Some(Ok(_))) if self.link.is_some() => {}
                _ => return,
            }
        }
    }

    fn give_back(&mut self) {
        if let Some(mut link) = self.link.take()
            && link.settle()
        {
            pool::put(link);
        }
    }

    /// Polls the body, and the connection that fills it only if nothing has come yet.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(link) = &mut self.link else { return Pin::new(&mut self.body).poll_frame(cx) };
        // The body is filled by the connection alone, and that is polled here: so this task's waker belongs with the connection only.
        let unwoken = &mut Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(unwoken) {
            return Poll::Ready(frame);
        }
        if link.poll(cx).is_ready() {
            // All that had come is in the body now, and its end or the error behind it.
            self.link = None;
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        Pin::new(&mut self.body).poll_frame(unwoken)
    }

    /// Ready when nothing has moved for too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(link) = &mut self.link else { return Poll::Pending };
        if let Some((upload, seen)) = &mut self.upload {
            let moves = upload.moves();
            if moves != *seen {
                *seen = moves;
                self.silent_since = None;
            }
        }
        let since = *self.silent_since.get_or_insert_with(Instant::now);
        link.alarm.poll_until(after(since, self.idle), cx)
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
            this.link = None;
            return Poll::Ready(Some(Err(AnswerError::Ended)));
        }
        match this.poll_body(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                this.silent_since = None;
                let Some(trailers) = frame.trailers_mut() else {
                    if this.body.is_end_stream() {
                        this.give_back();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                };
                headers::prepare_trailers(trailers);
                let passes = this.passes_trailers && !trailers.is_empty();
                // Trailers are the last frame, and a server may not ask for more after them.
                this.give_back();
                Poll::Ready(passes.then_some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.link = None;
                Poll::Ready(Some(Err(AnswerError::Upstream(error))))
            }
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(this.poll_silence(cx));
                this.link = None;
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

impl fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerBody").field("body", &self.body).finish_non_exhaustive()
    }
}
