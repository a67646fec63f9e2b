//! One-time codes by SMS and e-mail: sent, sent again, verified; and what a verified one is worth.
//!
//! A code is bound to its channel, address and purpose, and to the browser that asked for it: `send` leaves a sealed challenge there, without which no code is even compared.
//! Whether there is an account for an address is nobody's business here: nothing is looked up.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    authority::{Allow, IssueError},
    call::{CallError, Caller, Template},
    channel::Channel,
    clock::Clock,
    endpoint::{CountError, Counts, ReturnTo, Unreadable},
    pages::Pages,
    problem::{Problem, ProblemKind},
    seal::KeyRing,
    secret::Random,
    session::{BeginError, EnterError, Sessions},
    signing::Signer,
    store::{Store, StoreError},
    telemetry::Metrics,
};

mod address;
mod challenge;
mod code;
pub mod deliver;
mod limits;
mod message;
mod page;
mod proof;
mod request;
mod send;
mod verify;

pub use crate::endpoint::Rate;
pub use address::{Country, Rules};
pub use limits::Limits;

use deliver::{MailSender, MailSettings, SmsSender, SmsSettings, Texts};
use message::Sender;

/// No code lives longer (NIST SP 800-63B section 5.1.3.2).
pub const LONGEST_LIFETIME: Duration = Duration::from_secs(600);

/// What a verified code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Whoever is logged in proves an address.
    Verify,
    /// The address is who they are.
    Login,
    /// A proof for a sign-up form.
    Prove,
}

impl Purpose {
    /// Its name in the file, in records and proofs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Login => "login",
            Self::Prove => "prove",
        }
    }
}

/// `[otp]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a code is valid; at most [`LONGEST_LIFETIME`].
    pub lifetime: Duration,
    /// How long an address waits for the next code.
    pub cooldown: Duration,
    /// Wrong tries that end a code.
    pub attempts: u32,
    /// What addresses there are.
    pub addresses: Rules,
    /// How many messages are sent.
    pub limits: Limits,
    /// `aud` of proofs.
    pub proof_audience: String,
    /// What the site is called in messages.
    pub site: String,
    /// `[otp.sms]`
    pub sms: Option<SmsChannel>,
    /// `[otp.email]`
    pub email: Option<EmailChannel>,
}

/// `[otp.sms]`, validated.
#[derive(Clone, Debug)]
pub struct SmsChannel {
    /// What both channels have.
    pub channel: ChannelSettings,
    /// What the message says; `None`: the built-in text.
    pub text: Option<Texts>,
    /// Who sends it.
    pub delivery: SmsSettings,
}

/// `[otp.email]`, validated.
#[derive(Clone, Debug)]
pub struct EmailChannel {
    /// What both channels have.
    pub channel: ChannelSettings,
    /// What the message says and who sends it.
    pub delivery: MailSettings,
}

/// What both channels have.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// What its codes are for.
    pub purpose: Purpose,
    /// Who may log in.
    pub allow: Option<Allow>,
    /// The call that tells the backend of a verified address.
    pub notify: Option<Template>,
}

impl Settings {
    /// What the channels that are there have in common, by their names.
    pub fn channels(&self) -> impl Iterator<Item = (Channel, &ChannelSettings)> {
        let sms = self.sms.as_ref().map(|sms| (Channel::Sms, &sms.channel));
        sms.into_iter().chain(self.email.as_ref().map(|email| (Channel::Email, &email.channel)))
    }
}

