//! Errors → responses: the only status-code decisions for failures, and the one place that logs each of them, once.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::{
    hygiene::Refusal,
    login::{Content, LoginError},
    pages::{Language, Notice, NoticePage, Page, Pages, Text},
    route::Cors,
    telemetry::{Metrics, RequestId},
    upstream::ForwardError,
};

/// How the session fared, on every answer to a route that is not public.
pub const X_AUTH_STATUS: HeaderName = HeaderName::from_static("x-auth-status");
/// The number of the request, for the upstream, the visitor and the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// How long a browser may remember a preflight's answer.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// Everything that keeps a request from its ordinary answer; one variant for each different reaction.
#[derive(Debug)]
pub enum Failure {
    /// Hygiene refused it.
    Refused(Refusal),
    /// No route names it.
    NoRoute,
    /// An endpoint of ours has other methods.
    WrongMethod {
        /// What it has.
        allow: &'static str,
    },
    /// A foreign page's request rests on our cookie.
    CrossOrigin,
    /// A preflight for an origin that the route does not let in.
    PreflightRefused,
    /// Nobody is logged in: a navigation goes to the login page.
    LogIn {
        /// Path and query to come back to.
        return_to: String,
    },
    /// Nobody is logged in, and no login page helps.
    NotLoggedIn,
    /// Somebody is logged in whom the rule does not let in.
    Forbidden,
    /// Somebody is logged in where only strangers belong.
    AlreadyIn,
    /// The authority does not answer, and without it nobody can tell.
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The upstream did not answer.
    Forward(ForwardError),
    /// A login failed.
    Login(LoginError),
    /// The body is larger than an endpoint of ours reads.
    BodyTooLarge,
    /// The body is not what its head promised.
    BodyBroken,
    /// The body came too slowly.
    BodyStalled,
    /// The connection cannot be upgraded though its request asked for it (HTTP/2).
    CannotUpgrade,
    /// A part of the gateway failed in a way that nobody foresaw.
    Panicked,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ForwardError> for Failure {
    fn from(error: ForwardError) -> Self {
        Self::Forward(error)
    }
}

impl From<LoginError> for Failure {
    fn from(error: LoginError) -> Self {
        Self::Login(error)
    }
}

/// What kind of answer the visitor reads.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    /// A person waits for a page.
    pub page: bool,
    /// In this language.
    pub language: Language,
}

impl Wants {
    /// Reads it out of a request's headers.
    pub fn of(headers: &HeaderMap, is_navigation: bool) -> Self {
        let page = is_navigation
            || headers.get(header::ACCEPT).is_some_and(|a| memchr::memmem::find(a.as_bytes(), b"text/html").is_some())
                && headers.get("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
        Self { page, language: Language::of(headers) }
    }
}

/// Turns failures into answers.
pub struct Responder {
    pages: Arc<Pages>,
    metrics: Arc<Metrics>,
    /// Where a navigation without a session goes: the built-in page, or the app's own.
    login_page: String,
    after_login: HeaderValue,
}

struct Verdict {
    status: StatusCode,
    code: &'static str,
    /// `error` of a problem document.
    text: Text,
    /// What a page says instead.
    notice: Notice,
    /// The connection's state is not known any more.
    close: bool,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
}

impl Responder {
    /// Builds it; `login_page` is a path.
    pub fn new(pages: Arc<Pages>, metrics: Arc<Metrics>, login_page: String, after_login: &str) -> Self {
        let after_login = HeaderValue::from_str(after_login).unwrap_or(HeaderValue::from_static("/"));
        Self { pages, metrics, login_page, after_login }
    }

