//! The outbox, which receives the demo's SMS and e-mails. It has a separate listener, which no request through the
//! gateway can reach.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use super::{
    super::{
        reply,
        server::{Hangup, Reply, Service},
    },
    BackendState, Event,
    message::Message,
};

/// Longest request body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// The service of the outbox's listener.
pub(super) struct Outbox(pub(super) Arc<BackendState>);

impl Service for Outbox {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let (head, body) = request.into_parts();
        let Ok(body) = reply::collect(body, MAX_BODY).await else { return Err(Hangup) };
        if head.method != Method::POST {
            return Ok(reply::wrong_method());
        }
        let Ok(message) = serde_json::from_slice::<Message>(&body) else {
            return Ok(reply::error(StatusCode::BAD_REQUEST, "bad_request", "a message is expected"));
        };
        self.0.journal.push(Event::new("message").message(message));
        self.0.counters.send_modify(|counters| counters.messages += 1);
        Ok(reply::json(StatusCode::OK, &json!({ "success": true })))
    }
}
