//! One problem: its kind, and what differs from one answer to another (RFC 9457, "Problem Details for HTTP APIs").

use std::{borrow::Cow, error::Error, time::Duration};

use serde_json::Value;

use super::{
    row::{FormPage, GuessCounting, ProblemRow, RetryAdvice, Wording},
    table::ProblemKind,
};
use crate::{
    channel::Channel,
    text::{Language, Text},
};

/// The methods that the gateway forwards: `Allow` of an answer about the gateway as a whole.
pub const FORWARDED_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// `Retry-After` of a [`RetryAdvice::Later`] that names no time.
const RETRY_LATER: Duration = Duration::from_secs(1);

/// A problem: its kind, and what differs from one answer to another. On the wire it is RFC 9457's problem details.
#[derive(Debug)]
pub struct Problem {
    kind: ProblemKind,
    /// In place of the row's text.
    wording: Option<Text>,
    wait: Option<Duration>,
    allow: Option<&'static str>,
    members: Vec<(&'static str, Value)>,
    /// Boxed, because few problems have it and all results that can fail would be larger.
    return_to: Option<Box<ReturnAddress>>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// The address after a login.
#[derive(Debug)]
struct ReturnAddress(String);

impl Problem {
    /// A problem of this kind.
    pub const fn new(kind: ProblemKind) -> Self {
        Self { kind, wording: None, wait: None, allow: None, members: Vec::new(), return_to: None, cause: None }
    }

    /// Another try can succeed after `wait`.
    #[must_use]
    pub const fn after(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// The text for people, where that of the row would not fit.
    #[must_use]
    pub const fn worded(mut self, wording: Text) -> Self {
        self.wording = Some(wording);
        self
    }

    /// The methods for the header `Allow` (RFC 9110 section 10.2.1).
    #[must_use]
    pub const fn allowing(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// A member of the JSON object besides those that all problems have (RFC 9457 section 3.2).
    #[must_use]
    pub fn with(mut self, member: &'static str, value: impl Into<Value>) -> Self {
        self.members.push((member, value.into()));
        self
    }

    /// The error behind it. A problem with a cause is logged as a warning, because the operator can mend it.
    #[must_use]
    pub fn caused_by(mut self, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(error.into());
        self
    }

    /// The address after the login to which the page's link leads; a later call changes nothing.
    pub fn set_return_to(&mut self, return_to: Option<String>) {
        if self.return_to.is_none() {
            self.return_to = return_to.map(|address| Box::new(ReturnAddress(address)));
        }
    }

    /// The address after the login to which the page's link leads.
    pub fn return_to(&self) -> Option<&str> {
        self.return_to.as_ref().map(|address| address.0.as_str())
    }

    /// Its kind.
    pub const fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// Its row of the table.
    pub const fn row(&self) -> &'static ProblemRow {
        self.kind.row()
    }

    /// The text for people.
    pub fn text(&self, language: Language) -> Cow<'static, str> {
        match self.wording {
            Some(wording) => wording.say(language).into(),
            None => self.kind.text(language, self.wait_seconds()),
        }
    }

    /// For `Retry-After`, in seconds; at least 1.
    pub fn retry_after(&self) -> Option<u64> {
        match self.row().retry {
            RetryAdvice::Never => None,
            RetryAdvice::Later => Some(whole_seconds(self.wait.unwrap_or(RETRY_LATER))),
            RetryAdvice::Wait => self.wait_seconds(),
        }
    }

    /// The time to wait in the text and in the member `retryAfter`, in seconds; at least 1.
    pub fn wait_seconds(&self) -> Option<u64> {
        self.wait.filter(|_| self.row().retry == RetryAdvice::Wait).map(whole_seconds)
    }

    /// The methods for the header `Allow`.
    pub const fn allow(&self) -> Option<&'static str> {
        self.allow
    }

    /// Members of the JSON object besides those that all problems have.
    pub fn members(&self) -> &[(&'static str, Value)] {
        &self.members
    }

    /// The error behind it.
    pub fn cause(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

impl From<ProblemKind> for Problem {
    fn from(kind: ProblemKind) -> Self {
        Self::new(kind)
    }
}

impl ProblemKind {
    /// Its `code`.
    pub const fn code(self) -> &'static str {
        self.row().code
    }

    /// Whether it counts as a wrong guess of the client.
    pub const fn is_wrong_guess(self) -> bool {
        matches!(self.row().guess, GuessCounting::Wrong)
    }

    /// The text for people; `wait` is the time to wait in seconds, `None` if it is not known.
    pub fn text(self, language: Language, wait: Option<u64>) -> Cow<'static, str> {
        match (self.row().text, wait) {
            (Wording::Fixed(text) | Wording::Wait { unknown: text, .. }, None) | (Wording::Fixed(text), Some(_)) => {
                text.say(language).into()
            }
            (Wording::Wait { known, .. }, Some(wait)) => known.with(language, "seconds", &wait.to_string()).into(),
        }
    }

    /// The first kind with this `code`.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }

    /// The problem of the login page's form that has this `code`; nothing else can be shown there.
    pub fn on_login_page(code: &str) -> Option<Self> {
        Self::on_form(code, |form| form == FormPage::Login)
    }

    /// The problem of this channel's code page that has this `code`; nothing else can be shown there.
    pub fn on_code_page(channel: Channel, code: &str) -> Option<Self> {
        Self::on_form(code, |form| matches!(form, FormPage::Code(channels) if channels.contains(&channel)))
    }

    fn on_form(code: &str, is_wanted: impl Fn(FormPage) -> bool) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code && is_wanted(kind.row().form))
    }
}

/// `Retry-After` counts in whole seconds (RFC 9110 section 10.2.3); a part of a second counts as one, and 0 as 1.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0)).max(1)
}