    /// The answer to a failure.
    pub fn answer(&self, failure: Failure, wants: &Wants, request_id: &RequestId) -> Response<Bytes> {
        match &failure {
            Failure::LogIn { return_to } if wants.page => return self.to_login(return_to),
            Failure::AlreadyIn => return redirect(StatusCode::FOUND, self.after_login.clone()),
            Failure::Refused(Refusal::ToPublicUrl(location)) => {
                return redirect(StatusCode::PERMANENT_REDIRECT, location.clone());
            }
            Failure::Refused(Refusal::OptionsStar) => return options_star(),
            _ => {}
        }
        let verdict = verdict(&failure);
        self.log(&failure, &verdict, request_id);
        let mut response = if wants.page { self.page(&verdict, wants) } else { problem(&verdict, wants) };
        let headers = response.headers_mut();
        if let Some(retry_after) = verdict.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_millis().div_ceil(1000).max(1) as u64));
        }
        if let Some(allow) = verdict.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if verdict.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// An answer of an endpoint of ours.
    pub fn content(&self, status: StatusCode, content: Content) -> Response<Bytes> {
        let mut response = match content {
            Content::Page(page) => page_response(page),
            Content::Json(value) => {
                let mut response = Response::new(Bytes::from(value.to_string()));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Content::Redirect(location) => match HeaderValue::from_str(&location) {
                Ok(location) => redirect(StatusCode::SEE_OTHER, location),
                Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Content::Empty => Response::new(Bytes::new()),
        };
        if response.status() == StatusCode::OK {
            *response.status_mut() = status;
        }
        // What an endpoint of ours answers is about one visitor at one moment, and its address may hold a code.
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        response
    }

    fn to_login(&self, return_to: &str) -> Response<Bytes> {
        let location = format!("{}?return_to={}", self.login_page, utf8_percent_encode(return_to, QUERY_VALUE));
        let mut response = match HeaderValue::from_str(&location) {
            Ok(location) => redirect(StatusCode::FOUND, location),
            Err(_) => empty(StatusCode::UNAUTHORIZED),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }

    fn page(&self, verdict: &Verdict, wants: &Wants) -> Response<Bytes> {
        let action = match verdict.notice {
            Notice::AttemptExpired
            | Notice::ProviderUnavailable
            | Notice::AuthorityUnavailable
            | Notice::NotAllowed
            | Notice::SessionTooLarge => Some((Text::StartAgain, self.login_page.as_str())),
            _ => None,
        };
        let page = self.pages.notice(&NoticePage { language: wants.language, notice: verdict.notice, action });
        let mut response = page_response(page);
        *response.status_mut() = verdict.status;
        response
    }

    fn log(&self, failure: &Failure, verdict: &Verdict, request_id: &RequestId) {
        match failure {
            Failure::Forward(error) => {
                self.metrics.upstream_error(verdict.code);
                tracing::warn!(%request_id, status = verdict.status.as_u16(), error = %chain(error), "not forwarded");
            }
            Failure::Login(error) if verdict.status.is_server_error() => {
                tracing::warn!(%request_id, status = verdict.status.as_u16(), error = %chain(error), "login failed");
            }
            Failure::Panicked => tracing::error!(%request_id, "a part of the gateway panicked"),
            _ => tracing::debug!(%request_id, status = verdict.status.as_u16(), ?failure, "refused"),
        }
    }
}

/// Everything that a query's value may not hold as it is.
const QUERY_VALUE: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'&').add(b'+').add(b'<').add(b'=').add(b'>').add(b'?');

fn verdict(failure: &Failure) -> Verdict {
    match failure {
        Failure::Refused(refusal) => of_refusal(refusal),
        Failure::NoRoute => v(StatusCode::NOT_FOUND, "not_found", Text::NotFound, Notice::NotFound),
        Failure::WrongMethod { allow } => Verdict { allow: Some(allow), ..method_not_allowed() },
        Failure::CrossOrigin => v(StatusCode::FORBIDDEN, "cross_origin", Text::CrossOrigin, Notice::CrossOrigin),
        Failure::PreflightRefused => {
            v(StatusCode::FORBIDDEN, "origin_not_allowed", Text::CrossOrigin, Notice::CrossOrigin)
        }
        Failure::LogIn { .. } | Failure::NotLoggedIn => {
            v(StatusCode::UNAUTHORIZED, "login_required", Text::LoginRequired, Notice::Forbidden)
        }
        Failure::Forbidden => v(StatusCode::FORBIDDEN, "forbidden", Text::Forbidden, Notice::Forbidden),
        Failure::AlreadyIn => v(StatusCode::FOUND, "already_logged_in", Text::GoOn, Notice::Forbidden),
        Failure::Unavailable { retry_after } => Verdict {
            retry_after: Some(*retry_after),
            ..v(StatusCode::SERVICE_UNAVAILABLE, "unavailable", Text::UnavailableWhy, Notice::Unavailable)
        },
        Failure::Forward(error) => of_forward(error),
        Failure::Login(error) => of_login(error),
        Failure::BodyTooLarge => body_too_large(),
        Failure::BodyBroken => bad_request(),
        Failure::BodyStalled => timeout(),
        Failure::CannotUpgrade => {
            v(StatusCode::NOT_IMPLEMENTED, "cannot_upgrade", Text::BadRequest, Notice::BadRequest)
        }
        Failure::Panicked => v(StatusCode::INTERNAL_SERVER_ERROR, "internal", Text::Internal, Notice::Internal),
    }
}

fn of_refusal(refusal: &Refusal) -> Verdict {
    match refusal {
        Refusal::Misdirected => {
            v(StatusCode::MISDIRECTED_REQUEST, "unknown_host", Text::Misdirected, Notice::Misdirected)
        }
        Refusal::Method => method_not_allowed(),
        Refusal::TargetTooLong => {
            closing(v(StatusCode::URI_TOO_LONG, "target_too_long", Text::TooLarge, Notice::TooLarge))
        }
        Refusal::TooManyHeaders => closing(v(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            Text::TooLarge,
            Notice::TooLarge,
        )),
        Refusal::Loop => v(StatusCode::LOOP_DETECTED, "loop_detected", Text::Internal, Notice::Internal),
        Refusal::Ambiguous(_) | Refusal::ToPublicUrl(_) | Refusal::OptionsStar => bad_request(),
    }
}

fn of_forward(error: &ForwardError) -> Verdict {
    match error {
        ForwardError::Unreachable(_) | ForwardError::Broken(_) | ForwardError::BadAnswer(_) => {
            v(StatusCode::BAD_GATEWAY, "upstream_unreachable", Text::BadGateway, Notice::BadGateway)
        }
        ForwardError::Timeout(_) => {
            v(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", Text::GatewayTimeout, Notice::GatewayTimeout)
        }
        ForwardError::RequestTooLarge => body_too_large(),
        ForwardError::RequestBroken(_) => bad_request(),
        ForwardError::RequestStalled => timeout(),
    }
}

fn of_login(error: &LoginError) -> Verdict {
    let soon = |verdict: Verdict| Verdict { retry_after: Some(SOON), ..verdict };
    match error {
        LoginError::AttemptExpired => {
            v(StatusCode::BAD_REQUEST, "attempt_expired", Text::AttemptExpired, Notice::AttemptExpired)
        }
        LoginError::ProviderUnavailable => soon(v(
            StatusCode::SERVICE_UNAVAILABLE,
            "provider_unavailable",
            Text::ProviderUnavailable,
            Notice::ProviderUnavailable,
        )),
        LoginError::AuthorityUnavailable => soon(v(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            Text::AuthorityUnavailable,
            Notice::AuthorityUnavailable,
        )),
        LoginError::BadCredentials => {
            v(StatusCode::UNAUTHORIZED, "bad_credentials", Text::BadCredentials, Notice::NotAllowed)
        }
        LoginError::NotAllowed => v(StatusCode::FORBIDDEN, "not_allowed", Text::NotAllowed, Notice::NotAllowed),
        LoginError::InvalidIdToken => {
            v(StatusCode::UNAUTHORIZED, "invalid_id_token", Text::InvalidIdToken, Notice::NotAllowed)
        }
        LoginError::UsedIdToken => {
            v(StatusCode::UNAUTHORIZED, "used_id_token", Text::UsedIdToken, Notice::NotAllowed)
        }
        LoginError::NotConfigured => v(StatusCode::NOT_FOUND, "not_found", Text::NotFound, Notice::NotFound),
        LoginError::BadRequest(code) => v(StatusCode::BAD_REQUEST, code, Text::BadRequest, Notice::BadRequest),
        LoginError::Session(_) => v(
            StatusCode::BAD_GATEWAY,
            "session_too_large",
            Text::SessionTooLarge,
            Notice::SessionTooLarge,
        ),
        LoginError::Store(_) => soon(v(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            Text::AuthorityUnavailable,
            Notice::AuthorityUnavailable,
        )),
    }
}

/// When to try again where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

const fn v(status: StatusCode, code: &'static str, text: Text, notice: Notice) -> Verdict {
    Verdict { status, code, text, notice, close: false, retry_after: None, allow: None }
}

fn closing(verdict: Verdict) -> Verdict {
    Verdict { close: true, ..verdict }
}

fn method_not_allowed() -> Verdict {
    v(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", Text::MethodNotAllowed, Notice::BadRequest)
}

fn bad_request() -> Verdict {
    closing(v(StatusCode::BAD_REQUEST, "bad_request", Text::BadRequest, Notice::BadRequest))
}

fn body_too_large() -> Verdict {
    closing(v(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", Text::TooLarge, Notice::TooLarge))
}

fn timeout() -> Verdict {
    closing(v(StatusCode::REQUEST_TIMEOUT, "timeout", Text::RequestTimeout, Notice::BadRequest))
}

/// `application/problem+json` (RFC 9457) with a stable `code` and a localised `error`.
fn problem(verdict: &Verdict, wants: &Wants) -> Response<Bytes> {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": verdict.status.canonical_reason().unwrap_or_default(),
        "status": verdict.status.as_u16(),
        "code": verdict.code,
        "error": verdict.text.say(wants.language),
    });
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = verdict.status;
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The answer to a preflight (Fetch standard, section 4.8), where the route lets its origin in.
pub fn preflight(request: &HeaderMap, cors: Option<&Cors>) -> Option<Response<Bytes>> {
    let origin = request.get(header::ORIGIN)?;
    let cors = cors.filter(|cors| cors.origins.iter().any(|o| o.as_bytes() == origin.as_bytes()))?;
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    allow_origin(headers, Some(origin), cors);
    for (asked, allowed) in [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(asked) = request.get(asked) {
            headers.insert(allowed, asked.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    Some(response)
}

/// Lets a listed origin read the answer, and no other; whatever the upstream says of it is replaced.
pub fn allow_origin(headers: &mut HeaderMap, origin: Option<&HeaderValue>, cors: &Cors) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let Some(origin) = origin.filter(|origin| cors.origins.iter().any(|o| o.as_bytes() == origin.as_bytes())) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-auth-status"));
}

fn options_star() -> Response<Bytes> {
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    response
}

fn page_response(page: Page) -> Response<Bytes> {
    let headers = page.headers();
    let mut response = Response::new(Bytes::from(page.html));
    *response.headers_mut() = headers;
    response
}

fn redirect(status: StatusCode, location: HeaderValue) -> Response<Bytes> {
    let mut response = empty(status);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
