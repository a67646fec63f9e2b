//! A problem or an endpoint's content → the response: a page or JSON. The one place that logs each failure, once.

mod content;
mod guard;
mod wants;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

pub use crate::problem::Failure;
pub use content::Content;
pub use guard::StrictTransport;
pub use wants::{WantedForm, Wants};

use content::{empty, page_response, redirect, with_status};

use crate::{
    pages::{ErrorPage, Pages},
    problem::{Connection, FORWARDED_METHODS, FailureCounter, Link, Problem, ProblemKind, RetryAdvice},
    scheme::Scheme,
    telemetry::{Metrics, RequestId},
    text::{Language, Text},
};

/// The session's state, on every answer of a route that is not public.
pub const X_AUTH_STATUS: HeaderName = HeaderName::from_static("x-auth-status");
/// The request's id, for the upstream, the visitor and the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds of the time after which a page is loaded again, in seconds. Many visitors wait at once.
const SHORTEST_RELOAD: u64 = 2;
const LONGEST_RELOAD: u64 = 30;
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Characters that are percent-encoded in the value of a query parameter.
const QUERY_VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

/// The settings of the responder, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the login page: the built-in one, or the app's own.
    pub login_page: String,
    /// Where a user who is already logged in is redirected.
    pub after_login: String,
    /// Whether answers have `Strict-Transport-Security`.
    pub strict_transport: StrictTransport,
}

/// Makes the gateway's own answers.
pub struct Responder {
    pages: Arc<Pages>,
    metrics: Arc<Metrics>,
    login_page: String,
    after_login: HeaderValue,
    strict_transport: StrictTransport,
}

impl Responder {
    /// A responder that shows `pages` and counts failures in `metrics`.
    pub fn new(settings: Settings, pages: Arc<Pages>, metrics: Arc<Metrics>) -> Self {
        let after_login = HeaderValue::from_str(&settings.after_login).unwrap_or(HeaderValue::from_static("/"));
        let Settings { login_page, strict_transport, .. } = settings;
        Self { pages, metrics, login_page, after_login, strict_transport }
    }

    /// Adds the security headers that an answer of the gateway's own does not set itself. `scheme` is the visitor's;
    /// `None` before hygiene.
    pub fn guard(&self, headers: &mut HeaderMap, scheme: Option<Scheme>) {
        guard::guard(headers, self.strict_transport, scheme);
    }

    /// The answer to a failure.
    pub fn answer(&self, failure: &Failure, wants: Wants, request_id: &RequestId) -> Response<Bytes> {
        match failure {
            Failure::Problem(problem) => self.problem(problem, wants, request_id),
            Failure::LogIn { return_to } => match wants.form {
                WantedForm::Page => self.to_login(return_to),
                WantedForm::Problem => self.problem(&ProblemKind::LoginRequired.into(), wants, request_id),
            },
            Failure::AlreadyLoggedIn => redirect(StatusCode::FOUND, self.after_login.clone()),
            Failure::ToPublicUrl(location) => redirect(StatusCode::PERMANENT_REDIRECT, location.clone()),
            Failure::AboutGateway => about_gateway(),
        }
    }

    /// The answer of an own endpoint.
    pub fn content(&self, status: StatusCode, content: Content) -> Response<Bytes> {
        content.into_response(status)
    }

    fn problem(&self, problem: &Problem, wants: Wants, request_id: &RequestId) -> Response<Bytes> {
        self.count_and_log(problem, request_id);
        let mut response = match wants.form {
            WantedForm::Page => self.page(problem, wants),
            WantedForm::Problem => json(problem, wants.language),
        };
        let headers = response.headers_mut();
        if let Some(seconds) = problem.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = problem.allow() {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        match problem.row().connection {
            Connection::Keep => {}
            Connection::Close => drop(headers.insert(header::CONNECTION, HeaderValue::from_static("close"))),
        }
        response
    }

    fn to_login(&self, return_to: &str) -> Response<Bytes> {
        let location = format!("{}?return_to={}", self.login_page, utf8_percent_encode(return_to, QUERY_VALUE));
        match HeaderValue::from_str(&location) {
            Ok(location) => redirect(StatusCode::FOUND, location),
            Err(_) => empty(StatusCode::UNAUTHORIZED),
        }
    }

    /// The problem's page. If waiting can help, a page of a route is loaded again by itself. `Refresh` also works
    /// without scripts.
    fn page(&self, problem: &Problem, Wants { language, can_reload, .. }: Wants) -> Response<Bytes> {
        let row = problem.row();
        let reloads = can_reload && row.retry == RetryAdvice::Later;
        let page = self.pages.error(&ErrorPage {
            language,
            title: &problem.text(language),
            advice: if reloads { Some(Text::TriesByItself) } else { row.advice },
            link: row.link.map(Link::label),
        });
        let mut response = page_response(row.status, page);
        if reloads {
            let seconds = problem.retry_after().unwrap_or_default().clamp(SHORTEST_RELOAD, LONGEST_RELOAD);
            response.headers_mut().insert(header::REFRESH, HeaderValue::from(seconds));
        }
        response
    }

    /// A problem with a cause is logged as a warning, a panic as an error, any other refusal at debug level.
    fn count_and_log(&self, problem: &Problem, request_id: &RequestId) {
        let row = problem.row();
        match row.counter {
            Some(FailureCounter::Store) => {
                self.metrics.store_errors.inc();
            }
            Some(FailureCounter::Upstream(kind)) => self.metrics.upstream_failure(kind),
            None => {}
        }
        let (request_id, status, code) = (request_id.as_str(), row.status.as_u16(), row.code);
        match (problem.cause(), problem.kind()) {
            (Some(cause), _) => {
                tracing::warn!(request_id, status, code, error = %chain(cause), "the request failed");
            }
            (None, ProblemKind::Internal) => tracing::error!(request_id, "a part of the gateway panicked"),
            (None, _) => tracing::debug!(request_id, status, code, "refused"),
        }
    }
}

/// `application/problem+json` (RFC 9457) with a stable `code` and a localised `error`.
fn json(problem: &Problem, language: Language) -> Response<Bytes> {
    let row = problem.row();
    let mut body = serde_json::json!({
        "type": "about:blank",
        "title": row.status.canonical_reason().unwrap_or_default(),
        "status": row.status.as_u16(),
        "code": row.code,
        "error": problem.text(language),
    });
    if let Some(seconds) = problem.wait_seconds() {
        body["retryAfter"] = seconds.into();
    }
    for (name, value) in problem.members() {
        body[*name] = value.clone();
    }
    let mut response = with_status(row.status, Bytes::from(body.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
    response
}

/// The answer to `OPTIONS *` (RFC 9110 section 9.3.7).
fn about_gateway() -> Response<Bytes> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(FORWARDED_METHODS));
    response
}

/// An error and its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
