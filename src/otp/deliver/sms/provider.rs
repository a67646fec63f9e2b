//! A call to a provider of SMS, and why a message was not taken.

use std::time::Duration;

use http::StatusCode;
use reqwest::RequestBuilder;
use serde_json::Value;

use crate::{
    call::BadValue,
    clock::Clock,
    outbound::{self, HttpAnswer, Limits, Network, NoAnswer, Outbound},
    secret::Random,
};

/// Why a way did not take a message. All of them mean: the next one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It could not be reached, or gave no complete answer of a size that makes sense.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// It was given up.
    #[error("no answer in time")]
    TooSlow,
    /// Its answer is not JSON, so nothing in it says that the message was taken.
    #[error("status {0}, and an answer that is not JSON")]
    Malformed(StatusCode),
    /// It answered that it did not take the message, or not that it did.
    #[error("status {status}: {said}")]
    Refused {
        /// Its status.
        status: StatusCode,
        /// Its own words, as they came: not fit for a log before `said::for_log`.
        said: String,
    },
    /// The text has more bytes than the provider sends.
    #[error("a text of {0} bytes is too long")]
    TooLong(usize),
    /// The template cannot be filled with this message.
    #[error(transparent)]
    Value(#[from] BadValue),
    /// The outbox failed; it has said why.
    #[error("the outbox failed")]
    Outbox,
}

/// What every call needs.
pub(super) struct Wire {
    pub(super) http: Outbound,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// A client for providers of messages; connecting takes 2 s at most.
pub fn http_client() -> reqwest::Result<Outbound> {
    let connect_timeout = Duration::from_secs(2);
    Outbound::new(outbound::Settings { peer: "message provider", connect_timeout, network: Network::Internet })
}

/// 64 KiB: an answer is a number and a sentence.
pub(super) const LARGEST_ANSWER: usize = 64 << 10;

/// Sends `request` and reads the whole answer.
pub(super) async fn exchange(http: &Outbound, request: RequestBuilder, deadline: Duration) -> Result<Answer, Failure> {
    Ok(Answer(http.send(request, Limits { deadline, answer: LARGEST_ANSWER }).await?))
}
/// A complete answer.
pub(super) struct Answer(pub(super) HttpAnswer);

impl Answer {
    /// The body as JSON, whatever its media type says. A message in another charset must not turn a success into a failure, nor a byte order
    /// mark.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        let text = String::from_utf8_lossy(&self.0.body);
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| Failure::Malformed(self.0.status))
    }

    /// This answer as a failure, with what stands at `pointers` as the provider's words.
    pub(super) fn refused(&self, json: &Value, pointers: &[&str]) -> Failure {
        let words = pointers.iter().filter_map(|pointer| json.pointer(pointer)).filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        Failure::Refused { status: self.0.status, said: words.collect::<Vec<_>>().join(": ") }
    }
}

/// An integer, written as a number or as text.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
