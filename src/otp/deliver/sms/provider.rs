//! What a provider of SMS is: something that takes a message or says why not.

use std::time::Duration;

use futures_util::future::BoxFuture;
use http::StatusCode;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::{
    call::BadValue,
    clock::Clock,
    otp::deliver::{client::LARGEST_ANSWER, message::Sms},
    outbound::{CallLimits, HttpAnswer, NoAnswer, Outbound},
    secret::Random,
};

/// What is known of a provider before it is asked.
pub(super) trait ProviderInfo: Send + Sync {
    /// Its name in `order` and in logs.
    fn name(&self) -> &'static str;

    /// How long one message may take.
    fn timeout(&self) -> Duration;

    /// Whether it serves the message's country.
    fn serves(&self, _sms: &Sms) -> bool {
        true
    }
}

/// A provider of SMS.
pub(super) trait SmsProvider: ProviderInfo {
    /// Hands the message over. The future may be dropped when its time is up.
    fn send<'a>(&'a self, sms: &'a Sms, deps: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotTaken>>;
}

/// A provider that takes a message by one HTTP request.
pub(super) trait HttpProvider: ProviderInfo {
    /// The request that hands the message over.
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotTaken>;

    /// Whether the answer says that the message was taken.
    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotTaken>;
}

impl<P: HttpProvider> SmsProvider for P {
    fn send<'a>(&'a self, sms: &'a Sms, deps: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(async move {
            let limits = CallLimits { deadline: self.timeout(), answer: LARGEST_ANSWER };
            let answer = deps.http.send(self.request(sms, deps)?, limits).await?;
            self.read(&ProviderAnswer(answer))
        })
    }
}

/// What requests are made with.
pub(super) struct RequestDeps {
    pub(super) http: Outbound,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// Why a provider did not take a message. After any of these the next provider is tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotTaken {
    /// No complete answer came.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// [`SmsProvider::timeout`], or what was left for all providers, passed.
    #[error("no answer in time")]
    TooSlow,
    /// Its answer is not JSON, so nothing in it says that the message was taken.
    #[error("status {0}, and an answer that is not JSON")]
    Malformed(StatusCode),
    /// It answered that it did not take the message, or not that it did.
    #[error("status {status}: {words}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its own words, as they came: `log_text::masked` makes them fit for a log.
        words: String,
    },
    /// The text has more bytes than the provider sends.
    #[error("a text of {0} bytes is too long")]
    TooLong(usize),
    /// The template cannot be filled with this message.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// The outbox failed; it has logged why.
    #[error("the outbox failed")]
    Outbox,
}

/// A provider's complete answer.
pub(super) struct ProviderAnswer(pub(super) HttpAnswer);

impl ProviderAnswer {
    /// The body as JSON, whatever its media type says. Neither a message in another charset nor a byte order mark may
    /// turn a success into a failure.
    pub(super) fn json(&self) -> Result<Value, NotTaken> {
        let text = String::from_utf8_lossy(&self.0.body);
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| NotTaken::Malformed(self.0.status))
    }

    /// This answer as a failure, with the texts and numbers at `pointers` (RFC 6901) as the provider's words.
    pub(super) fn refused(&self, json: &Value, pointers: &[&str]) -> NotTaken {
        let words = pointers.iter().filter_map(|pointer| json.pointer(pointer)).filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        NotTaken::Refused { status: self.0.status, words: words.collect::<Vec<_>>().join(": ") }
    }
}

/// An integer, given as a number or as text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
