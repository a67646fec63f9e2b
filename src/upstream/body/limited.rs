//! A visitor's body with its limit of bytes.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::super::headers;

/// What is wrong with a visitor's body.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It is longer than the route allows.
    #[error("the request's body is over the limit")]
    TooLarge,
    /// It ended early, or is malformed.
    #[error("the request's body ended early or is malformed")]
    Broken(#[source] hyper::Error),
    /// The visitor sent nothing for longer than the route allows, or sends more slowly than it demands.
    #[error("the visitor sent its body too slowly")]
    Stalled,
    /// The second try has taken it over.
    #[error("the request's body is being sent to the upstream a second time")]
    Taken,
}

/// A visitor's body, up to a limit of bytes.
pub(in crate::upstream) struct LimitedBody {
    body: Incoming,
    /// Bytes that the limit still allows; `None` for no limit.
    left: Option<u64>,
}

impl LimitedBody {
    pub(in crate::upstream) fn new(body: Incoming, limit: Option<u64>) -> Self {
        Self { body, left: limit }
    }

    /// Whether the body announces more bytes than the limit allows.
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
