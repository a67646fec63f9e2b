//! A problem or an endpoint's content → the response: a page or JSON. The one place that logs each failure, once.

mod content;
mod guard;
mod login_link;
mod wants;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

pub use crate::problem::Failure;
pub use content::Content;
pub use guard::StrictTransport;
pub use login_link::with_return_to;
pub use wants::{WantedForm, Wants};

use content::{empty, page_response, redirect, with_status};

use crate::{
    pages::{Action, ErrorPage, Pages},
    problem::{Connection, FORWARDED_METHODS, FailureCounter, Link, LoginAskedBy, Problem, ProblemKind, RetryAdvice},
    scheme::Scheme,
    telemetry::{Metrics, RequestId},
    text::{Language, Text},
};

pub use crate::own_headers::X_AUTH_STATUS;
/// The request's id, for the upstream, the visitor and the log.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Bounds of the time after which a page is loaded again, in seconds. Many visitors wait at once.
const SHORTEST_RELOAD: u64 = 2;
const LONGEST_RELOAD: u64 = 30;
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The challenge of every 401 (RFC 9110 section 15.5.2).
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");
/// The challenge to a request that came with a bearer token (RFC 6750 section 3).
const BEARER_INVALID: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// The settings of the responder, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the login page: the built-in one, or the app's own.
    pub login_page: String,
    /// Whether that page gets the visitor's address in `callbackUrl` too, where pages of Auth.js look for it.
    pub callback_url: bool,
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
    callback_url: bool,
    after_login: HeaderValue,
    /// The site's start page: `after_login`.
    home: String,
    strict_transport: StrictTransport,
}

impl Responder {
    /// A responder that shows `pages` and counts failures in `metrics`.
    pub fn new(settings: Settings, pages: Arc<Pages>, metrics: Arc<Metrics>) -> Self {
        let after_login = HeaderValue::from_str(&settings.after_login).unwrap_or(HeaderValue::from_static("/"));
        let Settings { login_page, callback_url, after_login: home, strict_transport } = settings;
        Self { pages, metrics, login_page, callback_url, after_login, home, strict_transport }
    }

    /// An answer in this form to the request with these headers.
    pub fn wants(&self, form: WantedForm, headers: &HeaderMap) -> Wants {
        Wants::new(form, headers, self.pages.languages())
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
            Failure::LogIn { return_to, asked_by } => match asked_by {
                LoginAskedBy::Navigation => self.to_login(StatusCode::FOUND, return_to),
                LoginAskedBy::Form => self.to_login(StatusCode::SEE_OTHER, return_to),
                LoginAskedBy::Script => self.problem(&ProblemKind::LoginRequired.into(), wants, request_id),
            },
            Failure::AlreadyLoggedIn => redirect(StatusCode::FOUND, self.after_login.clone()),
            Failure::ToPublicUrl(location) => redirect(StatusCode::TEMPORARY_REDIRECT, location.clone()),
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
            WantedForm::Page => self.page(problem, wants, request_id),
            WantedForm::Problem => self.json(problem, wants.language),
        };
        let headers = response.headers_mut();
        if problem.row().status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, if wants.has_bearer { BEARER_INVALID } else { BEARER });
        }
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

    fn to_login(&self, status: StatusCode, return_to: &str) -> Response<Bytes> {
        let location = login_link::login_page_for(&self.login_page, return_to);
        let location = if self.callback_url { login_link::with_callback_url(location, return_to) } else { location };
        // The page is a checked path, and `return_to` is percent-encoded: the location is visible ASCII.
        redirect(status, HeaderValue::try_from(location).unwrap_or(HeaderValue::from_static("/")))
    }

    /// The problem's page. If waiting can help, a page of a route is loaded again by itself. `Refresh` also works
    /// without scripts.
    fn page(&self, problem: &Problem, wants: Wants, request_id: &RequestId) -> Response<Bytes> {
        let (row, language) = (problem.row(), wants.language);
        let reloads = wants.can_reload && row.retry == RetryAdvice::Later;
        let advice = if reloads { Some(Text::TriesByItself) } else { row.advice };
        let page = self.pages.error(&ErrorPage {
            language,
            title: &problem.text(language),
            advice: advice.map(|advice| advice.say(language).into()),
            actions: self.actions(problem, wants),
            is_error: true,
            request_id: Some(request_id.as_str()),
        });
        let mut response = page_response(row.status, page);
        if reloads {
            let seconds = problem.retry_after().unwrap_or_default().clamp(SHORTEST_RELOAD, LONGEST_RELOAD);
            response.headers_mut().insert(header::REFRESH, HeaderValue::from(seconds));
        }
        response
    }

    /// What the problem's page offers, the most helpful first.
    fn actions(&self, problem: &Problem, wants: Wants) -> Vec<Action> {
        let row = problem.row();
        let again = (wants.can_reload && may_pass(row.status)).then_some(Action::Reload);
        let login = row.link.map(|link| match link {
            Link::OtherPerson => Action::LogInAsAnother { return_to: problem.return_to().map(str::to_owned) },
            Link::LogIn | Link::StartAgain | Link::TryAgain | Link::OtherWay => {
                Action::Link(link.label(), self.login_link(problem))
            }
        });
        // On a host that is not served every page has this problem.
        let has_home = problem.kind() != ProblemKind::UnknownHost;
        let home = has_home.then(|| Action::Link(Text::Home, self.home.clone()));
        [again, login, home].into_iter().flatten().collect()
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

    /// The login page, with the address that the visitor asked for.
    fn login_link(&self, problem: &Problem) -> String {
        with_return_to(&self.login_page, &[], problem.return_to())
    }

    /// `application/problem+json` (RFC 9457) with a stable `code` and a localised `error`; a 401 names the login page.
    fn json(&self, problem: &Problem, language: Language) -> Response<Bytes> {
        let mut body = body(problem, language);
        if problem.row().status == StatusCode::UNAUTHORIZED {
            body["login"] = self.login_page.as_str().into();
        }
        let mut response = with_status(problem.row().status, Bytes::from(body.to_string()));
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
        response
    }
}

/// Whether the same request may succeed a moment later.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502..=504)
}

/// The members of a problem document.
fn body(problem: &Problem, language: Language) -> serde_json::Value {
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
    body
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
