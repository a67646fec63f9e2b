//! The traits of a provider of SMS, its answer, and the reasons for which it does not accept a message.

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
    received,
    secret::Random,
};

/// What the failover needs before it calls a provider.
pub(super) trait ProviderInfo: Send + Sync {
    /// Its name in `order` and in logs.
    fn name(&self) -> &'static str;

    /// Deadline for one message.
    fn timeout(&self) -> Duration;

    /// Whether it serves the message's country.
    fn serves(&self, _sms: &Sms) -> bool {
        true
    }
}

/// A provider of SMS.
pub(super) trait SmsProvider: ProviderInfo {
    /// Sends the message to the provider. The future is dropped at its deadline.
    fn send<'a>(&'a self, sms: &'a Sms, deps: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotAccepted>>;
}

/// A provider that needs one HTTP request for a message.
pub(super) trait HttpProvider: ProviderInfo {
    /// The request that sends the message to the provider.
    fn request(&self, sms: &Sms, deps: &RequestDeps) -> Result<RequestBuilder, NotAccepted>;

    /// Whether the provider accepted the message.
    fn read(&self, answer: &ProviderAnswer) -> Result<(), NotAccepted>;
}

impl<P: HttpProvider> SmsProvider for P {
    fn send<'a>(&'a self, sms: &'a Sms, deps: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotAccepted>> {
        Box::pin(async move {
            let limits = CallLimits { deadline: self.timeout(), answer: LARGEST_ANSWER };
            let answer = deps.http.send(self.request(sms, deps)?, limits).await?;
            self.read(&ProviderAnswer(answer))
        })
    }
}

/// The parts that requests need.
pub(super) struct RequestDeps {
    pub(super) http: Outbound,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// Why a provider did not accept a message. After any of these the next provider is tried.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotAccepted {
    /// There was no complete answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// [`ProviderInfo::timeout`], or the rest of the time for all providers, has passed.
    #[error("no answer in time")]
    TooSlow,
    /// Its answer is not JSON, so it does not confirm the message.
    #[error("status {0}, and an answer that is not JSON")]
    Malformed(StatusCode),
    /// Its answer refuses the message, or does not confirm it.
    #[error("status {status}: {reason}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its error texts, unmasked; `log_text::masked` masks them for the log.
        reason: String,
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
    /// The body as JSON, without a look at its media type. Another charset or a byte order mark must not make a success
    /// a failure.
    pub(super) fn json(&self) -> Result<Value, NotAccepted> {
        let text = String::from_utf8_lossy(&self.0.body);
        received::json(text.as_bytes()).map_err(|_| NotAccepted::Malformed(self.0.status))
    }

    /// This answer as a failure; the reason is made of the texts and numbers at `pointers` (RFC 6901).
    pub(super) fn refused(&self, json: &Value, pointers: &[&str]) -> NotAccepted {
        let texts = pointers.iter().filter_map(|pointer| json.pointer(pointer)).filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        NotAccepted::Refused { status: self.0.status, reason: texts.collect::<Vec<_>>().join(": ") }
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
