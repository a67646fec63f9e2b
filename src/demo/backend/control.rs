//! The endpoints that the demo page's buttons call, and the state that the page shows. A real backend has none of
//! these.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode, header, request::Parts};
use serde_json::json;

use super::{
    super::{
        fault::Fault,
        reply::{self, Parameters},
        server::{Reply, lock},
    },
    BackendState, Event, streams,
};

/// Longest outage that a button can start, in seconds.
const MAX_OUTAGE: u64 = 60;
/// Longest time that a button can make a refresh take.
const MAX_REFRESH_DELAY: Duration = Duration::from_secs(5);
/// Longest life of a token that a button can order, in seconds.
const MAX_TOKEN_LIFE: u64 = 3600;

impl BackendState {
    pub(super) fn control(self: &Arc<Self>, head: &Parts) -> Reply {
        let query = Parameters::parse(head.uri.query().unwrap_or("").as_bytes());
        // The gateway's own cross-site rule is for requests with a session.
        let site = head.headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes);
        if head.method == Method::POST && !matches!(site, None | Some(b"same-origin" | b"none")) {
            return reply::error(StatusCode::FORBIDDEN, "cross_origin", "the buttons are for the page itself");
        }
        match (&head.method, head.uri.path()) {
            (&Method::GET, "/control/state") => self.status(),
            (&Method::GET, "/control/events") => {
                let last = head.headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
                let after = self.journal.resume(last.unwrap_or_else(|| query.number("after", 0)));
                let accept = head.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
                if accept.is_some_and(|accept| accept.contains("text/event-stream")) {
                    return streams::journal(self.clone(), after);
                }
                reply::json(StatusCode::OK, &json!({ "events": self.journal.after(after) }))
            }
            (&Method::POST, "/control/unauthorized") => {
                let count = query.number("count", 1).min(1000);
                lock(&self.orders).unauthorized = count;
                self.done("unauthorized")
            }
            (&Method::POST, "/control/refuse-refresh") => {
                lock(&self.orders).refuse_refresh = true;
                self.done("refuse_refresh")
            }
            (&Method::POST, "/control/refresh-delay") => {
                let delay = Duration::from_millis(query.number("ms", 300)).min(MAX_REFRESH_DELAY);
                lock(&self.orders).refresh_delay = Some(delay);
                self.done("refresh_delay")
            }
            (&Method::POST, "/control/token-life") => {
                let life = query.number("seconds", 1).clamp(1, MAX_TOKEN_LIFE);
                lock(&self.orders).token_life = Some(Duration::from_secs(life));
                self.done("token_life")
            }
            (&Method::POST, "/control/reject-tokens") => {
                self.families.reject_issued();
                self.done("reject_tokens")
            }
            (&Method::POST, "/control/outage") => {
                let span = Duration::from_secs(query.number("seconds", 10).min(MAX_OUTAGE));
                let fault = match query.one("kind") {
                    Some("hang") => Fault::Hang,
                    Some("close") => Fault::Close,
                    _ => Fault::Unavailable,
                };
                self.fault.set_for(fault, span);
                self.done("outage")
            }
            (
                _,
                "/control/state"
                | "/control/events"
                | "/control/unauthorized"
                | "/control/refuse-refresh"
                | "/control/refresh-delay"
                | "/control/token-life"
                | "/control/reject-tokens"
                | "/control/outage",
            ) => reply::wrong_method(),
            _ => reply::not_found(),
        }
    }

    fn done(&self, what: &'static str) -> Reply {
        self.journal.push(Event::new("control").reason(what));
        self.status()
    }

    fn status(&self) -> Reply {
        let (fault, until) = self.fault.now();
        let counters = self.counters.borrow().clone();
        let access_token_life = self.options.hook.access_token_life(self.options.access_token_life);
        reply::json(
            StatusCode::OK,
            &json!({
                "authority": if fault == Fault::None { "up" } else { "down" },
                "authorityBackAt": until.map(crate::clock::Timestamp::rfc3339),
                "accessTokenSeconds": access_token_life.as_secs(),
                "refreshCalls": counters.refresh_calls, "refreshesOk": counters.refreshes_ok,
                "reuseDetected": counters.reuse_detected, "exchanges": counters.exchanges,
                "codeLogins": counters.code_logins, "messages": counters.messages,
                "credentialLogins": counters.credential_logins, "signouts": counters.signouts,
                "lastEvent": self.journal.last(), "served": counters.served, "unauthorized": counters.unauthorized,
                "replays": counters.replays,
            }),
        )
    }
}
