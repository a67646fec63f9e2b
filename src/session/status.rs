//! The result of a request's session: `x-auth-status` on the answer, and why it may be unknown.

use std::time::Duration;

use crate::problem::{Problem, ProblemKind};

/// `x-auth-status`: the result of the request's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthStatus {
    /// The session is alive and its cookies are unchanged.
    Valid,
    /// The answer carries new cookies.
    Refreshed,
    /// The session has ended.
    Invalid,
    /// The request has no session.
    Anonymous,
    /// It is unknown whether the session is alive: the access token has expired and the authority did not answer, or
    /// too many forged access tokens came from this client.
    Unavailable,
}

impl AuthStatus {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Refreshed => "refreshed",
            Self::Invalid => "invalid",
            Self::Anonymous => "anonymous",
            Self::Unavailable => "unavailable",
        }
    }
}

/// The state of a request's session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SessionOutcome {
    /// The request has no session.
    Absent,
    /// The session is alive.
    Alive,
    /// The session has ended: its cookies are cleared.
    Ended,
    /// It is unknown whether the session is alive.
    Unknown(Undecided),
}

/// Why it is unknown whether a session is alive, and the time until another try can succeed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecided {
    /// The authority did not answer.
    Unanswered(Duration),
    /// `POST /refresh` has made the authority be asked too often for this session, and the access token has expired.
    AskedTooOften(Duration),
    /// Too many forged access tokens came from this client, so that no further one is verified.
    Unchecked(Duration),
}

impl From<Undecided> for Problem {
    fn from(why: Undecided) -> Self {
        match why {
            Undecided::Unanswered(wait) => Self::new(ProblemKind::AuthorityUnavailable).after(wait),
            Undecided::AskedTooOften(wait) => Self::new(ProblemKind::TooManyRefreshes).after(wait),
            Undecided::Unchecked(wait) => Self::new(ProblemKind::TooManyForgedTokens).after(wait),
        }
    }
}
