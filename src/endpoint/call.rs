//! A call to one of the gateway's own endpoints, and its answer.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::Value;

use super::{origins::VisitorOrigin, parameters::Repeated};
use crate::{
    client::Client,
    pages::Page,
    problem::{Problem, ProblemKind},
    respond::Content,
    session::{AuthStatus, CookieChanges, Visit},
    text::Language,
};

/// A request to one of the gateway's own endpoints, with its whole body.
pub struct Call {
    /// GET, HEAD or POST.
    pub method: Method,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The query, without the `?`.
    pub query: Option<String>,
    /// The body; at most 64 KiB.
    pub body: Bytes,
    /// The client that sent it.
    pub client: Client,
    /// The origin of the host that the visitor asked for.
    pub origin: VisitorOrigin,
    /// Whether it is a navigation: its answer is shown as a page.
    pub is_navigation: bool,
    /// Whether a login may begin with it: a person can have opened its address.
    pub may_begin_login: bool,
    /// The session of the request.
    pub visit: Visit,
    /// Whether the answer is for a person: a page, not JSON.
    pub wants_page: bool,
    /// The visitor's language.
    pub language: Language,
}

/// The answer of one of the gateway's own endpoints.
#[derive(Debug)]
pub struct EndpointAnswer {
    /// Status of a page, of JSON or of an empty answer.
    pub status: StatusCode,
    /// The body.
    pub content: Content,
    /// The changed cookies, those of the session included.
    pub cookies: CookieChanges,
    /// `x-auth-status`.
    pub auth_status: AuthStatus,
    /// Whether it redirects to a form because of a wrong guess, which is then counted (see [`super::guesses`]).
    pub wrong_guess: bool,
}

/// A failed call, with the session status and cookies of its answer.
#[derive(Debug)]
pub struct Failed<E> {
    /// Why it failed.
    pub error: E,
    /// `x-auth-status` of the request's session; the failure does not change it.
    pub auth_status: AuthStatus,
    /// The changed cookies of the session, and the cookies that the failure changes.
    pub cookies: CookieChanges,
    /// The address that a page's link to the login carries.
    pub return_to: Option<String>,
}

impl<E> Failed<E> {
    /// The failure of `call`; `more` is added to the session's cookie changes.
    pub fn new(call: &Call, error: E, more: CookieChanges) -> Self {
        let (auth_status, cookies) = call.visit.head();
        Self { error, auth_status, cookies: cookies.and(more), return_to: None }
    }

    /// The same failure, whose page leads back to `return_to` after a login.
    #[must_use]
    pub fn returning_to(mut self, return_to: Option<&str>) -> Self {
        self.return_to = return_to.map(str::to_owned);
        self
    }
}

/// Why a body cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its content type is not `application/json`.
    #[error("the body is not application/json")]
    NotJson,
    /// It is not JSON.
    #[error("the body is not JSON")]
    Malformed,
    /// A parameter occurs twice.
    #[error("a parameter is repeated, or there are more than 64")]
    Repeated,
}

impl From<Repeated> for Unreadable {
    fn from(_: Repeated) -> Self {
        Self::Repeated
    }
}

impl Unreadable {
    /// The row of the table of problems.
    pub const fn kind(self) -> ProblemKind {
        match self {
            Self::NotJson => ProblemKind::JsonExpected,
            Self::Malformed => ProblemKind::MalformedJson,
            Self::Repeated => ProblemKind::RepeatedParameter,
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.kind().into()
    }
}

/// The format of a body, by its content type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BodyFormat {
    /// The body is empty, whatever the content type says.
    Empty,
    /// `application/json`
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// Anything else.
    Other,
}

impl EndpointAnswer {
    /// A JSON answer.
    pub fn json(status: StatusCode, value: Value, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        Self { status, content: Content::Json(value), cookies, auth_status, wrong_guess: false }
    }

    /// A page.
    pub fn page(status: StatusCode, page: Page, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        Self { status, content: Content::Page(page), cookies, auth_status, wrong_guess: false }
    }

    /// A file whose address changes with its content.
    pub fn file(media_type: &'static str, bytes: Bytes, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        let content = Content::File { media_type, bytes };
        Self { status: StatusCode::OK, content, cookies, auth_status, wrong_guess: false }
    }

    /// 303 to `location`.
    pub fn see_other(location: impl Into<String>, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        let content = Content::Redirect(location.into());
        Self { status: StatusCode::SEE_OTHER, content, cookies, auth_status, wrong_guess: false }
    }
}

impl Call {
    /// The format of the body.
    pub fn body_format(&self) -> BodyFormat {
        if self.body.is_empty() {
            return BodyFormat::Empty;
        }
        format_of(&self.headers)
    }

    /// Whether a page posted a form: the browser shows the answer as a page. A script gets JSON instead.
    pub fn is_form(&self) -> bool {
        if let Some(mode) = self.headers.get("sec-fetch-mode") {
            return mode == "navigate";
        }
        // jQuery sends the values of scripts as a form too.
        let is_script = self.headers.contains_key("x-requested-with");
        self.wants_page || (self.body_format() == BodyFormat::Form && !is_script)
    }

    /// Whether a browser sent the request, and not an app. Only a browser can be made by another site to send requests.
    pub fn is_from_browser(&self) -> bool {
        is_from_browser(&self.headers)
    }
}

fn format_of(headers: &HeaderMap) -> BodyFormat {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        BodyFormat::Json
    } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        BodyFormat::Form
    } else {
        BodyFormat::Other
    }
}

fn is_from_browser(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .any(|name| name == header::ORIGIN || name == header::COOKIE || name.as_str().starts_with("sec-fetch-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn the_content_type_decides_how_a_body_is_read() {
        let of = |kind| format_of(&headers("content-type", kind));
        assert_eq!(of("application/json"), BodyFormat::Json);
        assert_eq!(of("Application/JSON; charset=utf-8"), BodyFormat::Json);
        assert_eq!(of("application/x-www-form-urlencoded;charset=UTF-8"), BodyFormat::Form);
        assert_eq!(of("text/plain"), BodyFormat::Other);
        assert_eq!(of("application/json-patch+json"), BodyFormat::Other);
        assert_eq!(format_of(&HeaderMap::new()), BodyFormat::Other);
    }

    #[test]
    fn a_request_with_origin_cookie_or_sec_fetch_headers_is_from_a_browser() {
        assert!(is_from_browser(&headers("sec-fetch-site", "same-origin")));
        assert!(is_from_browser(&headers("origin", "https://app.example.kr")));
        assert!(is_from_browser(&headers("cookie", "a=b")));
        assert!(!is_from_browser(&headers("user-agent", "okhttp/4")));
    }
}
