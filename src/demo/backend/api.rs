//! The API that needs a Bearer token, under `/api`; the same without a check under `/public`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, upgrade::OnUpgrade};
use serde_json::{Value, json};

use super::{
    super::{
        families::FamilyState,
        reply::{self, Parameters},
        server::{Hangup, Reply},
        signing::Claims,
    },
    BackendState, BearerCheck, Event, streams, websocket,
};

/// Longest time that `/api/slow` waits.
const MAX_SLOW: Duration = Duration::from_secs(600);

/// Whether the body is handled while it arrives.
pub(super) fn streams_its_body(request: &Request<Incoming>) -> bool {
    matches!(request.uri().path(), "/api/upload" | "/public/upload")
        || request.uri().path().ends_with("/echo") && request.uri().query() == Some("stream=1")
}

impl BackendState {
    pub(super) async fn api(self: &Arc<Self>, head: &Parts, upgrade: OnUpgrade, body: Bytes) -> Result<Reply, Hangup> {
        let claims = match self.admit(head).await {
            Ok(claims) => claims,
            Err(refusal) => return Ok(*refusal),
        };
        let query = Parameters::parse(head.uri.query().unwrap_or("").as_bytes());
        let mut rest = head.uri.path().splitn(3, '/').skip(2).flat_map(|rest| rest.split('/'));
        let (what, more) = (rest.next().unwrap_or(""), rest.next());
        Ok(match (what, more) {
            ("me", None) => reply::json(StatusCode::OK, &Value::Object(me(claims))),
            ("ping", None) => {
                let served = self.counters.borrow().served;
                reply::json(StatusCode::OK, &json!({ "ok": true, "served": served, "generation": claims.get("gen") }))
            }
            ("headers", None) => reply::json(StatusCode::OK, &self.headers_as_json(&head.headers)),
            ("echo", None) => self.echo(head, reply::full(body)),
            ("slow", None) => {
                let wait = Duration::from_millis(query.number("ms", 1000)).min(MAX_SLOW);
                tokio::time::sleep(wait).await;
                reply::json(
                    StatusCode::OK,
                    &json!({ "waited_ms": u64::try_from(wait.as_millis()).unwrap_or(u64::MAX) }),
                )
            }
            ("events", None) => streams::ticks(query.number("ms", 1000), query.number("count", u64::MAX)),
            ("download", None) => streams::download(query.number("bytes", 1024)),
            // Sends half of its content-length, then closes the connection.
            ("cut", None) => streams::cut(query.number("bytes", 1024)),
            ("close", None) => return Err(Hangup),
            ("ws", None) => websocket::accept(head, upgrade, self.stopped.clone()),
            ("status", Some(code)) => status(code, &query),
            _ => reply::not_found(),
        })
    }

