//! Where the demo's SMS and e-mails arrive: a listener of its own, so that no visitor's request through the gateway can write into it.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{
        reply,
        server::{Hangup, Reply, Service},
    },
    Event, State,
};

/// Larger than any message.
const LONGEST: usize = 64 * 1024;

/// A message that a phone or a mailbox would have got.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// `sms` or `email`.
    pub channel: String,
    /// The address.
    pub to: String,
    /// Of an e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What it says.
    pub text: String,
}

impl Letter {
    /// The six digits in it.
    pub fn code(&self) -> Option<&str> {
        let digits = |c: char| c.is_ascii_digit();
        self.text.split(|c: char| !digits(c)).find(|run| run.len() == 6)
    }
}

/// The listener.
pub(super) struct Outbox(pub(super) Arc<State>);

impl Service for Outbox {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let (head, body) = request.into_parts();
        let Ok(body) = reply::collect(body, LONGEST).await else { return Err(Hangup) };
        if head.method != Method::POST {
            return Ok(reply::wrong_method());
        }
        let Ok(letter) = serde_json::from_slice::<Letter>(&body) else {
            return Ok(reply::error(StatusCode::BAD_REQUEST, "bad_request", "a message is expected"));
        };
        self.0.journal.push(Event::new("message").letter(letter));
        self.0.counters.send_modify(|counters| counters.messages += 1);
        Ok(reply::json(StatusCode::OK, &json!({ "success": true })))
    }
}
