//! Why a request got no answer that can be passed on.

use std::io;

use crate::problem::{Problem, ProblemKind};

/// Why there is no answer: one variant for each different reaction.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No target accepted the request; nothing was sent (502).
    #[error("no target of the upstream could be reached")]
    Unreachable(#[source] io::Error),
    /// The target closed the connection before its answer; it may have acted on the request (502).
    #[error("the upstream closed the connection before its answer")]
    Broken(#[source] hyper::Error),
    /// The target was too slow (504).
    #[error("the upstream was too slow: {0:?}")]
    Timeout(Stage),
    /// The visitor's body is over the route's limit (413).
    #[error("the request's body is over the limit")]
    RequestTooLarge,
    /// The visitor's body ended early or is malformed (400, and the connection is closed).
    #[error("the request's body ended early or is malformed")]
    RequestBroken(#[source] hyper::Error),
    /// The visitor sent nothing of its body for too long, or sent it too slowly (408, and the connection is closed).
    #[error("the visitor sent its body too slowly")]
    RequestStalled,
    /// The answer must not be passed on (502).
    #[error("the upstream's answer cannot be passed on")]
    BadAnswer(#[source] AnswerFault),
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        let kind = match error {
            ForwardError::Unreachable(_) => ProblemKind::UpstreamUnreachable,
            ForwardError::Broken(_) => ProblemKind::UpstreamBroke,
            ForwardError::BadAnswer(_) => ProblemKind::UpstreamAnswerInvalid,
            ForwardError::Timeout(_) => ProblemKind::UpstreamTimeout,
            ForwardError::RequestTooLarge => ProblemKind::BodyTooLarge,
            ForwardError::RequestBroken(_) => ProblemKind::BodyBroken,
            ForwardError::RequestStalled => ProblemKind::BodyTooSlow,
        };
        Self::new(kind).caused_by(error)
    }
}

/// The step in which an upstream was too slow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The connection.
    Connect,
    /// Reading the request's body.
    Send,
    /// The first byte of the answer.
    Answer,
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// It is not HTTP/1.1.
    #[error("it is not HTTP/1.1 (a target that speaks HTTP/2 alone answers so; `check --probe` tells)")]
    Unparsable(#[source] hyper::Error),
    /// Two parsers could disagree about its end (RFC 9112 section 6.3), or it has a transfer coding other than chunked.
    #[error("its framing is ambiguous")]
    Framing,
    /// It switches protocols without having been asked, or not to the protocol that was asked for.
    #[error("it switches to a protocol that was not asked for")]
    Upgrade,
}