    /// The endpoints that read their bodies as they arrive.
    pub(super) async fn api_streaming(&self, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let (head, mut body) = request.into_parts();
        if let Err(refusal) = self.admit(&head).await {
            return Ok(*refusal);
        }
        if head.uri.path().ends_with("/echo") {
            return Ok(self.echo(&head, body.map_err(std::io::Error::other).boxed_unsync()));
        }
        let mut bytes = 0_u64;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Err(Hangup) };
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            bytes += length;
            self.counters.send_modify(|counters| counters.uploaded += length);
        }
        Ok(reply::json(StatusCode::OK, &json!({ "bytes": bytes })))
    }

    /// The claims of the Bearer token, or the 401 answer; under `/public` no check and no claims.
    async fn admit(&self, head: &Parts) -> Result<Claims, Box<Reply>> {
        if head.uri.path().starts_with("/public") {
            return Ok(Claims::new());
        }
        let request = format!("{} {}", head.method, head.uri.path());
        let bearer = self.bearer(&head.headers).await;
        let token_ids = bearer.as_ref().ok().and_then(token_ids);
        match self.accept_claims(bearer) {
            Ok(claims) => {
                self.counters.send_modify(|counters| counters.served += 1);
                let again = token_ids.is_some_and(|(family, _)| self.journal.is_repeated(family, &request));
                if again {
                    self.counters.send_modify(|counters| counters.replays += 1);
                }
                let event = Event::new(if again { "replay" } else { "request" }).path(request);
                self.journal.push(with_token(event, token_ids));
                Ok(claims)
            }
            Err(reason) => {
                self.counters.send_modify(|counters| counters.unauthorized += 1);
                if let Some((family, _)) = token_ids {
                    self.journal.refused(family, &request);
                }
                self.journal.push(with_token(Event::new("unauthorized").path(request).reason(reason), token_ids));
                let refusal = reply::error(StatusCode::UNAUTHORIZED, "invalid_token", reason);
                Err(Box::new(reply::with(refusal, header::WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)))
            }
        }
    }

    /// The claims of a token with a valid signature, or the reason of the refusal.
    async fn bearer(&self, headers: &HeaderMap) -> Result<Claims, &'static str> {
        let authorization = headers.get(header::AUTHORIZATION).ok_or("no_token")?;
        let token = authorization.to_str().ok().and_then(|value| value.strip_prefix("Bearer ")).ok_or("no_token")?;
        match self.options.bearer {
            BearerCheck::Own => self.key.verify(token),
            BearerCheck::Provider => self.trusted.verify(token, self.options.clock.now()).await,
        }
        .ok_or("bad_token")
    }

    /// The claims, unless the token has expired or was revoked, or a button or test demands a 401.
    fn accept_claims(&self, bearer: Result<Claims, &'static str>) -> Result<Claims, &'static str> {
        let claims = bearer?;
        let now = self.options.clock.now().as_secs();
        if claims.get("exp").and_then(Value::as_i64).is_none_or(|exp| exp <= now) {
            return Err("expired");
        }
        if self.options.bearer == BearerCheck::Own {
            let (family, generation) = token_ids(&claims).ok_or("bad_token")?;
            match self.families.state(family, generation) {
                FamilyState::Live => {}
                FamilyState::Rejected => return Err("rejected"),
                FamilyState::Revoked => return Err("revoked"),
            }
        }
        if self.options.hook.refuses_all_requests() {
            return Err("told_to");
        }
        if self.is_ordered_unauthorized() {
            return Err("told_to");
        }
        Ok(claims)
    }

    /// Answers with the request's body, and with its headers as JSON in `x-echo-headers`.
    fn echo(&self, head: &Parts, body: super::super::server::ReplyBody) -> Reply {
        let mut reply = Reply::new(body);
        let headers = reply.headers_mut();
        headers.extend(head.headers.get(header::CONTENT_TYPE).map(|value| (header::CONTENT_TYPE, value.clone())));
        let echoed = HeaderValue::from_bytes(self.headers_as_json(&head.headers).to_string().as_bytes());
        headers.extend(echoed.ok().map(|echoed| (http::HeaderName::from_static("x-echo-headers"), echoed)));
        if head.method == Method::HEAD {
            *reply.body_mut() = reply::full(Bytes::new());
        }
        reply
    }

    /// Headers as a JSON object; a header with several values is an array.
    fn headers_as_json(&self, headers: &HeaderMap) -> Value {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let values = |name: &http::HeaderName| {
            if self.options.mask_bearer && *name == header::AUTHORIZATION {
                return json!("Bearer ***");
            }
            let all: Vec<_> = headers.get_all(name).iter().map(text).collect();
            if let [one] = all.as_slice() { json!(one) } else { json!(all) }
        };
        Value::Object(headers.keys().map(|name| (name.as_str().to_owned(), values(name))).collect())
    }
}

/// Family and generation of a token.
fn token_ids(claims: &Claims) -> Option<(u64, u64)> {
    claims.get("fam").and_then(Value::as_u64).zip(claims.get("gen").and_then(Value::as_u64))
}

fn with_token(event: Event, token_ids: Option<(u64, u64)>) -> Event {
    match token_ids {
        Some((family, generation)) => event.token(family, generation),
        None => event,
    }
}

fn me(mut claims: Claims) -> Claims {
    claims.retain(|name, _| matches!(name.as_str(), "sub" | "name" | "email" | "role" | "fam" | "gen"));
    claims
}

/// An answer with any final status. `?scope=1` adds `insufficient_scope` (RFC 6750 section 3.1), `?to=` a `Location`.
fn status(code: &str, query: &Parameters) -> Reply {
    let status = code.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    let Some(status) = status.filter(|status| !status.is_informational()) else { return reply::not_found() };
    let mut reply = reply::json(status, &json!({ "status": status.as_u16() }));
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        reply = Reply::new(reply::full(Bytes::new()));
        *reply.status_mut() = status;
    }
    if query.one("scope").is_some() {
        reply = reply::with(reply, header::WWW_AUTHENTICATE, r#"Bearer error="insufficient_scope", scope="admin""#);
    }
    let target = query.one("to").and_then(|to| HeaderValue::from_str(to).ok());
    reply.headers_mut().extend(target.map(|to| (header::LOCATION, to)));
    reply
}
