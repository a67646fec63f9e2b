//! The body of an answer: an upstream's is streamed, the gateway's own is in memory.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use crate::upstream::{AnswerBody, AnswerError};

/// An answer's body as hyper sends it.
#[derive(Debug)]
pub enum Body {
    /// Streamed from the upstream.
    Upstream(AnswerBody),
    /// Written by the gateway, in memory.
    Own(Full<Bytes>),
    /// No body.
    Empty,
}

impl From<AnswerBody> for Body {
    fn from(body: AnswerBody) -> Self {
        Self::Upstream(body)
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Own(Full::new(bytes)) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.get_mut() {
            Self::Upstream(body) => Pin::new(body).poll_frame(cx),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Upstream(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Upstream(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}