/// Why a code was not sent or not taken.
#[derive(Debug, thiserror::Error)]
pub enum OtpError {
    /// There is no such channel, or none for logging in.
    #[error("no codes of this kind are configured")]
    NotConfigured,
    /// The purpose needs a session.
    #[error("nobody is logged in")]
    NotLoggedIn,
    /// The purpose needs a session, and whether there is one is not known now.
    #[error("the session's authority does not answer")]
    SessionUnknown {
        /// When to try again.
        retry_after: Duration,
    },
    /// The body is not what is read here.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The address or the code is missing.
    #[error("a field is missing")]
    Missing(Channel),
    /// The code is not six ASCII digits.
    #[error("the code is not six digits")]
    CodeForm,
    /// Nothing can be sent to this address.
    #[error("not an address of this channel")]
    Address(Channel),
    /// Wrong, used, expired, or asked for by another browser: nobody is told which.
    #[error("wrong, used or expired")]
    Wrong,
    /// The address was sent a code a moment ago, or has as many as it may.
    #[error("too soon after the last")]
    TooSoon(Duration),
    /// A limit is reached.
    #[error("too many")]
    TooMany(Duration),
    /// There is nothing to send again.
    #[error("no live code")]
    NoLiveCode,
    /// Nobody took the message; the code stays valid.
    #[error("the message could not be delivered")]
    Undelivered(Retry),
    /// The new code could not be kept; nothing was sent.
    #[error("the code was not stored")]
    NotStored(#[source] StoreError),
    /// The store does not answer.
    #[error("the store does not answer")]
    Store(#[source] StoreError),
    /// The backend was not told of the verified address; the code is not spent.
    #[error("the backend was not told")]
    NotNotified(#[source] NotifyError),
    /// Whoever issues the tokens does not answer; the code is not spent.
    #[error("the token authority is not available")]
    AuthorityUnavailable(#[source] IssueError),
    /// The person may not come in.
    #[error("the person may not log in here")]
    NotAllowed(#[source] IssueError),
    /// The tokens make no session.
    #[error("the tokens make no session")]
    Session(#[source] BeginError),
}

/// What a visitor whose message was not delivered is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retry {
    /// How it should have gone.
    pub channel: Channel,
    /// It was sent before.
    pub again: bool,
    /// Where to ask for it again.
    pub endpoint: String,
    /// For an app, which keeps no cookies.
    pub challenge: Option<String>,
}

/// Why the backend does not know of a verified address.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The call brought no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It was not answered 2xx.
    #[error("it answered with status {0}")]
    Status(http::StatusCode),
    /// 2xx, and a page for people, a list of errors (GraphQL section 7.1.2), or `data` that is null or holds nothing but null.
    #[error("its answer does not say that it did anything")]
    Errors,
}

impl OtpError {
    /// What the visitor is told.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::NotConfigured => ProblemKind::NotFound,
            Self::NotLoggedIn => ProblemKind::LoginRequired,
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
            Self::NotNotified(_) => ProblemKind::BackendNotNotified,
            Self::NotAllowed(_) => ProblemKind::NotAllowed,
            Self::Session(error) => error.kind(),
        }
    }

    /// The time until another try can succeed, where it is known.
    pub const fn wait(&self) -> Option<Duration> {
        match self {
            Self::TooSoon(wait) | Self::TooMany(wait) | Self::SessionUnknown { retry_after: wait } => Some(*wait),
            _ => None,
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
                IssueError::BadCredentials | IssueError::Refused(_) | IssueError::NotAllowed => Self::NotAllowed(error),
                IssueError::Unsupported => Self::NotConfigured,
                IssueError::Unavailable(_) => Self::AuthorityUnavailable(error),
            },
            EnterError::Begin(error) => Self::Session(error),
        }
    }
}

/// A failure, and what its answer says of the session that came in.
pub type Failed = crate::endpoint::Failed<OtpError>;

/// The endpoints of one-time codes, built once.
pub struct Otps {
    settings: Settings,
    /// Where the gateway's own endpoints live.
    base_path: String,
    lines: Vec<Line>,
    ring: KeyRing,
    counts: Counts,
    signer: Signer,
    caller: Arc<Caller>,
    sessions: Sessions,
    store: Store,
    pages: Arc<Pages>,
    return_to: ReturnTo,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
}

/// A channel that is configured.
struct Line {
    channel: Channel,
    purpose: Purpose,
    allow: Option<Allow>,
    notify: Option<Template>,
    sender: Sender,
}

/// What sends the messages of the channels that are configured.
pub struct Senders {
    /// Of `[otp.sms]`.
    pub sms: Option<SmsSender>,
    /// Of `[otp.email]`.
    pub mail: Option<MailSender>,
}

/// What the endpoints stand on besides their settings.
pub struct Ground {
    /// Where the gateway's own endpoints live, e.g. `/auth`.
    pub base_path: String,
    /// Seals challenges and codes.
    pub ring: KeyRing,
    /// Signs proofs.
    pub signer: Signer,
    /// Tells backends.
    pub caller: Arc<Caller>,
    /// Begins sessions.
    pub sessions: Sessions,
    /// Keeps codes and counts.
    pub store: Store,
    /// The page for codes.
    pub pages: Arc<Pages>,
    /// Where logins may end.
    pub return_to: ReturnTo,
    /// Now.
    pub clock: Clock,
    /// Makes codes.
    pub random: Random,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

impl Otps {
    /// Puts the endpoints together: of each channel that has both settings and a sender.
    pub fn new(settings: Settings, senders: Senders, ground: Ground) -> Self {
        let sms = settings.sms.as_ref().zip(senders.sms).map(|(sms, sender)| {
            let sender = Sender::Sms { text: sms.text.clone().unwrap_or_else(message::built_in), sender };
            Line::new(Channel::Sms, &sms.channel, sender)
        });
        let email = settings.email.as_ref().zip(senders.mail);
        let email = email.map(|(email, sender)| Line::new(Channel::Email, &email.channel, Sender::Mail(sender)));
        let lines = sms.into_iter().chain(email).collect();
        Self::with_lines(settings, lines, ground)
    }

    fn with_lines(settings: Settings, lines: Vec<Line>, ground: Ground) -> Self {
        Self {
            counts: Counts::new(&ground.store, ground.ring.mac_key()),
            settings,
            lines,
            base_path: ground.base_path,
            ring: ground.ring,
            signer: ground.signer,
            caller: ground.caller,
            sessions: ground.sessions,
            store: ground.store,
            pages: ground.pages,
            return_to: ground.return_to,
            clock: ground.clock,
            random: ground.random,
            metrics: ground.metrics,
        }
    }

    fn line(&self, channel: Channel) -> Option<&Line> {
        self.lines.iter().find(|line| line.channel == channel)
    }

    fn at(&self, endpoint: &str) -> String {
        format!("{}/{endpoint}", self.base_path)
    }
}

impl Line {
    fn new(channel: Channel, settings: &ChannelSettings, sender: Sender) -> Self {
        let ChannelSettings { purpose, allow, notify } = settings.clone();
        Self { channel, purpose, allow, notify, sender }
    }
}

#[cfg(test)]
mod tests;
