//! Builds the answers of both servers and reads their request bodies.

use std::{borrow::Cow, io};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::server::{Reply, ReplyBody};

/// A body with these bytes.
pub(super) fn full(bytes: impl Into<Bytes>) -> ReplyBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer with a body of that content type.
pub(super) fn reply(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Reply::new(full(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// A JSON answer with `cache-control: no-store`.
pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    with(reply(status, "application/json", value.to_string()), header::CACHE_CONTROL, "no-store")
}

/// A JSON error (RFC 6749 section 5.2).
pub(super) fn error(status: StatusCode, code: &str, description: &str) -> Reply {
    json(status, &json!({ "error": code, "error_description": description }))
}

/// An HTML answer that loads nothing from other origins.
pub(super) fn html(status: StatusCode, body: String) -> Reply {
    // Without form-action: browsers would apply it also to the redirect after the form, which leads to the client's
    // origin.
    let policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'";
    let reply = with(reply(status, "text/html; charset=utf-8", body), header::CONTENT_SECURITY_POLICY, policy);
    with(reply, header::CACHE_CONTROL, "no-store")
}

/// 303 See Other.
pub(super) fn see_other(location: &str) -> Reply {
    let mut reply = Reply::new(full(Bytes::new()));
    *reply.status_mut() = StatusCode::SEE_OTHER;
    if let Ok(location) = HeaderValue::from_str(location) {
        reply.headers_mut().insert(header::LOCATION, location);
    }
    with(reply, header::CACHE_CONTROL, "no-store")
}

/// 404.
pub(super) fn not_found() -> Reply {
    error(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

/// 405.
pub(super) fn wrong_method() -> Reply {
    error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
}

/// Adds a header to an answer.
pub(super) fn with(mut reply: Reply, name: HeaderName, value: &'static str) -> Reply {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
    reply
}

/// Reads a whole request body of at most `limit` bytes; an error means a longer body or a broken connection.
pub(super) async fn collect(body: Incoming, limit: usize) -> io::Result<Bytes> {
    Limited::new(body, limit).collect().await.map(http_body_util::Collected::to_bytes).map_err(io::Error::other)
}

/// Parameters of a query or a form. A parameter that is given twice counts as absent (RFC 6749 section 3.1 forbids it).
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn parse(encoded: &[u8]) -> Self {
        Self(
            url::form_urlencoded::parse(encoded).map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        )
    }

    /// Both lists of parameters.
    pub(super) fn and(mut self, more: Self) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The value of `name`, unless it is absent, empty or given twice.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(n, v)| n == name && !v.is_empty());
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Some(value),
            _ => None,
        }
    }

    /// `name` as a number, else `default`.
    pub(super) fn number(&self, name: &str, default: u64) -> u64 {
        self.one(name).and_then(|n| n.parse().ok()).unwrap_or(default)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Escapes text for HTML and for attributes in double quotes.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(escaped.replace('"', "&quot;").replace('\'', "&#39;"))
}

/// Whether Korean precedes English in `Accept-Language`; weights are ignored.
pub(super) fn prefers_korean(headers: &http::HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let language = |tag: &str| tag.trim().to_ascii_lowercase();
    accepted
        .split(',')
        .map(language)
        .find(|t| t.starts_with("ko") || t.starts_with("en"))
        .is_some_and(|t| t.starts_with("ko"))
}
