//! Why a request is refused before anything else reads it.

use http::HeaderValue;

use crate::problem::{FORWARDED_METHODS, Failure, Problem, ProblemKind};

/// Why a request is refused; each variant has its own answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Two parsers could read the request differently (400, and the connection is closed).
    #[error("ambiguous request: {0}")]
    Ambiguous(&'static str),
    /// The host is not served here (421).
    #[error("a host that is not served here")]
    Misdirected,
    /// A page was asked for under another name of the loopback: redirected to this address (307).
    #[error("a page under a name of the loopback other than that of public_url")]
    ToPublicUrl(HeaderValue),
    /// CONNECT or TRACE (405).
    #[error("a method that is never served")]
    Method,
    /// `OPTIONS *`, which is about the gateway itself (204 with `Allow`).
    #[error("OPTIONS * asks about the gateway itself")]
    OptionsStar,
    /// OPTIONS with `Max-Forwards: 0`, answered by the gateway, not by the upstream (204 with `Allow`).
    #[error("OPTIONS with Max-Forwards: 0 is not forwarded")]
    LastHop,
    /// An expectation other than `100-continue` (417).
    #[error("an expectation other than 100-continue")]
    Expectation,
    /// The target is too long (414).
    #[error("the target is too long")]
    TargetTooLong,
    /// The headers are over [`super::HeaderLimits`] (431).
    #[error("the headers are too large")]
    TooManyHeaders,
    /// The request has passed this gateway, or gateways of its kind, twice before (508).
    #[error("the request has passed this gateway twice before")]
    Loop,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ambiguous(_) => ProblemKind::AmbiguousRequest.into(),
            Refusal::Misdirected => ProblemKind::UnknownHost.into(),
            Refusal::ToPublicUrl(location) => Self::ToPublicUrl(location),
            Refusal::Method => Problem::new(ProblemKind::MethodNeverServed).allowing(FORWARDED_METHODS).into(),
            Refusal::OptionsStar | Refusal::LastHop => Self::AboutGateway,
            Refusal::Expectation => ProblemKind::ExpectationFailed.into(),
            Refusal::TargetTooLong => ProblemKind::TargetTooLong.into(),
            Refusal::TooManyHeaders => ProblemKind::HeadersTooLarge.into(),
            Refusal::Loop => ProblemKind::LoopDetected.into(),
        }
    }
}
