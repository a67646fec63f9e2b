//! How a request's session fared: `x-auth-status` on the answer, and the reasons why it may be unknown.

use std::time::Duration;

use crate::problem::{Problem, ProblemKind};

/// `x-auth-status`: how the session fared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthStatus {
    /// Served with the access token that the request brought.
    Valid,
    /// The answer carries new cookies.
    Refreshed,
    /// The session has ended.
    Invalid,
    /// The request brought no session.
    Anonymous,
    /// The session could not be judged: the access token has expired and the authority did not answer, or too many
    /// forged access tokens came from this client.
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

/// What became of the session that a request brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum SessionOutcome {
    /// The request brought no session.
    Absent,
    /// The session is alive.
    Alive,
    /// The session has ended: its cookies are cleared.
    Ended,
    /// The session could not be judged.
    Unknown(Undecided),
}

/// Why a session could not be judged, and after how long another try is worth it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecided {
    /// The authority did not answer.
    Unanswered(Duration),
    /// Too many forged access tokens came from this client, so no further one is checked.
    Unchecked(Duration),
}

impl From<Undecided> for Problem {
    fn from(why: Undecided) -> Self {
        match why {
            Undecided::Unanswered(wait) => Self::new(ProblemKind::AuthorityUnavailable).after(wait),
            Undecided::Unchecked(wait) => Self::new(ProblemKind::TooManyForgedTokens).after(wait),
        }
    }
}
