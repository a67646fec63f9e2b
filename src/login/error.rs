//! Why a login failed, and the problem that each reason becomes.

use std::{sync::Arc, time::Duration};

use super::fields::wording;
use crate::{
    authority::{Guess, IssueError},
    endpoint::{CountError, Repeated, Unreadable},
    oidc::{self, OidcError, Rejection},
    problem::{Problem, ProblemKind},
    session::{BeginError, EnterError},
    store::StoreError,
    telemetry,
};

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The callback belongs to no attempt of this browser, or the attempt is older than 10 min or was used before, and
    /// not by the same callback within 60 s.
    #[error("the login attempt is unknown, too old, or was used")]
    AttemptExpired,
    /// A login was to begin with a request that no person can have opened.
    #[error("a login begins with a navigation")]
    NotOpened,
    /// The identity provider does not answer.
    #[error("the identity provider is not available")]
    ProviderUnavailable(#[source] Arc<oidc::Unavailable>),
    /// The token authority does not answer, or its answer is unusable.
    #[error("the token authority is not available")]
    AuthorityUnavailable(#[source] IssueError),
    /// E-mail address or password are wrong.
    #[error("bad credentials")]
    BadCredentials(Guess),
    /// The backend has too many tries of its own count; the time to wait, if it names one.
    #[error("the backend has too many tries")]
    BackendTooMany(Option<Duration>),
    /// The authority or `allow` refuses the person.
    #[error("the person may not log in here: {0}")]
    NotAllowed(IssueError),
    /// The ID token of an app is not valid.
    #[error("the ID token is not accepted: {0}")]
    InvalidIdToken(Rejection),
    /// The ID token of a page has no nonce of ours.
    #[error("the ID token has no nonce of this gateway")]
    NonceExpected,
    /// The ID token of an app was used before.
    #[error("the ID token was used before")]
    UsedIdToken,
    /// Too many wrong guesses; the time to wait.
    #[error("too many wrong tries")]
    TooMany(Duration),
    /// No login of this kind is configured.
    #[error("no login of this kind is configured")]
    NotConfigured,
    /// The body cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The same callback failed before, in this way.
    #[error("the same callback failed before")]
    FailedBefore(ProblemKind),
    /// A parameter is repeated, or there are more than 64.
    #[error("a parameter is repeated, or there are more than 64")]
    RepeatedParameter,
    /// E-mail address or password are missing.
    #[error("the e-mail address or the password is missing")]
    CredentialsMissing,
    /// A failure of a login with other fields than e-mail address and password, which its text must not name.
    #[error(transparent)]
    OfOtherFields(Box<Self>),
    /// A field of the body is absent, null or of another type.
    #[error("a field is missing")]
    FieldMissing,
    /// No session can be made of the authority's tokens.
    #[error("no session can be made of the tokens")]
    Session(#[source] BeginError),
    /// The store does not answer, so single use cannot be checked.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

impl LoginError {
    /// The row of the table of problems.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::AttemptExpired => ProblemKind::AttemptExpired,
            Self::NotOpened => ProblemKind::LoginNotOpened,
            Self::ProviderUnavailable(cause) if cause.is_misconfigured() => ProblemKind::ProviderMisconfigured,
            Self::ProviderUnavailable(_) => ProblemKind::ProviderUnavailable,
            Self::AuthorityUnavailable(cause) if cause.is_misconfigured() => ProblemKind::AuthorityMisconfigured,
            Self::AuthorityUnavailable(_) => ProblemKind::AuthorityUnavailable,
            Self::BadCredentials(Guess::Counted) => ProblemKind::BadCredentials,
            Self::BadCredentials(Guess::Uncounted) => ProblemKind::AccountRefused,
            Self::NotAllowed(_) => ProblemKind::NotAllowed,
            Self::InvalidIdToken(_) => ProblemKind::InvalidIdToken,
            Self::NonceExpected => ProblemKind::NonceExpected,
            Self::UsedIdToken => ProblemKind::UsedIdToken,
            Self::TooMany(_) | Self::BackendTooMany(_) => ProblemKind::TooManyGuesses,
            Self::NotConfigured => ProblemKind::NotFound,
            Self::Unreadable(unreadable) => unreadable.kind(),
            Self::FailedBefore(kind) => *kind,
            Self::RepeatedParameter => ProblemKind::RepeatedParameter,
            Self::CredentialsMissing => ProblemKind::CredentialsMissing,
            Self::OfOtherFields(error) => error.kind(),
            Self::FieldMissing => ProblemKind::FieldMissing,
            Self::Session(error) => error.kind(),
            Self::Store(_) => ProblemKind::StoreUnavailable,
        }
    }

    /// The label `result` in `vestibule_logins_total`; `None`: not counted.
    pub(super) fn result(&self) -> Option<telemetry::LoginResult> {
        match self {
            Self::OfOtherFields(error) => error.result(),
            Self::NotConfigured | Self::NotOpened | Self::FailedBefore(_) => None,
            Self::AttemptExpired
            | Self::BadCredentials(_)
            | Self::BackendTooMany(_)
            | Self::FieldMissing
            | Self::NotAllowed(_)
            | Self::InvalidIdToken(_)
            | Self::NonceExpected
            | Self::UsedIdToken
            | Self::TooMany(_)
            | Self::Unreadable(_)
            | Self::RepeatedParameter
            | Self::CredentialsMissing => Some(telemetry::LoginResult::Refused),
            Self::ProviderUnavailable(_) | Self::AuthorityUnavailable(_) | Self::Session(_) | Self::Store(_) => {
                Some(telemetry::LoginResult::Failed)
            }
        }
    }
}

impl From<IssueError> for LoginError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::BadCredentials(guess) => Self::BadCredentials(guess),
            IssueError::TooMany(wait) => Self::BackendTooMany(wait),
            IssueError::Refused(_) | IssueError::NotAllowed(_) => Self::NotAllowed(error),
            IssueError::Unsupported => Self::NotConfigured,
            IssueError::Unavailable(_) => Self::AuthorityUnavailable(error),
        }
    }
}

