//! Why a code was not sent or not accepted, and the problem that each reason becomes.

use std::time::Duration;

use crate::{
    authority::IssueError,
    call::CallError,
    channel::Channel,
    endpoint::{CountError, Unreadable},
    problem::{Problem, ProblemKind},
    session::{BeginError, EnterError},
    store::StoreError,
};

/// Why a code was not sent or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// The channel is not configured; for the code page: not with purpose `login`.
    #[error("no codes of this kind are configured")]
    NotConfigured,
    /// The purpose needs a session.
    #[error("there is no session")]
    NotLoggedIn,
    /// The purpose needs a session, and the one of this request cannot be refreshed because its authority does not
    /// answer.
    #[error("the session's authority does not answer")]
    SessionUnknown {
        /// When to try again.
        retry_after: Duration,
    },
    /// The body is not JSON or a form, or not the expected object.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The address or the code is missing.
    #[error("a field is missing")]
    Missing(Channel),
    /// The code is not six ASCII digits.
    #[error("the code is not six digits")]
    CodeForm,
    /// No code can be sent to this address.
    #[error("not an address of this channel")]
    Address(Channel),
    /// Wrong, used, expired, or requested by another browser; the answer does not say which.
    #[error("wrong, used or expired")]
    Wrong,
    /// The cool-down since the last code for the address has not passed, or the address has the maximum of live codes.
    /// The time to wait.
    #[error("too soon after the last code for this address")]
    TooSoon(Duration),
    /// A limit is reached. The time to wait.
    #[error("a limit is reached")]
    TooMany(Duration),
    /// This browser has no valid code that could be sent again.
    #[error("there is no valid code to send again")]
    NoLiveCode,
    /// No provider accepted the message; the code stays valid.
    #[error("the message could not be delivered")]
    Undelivered(Retry),
    /// The store did not accept the new code; nothing was sent.
    #[error("the code was not stored")]
    NotStored(#[source] StoreError),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[source] StoreError),
    /// The backend did not accept the verified address; the code is not spent.
    #[error("the backend did not accept the verified address")]
    NotNotified(#[source] NotifyError),
    /// The token authority does not answer; the code is not spent.
    #[error("the token authority is not available")]
    AuthorityUnavailable(#[source] IssueError),
    /// The authority or `allow` refuses the person; the code is spent.
    #[error("the person may not log in here: {0}")]
    NotAllowed(IssueError),
    /// No session can be made of the authority's tokens; the code is spent.
    #[error("no session can be made of the tokens")]
    Session(#[source] BeginError),
}

/// How a message that was not delivered can be requested again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// The channel of the message.
    pub channel: Channel,
    /// Whether the message was already a repetition.
    pub again: bool,
    /// Path of the endpoint that sends it again.
    pub endpoint: String,
    /// The challenge, for an app, which has no cookies.
    pub challenge: Option<String>,
}

/// Why the backend did not accept a verified address.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The call failed, or had no complete answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The status was not 2xx.
    #[error("it answered with status {0}")]
    Status(http::StatusCode),
    /// 2xx with a page.
    #[error("it answered with a page")]
    Page,
    /// 2xx with a list of errors (GraphQL section 7.1.2), or with `data` that is null or has only nulls.
    #[error("its answer has an error or no result")]
    Errors,
}

impl NotifyError {
    /// The row of the table of problems: no answer, an answer of a failure that may pass, or a refusal.
    const fn kind(&self) -> ProblemKind {
        match self {
            Self::Call(CallError::NoAnswer(_)) => ProblemKind::BackendNotNotified,
            Self::Call(CallError::Value(_)) | Self::Page => ProblemKind::BackendFailed,
            Self::Status(status) => match status.as_u16() {
                408 | 425 | 429 | 500.. => ProblemKind::BackendFailed,
                _ => ProblemKind::BackendRefused,
            },
            Self::Errors => ProblemKind::BackendRefused,
        }
    }
}

impl OtpError {
    /// The row of the table of problems.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::NotConfigured => ProblemKind::NotFound,
            Self::NotLoggedIn => ProblemKind::LoginRequired,
            Self::AuthorityUnavailable(cause) if cause.is_misconfigured() => ProblemKind::AuthorityMisconfigured,
            Self::SessionUnknown { .. } | Self::AuthorityUnavailable(_) => ProblemKind::AuthorityUnavailable,
            Self::Unreadable(unreadable) => unreadable.kind(),
            Self::Missing(Channel::Sms) => ProblemKind::PhoneOrCodeMissing,
            Self::Missing(Channel::Email) => ProblemKind::EmailOrCodeMissing,
            Self::CodeForm => ProblemKind::CodeForm,
            Self::Address(Channel::Sms) => ProblemKind::BadPhone,
            Self::Address(Channel::Email) => ProblemKind::BadEmail,
            Self::Wrong => ProblemKind::CodeWrong,
            Self::TooSoon(_) => ProblemKind::TooSoon,
            Self::TooMany(_) => ProblemKind::TooMany,
            Self::NoLiveCode => ProblemKind::NoLiveCode,
            Self::Undelivered(Retry { channel: Channel::Sms, again: false, .. }) => ProblemKind::SmsUndelivered,
            Self::Undelivered(Retry { channel: Channel::Sms, again: true, .. }) => ProblemKind::SmsUndeliveredAgain,
            Self::Undelivered(Retry { channel: Channel::Email, .. }) => ProblemKind::MailUndelivered,
            Self::NotStored(_) => ProblemKind::CodeNotStored,
            Self::Store(_) => ProblemKind::StoreUnavailable,
            Self::NotNotified(error) => error.kind(),
            Self::NotAllowed(_) => ProblemKind::NotAllowed,
            Self::Session(error) => error.kind(),
        }
    }
}

impl From<OtpError> for Problem {
    fn from(error: OtpError) -> Self {
        let problem = Self::new(error.kind());
        match &error {
            OtpError::TooSoon(wait) | OtpError::TooMany(wait) => problem.after(*wait),
            OtpError::SessionUnknown { retry_after } => problem.after(*retry_after).caused_by(error),
            OtpError::Undelivered(retry) => {
                let problem = problem.with("canResend", true).with("retryEndpoint", retry.endpoint.clone());
                let problem = match &retry.challenge {
                    Some(challenge) => problem.with("challenge", challenge.clone()),
                    None => problem,
                };
                problem.caused_by(error)
            }
            OtpError::NotStored(_)
            | OtpError::Store(_)
            | OtpError::NotNotified(_)
            | OtpError::AuthorityUnavailable(_)
            | OtpError::Session(_) => problem.caused_by(error),
            OtpError::NotConfigured
            | OtpError::NotLoggedIn
            | OtpError::Unreadable(_)
            | OtpError::Missing(_)
            | OtpError::CodeForm
            | OtpError::Address(_)
            | OtpError::Wrong
            | OtpError::NoLiveCode
            | OtpError::NotAllowed(_) => problem,
        }
    }
}

impl From<CountError> for OtpError {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooMany(wait) => Self::TooMany(wait),
            CountError::Store(error) => Self::Store(error),
        }
    }
}

impl From<EnterError> for OtpError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Issue(error) => match error {
                IssueError::BadCredentials(_) | IssueError::Refused(_) | IssueError::NotAllowed(_) => {
                    Self::NotAllowed(error)
                }
                IssueError::Unsupported => Self::NotConfigured,
                IssueError::TooMany(_) | IssueError::Unavailable(_) => Self::AuthorityUnavailable(error),
            },
            EnterError::Begin(error) => Self::Session(error),
        }
    }
}
