//! One bounded exchange with a provider of SMS, and why a message was not taken.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use reqwest::{Client, RequestBuilder, redirect};
use serde_json::Value;

use crate::{
    call::{BadValue, is_html},
    clock::Clock,
    secret::Random,
};

/// Why a way did not take a message. All of them mean: the next one.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It could not be reached, or gave no complete answer.
    #[error("no answer")]
    Unanswered(#[source] reqwest::Error),
    /// It was given up.
    #[error("no answer in time")]
    TooSlow,
    /// Its answer is larger than any that makes sense.
    #[error("an answer of more than {ANSWER} bytes")]
    TooLarge,
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
    pub(super) http: Client,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

/// A client fit for providers of messages: redirects are not followed (they could carry a key elsewhere), connecting takes 2 s at most, and a
/// connection that idles is soon dropped, so that a message seldom meets one that is just being closed.
pub fn http_client() -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(Duration::from_secs(2))
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(Duration::from_secs(4))
        .user_agent("vestibule")
        .build()
}

/// 64 KiB: an answer is a number and a sentence.
const ANSWER: usize = 64 << 10;

/// A complete answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Sends `request` and reads the whole answer; whoever calls sets the deadline.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, Failure> {
    let unanswered = |error: reqwest::Error| Failure::Unanswered(error.without_url());
    let mut response = request.send().await.map_err(unanswered)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unanswered)? {
        if body.len() + chunk.len() > ANSWER {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

impl Answer {
    /// The body as JSON, whatever its media type says. A message in another charset must not turn a success into a failure, nor a byte order
    /// mark.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|_| Failure::Malformed(self.status))
    }

    /// This answer as a failure, with what stands at `pointers` as the provider's words.
    pub(super) fn refused(&self, json: &Value, pointers: &[&str]) -> Failure {
        let words = pointers.iter().filter_map(|pointer| json.pointer(pointer)).filter_map(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        Failure::Refused { status: self.status, said: words.collect::<Vec<_>>().join(": ") }
    }

    /// Whether it is a page for people, as from a proxy in between.
    pub(super) fn is_page(&self) -> bool {
        is_html(&self.headers, &self.body)
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
