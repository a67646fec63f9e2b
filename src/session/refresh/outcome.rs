//! Which tokens a request needs from a refresh, and how the refresh ends.

use std::{sync::Arc, time::Duration};

use crate::session::grant::Session;

/// `Retry-After` where no other wait applies.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);
/// If the refresh token does not rotate, `POST /refresh` accepts tokens that were obtained within this time.
pub(crate) const FRESH_RESULT: Duration = Duration::from_secs(5);

/// Which tokens a request needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// Tokens newer than the request's.
    Newer,
    /// Tokens issued now (`POST /refresh`): if the refresh token does not rotate, a result older than [`FRESH_RESULT`]
    /// is not accepted.
    Fresh,
}

/// How a refresh ended.
#[derive(Clone, Debug)]
pub(crate) enum RefreshOutcome {
    /// The session's newest tokens.
    Refreshed(Arc<Session>),
    /// The session has ended.
    Ended,
    /// The session ended while the authority was asked; the tokens that it issued are signed out.
    SignedOut,
    /// No tokens, and the session may be alive: another try is possible after this time. A request that can wait for
    /// so long does.
    Held(Duration),
    /// `POST /refresh` has asked too often for this session; it may again after this time.
    TooOften(Duration),
    /// No tokens, and the session may be alive: another try is possible after this time, but not worth waiting for.
    Unavailable(Duration),
}

impl RefreshOutcome {
    /// Whether it is neither new tokens nor the session's end.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Held(_) | Self::TooOften(_) | Self::Unavailable(_))
    }
}