impl From<OidcError> for LoginError {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Unavailable(cause) | OidcError::CodeUnused(cause) => Self::ProviderUnavailable(cause),
            // The callback itself shows refusals on the login page, so here the login only has to be started again.
            OidcError::Attempt | OidcError::Refused(_) | OidcError::Untrusted(_) => Self::AttemptExpired,
        }
    }
}

impl From<EnterError> for LoginError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Issue(error) => error.into(),
            EnterError::Begin(error) => Self::Session(error),
        }
    }
}

impl From<CountError> for LoginError {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooMany(wait) => Self::TooMany(wait),
            CountError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Repeated> for LoginError {
    fn from(_: Repeated) -> Self {
        Self::RepeatedParameter
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let problem = Self::new(error.kind());
        match error {
            LoginError::OfOtherFields(error) => match wording(error.kind()) {
                Some(wording) => Self::from(*error).worded(wording),
                None => Self::from(*error),
            },
            LoginError::TooMany(wait) | LoginError::BackendTooMany(Some(wait)) => problem.after(wait),
            LoginError::ProviderUnavailable(_)
            | LoginError::AuthorityUnavailable(_)
            | LoginError::Session(_)
            | LoginError::Store(_) => problem.caused_by(error),
            LoginError::AttemptExpired
            | LoginError::NotOpened
            | LoginError::BadCredentials(_)
            | LoginError::BackendTooMany(None)
            | LoginError::FieldMissing
            | LoginError::NotAllowed(_)
            | LoginError::InvalidIdToken(_)
            | LoginError::NonceExpected
            | LoginError::UsedIdToken
            | LoginError::NotConfigured
            | LoginError::FailedBefore(_)
            | LoginError::Unreadable(_)
            | LoginError::RepeatedParameter
            | LoginError::CredentialsMissing => problem,
        }
    }
}
