//! What an endpoint of ours is given, and what it answers.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    client::Client,
    pages::Page,
    problem::{Problem, ProblemKind},
    respond::Content,
    session::{AuthStatus, CookieChanges, Visit},
    text::Language,
};

/// A request to an endpoint of ours, its body read.
pub struct Call {
    /// GET, HEAD or POST.
    pub method: Method,
    /// Its headers.
    pub headers: HeaderMap,
    /// What stands behind the `?`.
    pub query: Option<String>,
    /// At most 64 KiB.
    pub body: Bytes,
    /// The client that sent it.
    pub client: Client,
    /// The session it came with.
    pub visit: Visit,
    /// A person waits for a page.
    pub wants_page: bool,
}

/// An answer of an endpoint of ours; the head of the session is in it.
#[derive(Debug)]
pub struct Answer {
    /// Of a page or of JSON.
    pub status: StatusCode,
    /// What it holds.
    pub content: Content,
    /// Every cookie it changes.
    pub cookies: CookieChanges,
    /// `x-auth-status`.
    pub auth_status: AuthStatus,
    /// It tells a page that something was wrong: counted as [`super::Guesses`] says.
    pub wrong_guess: bool,
}

/// A call that failed, and what its answer says of the session that came in.
#[derive(Debug)]
pub struct Failed<E> {
    /// Why.
    pub error: E,
    /// How the session that came in fares: it stands.
    pub auth_status: AuthStatus,
    /// Its cookies where they changed, and what else the failure changes.
    pub cookies: CookieChanges,
}

impl<E> Failed<E> {
    /// The session fares as `call` found it; `more` cookies go along.
    pub fn new(call: &Call, error: E, more: CookieChanges) -> Self {
        let (auth_status, cookies) = call.visit.head();
        Self { error, auth_status, cookies: cookies.and(more) }
    }
}

/// A body that is not what the endpoint reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// It says that it is something else.
    #[error("the body is not application/json")]
    NotJson,
    /// It is not what it says, or lacks what it must have.
    #[error("the body is not the JSON that is read here")]
    Malformed,
}

impl Unreadable {
    /// What the visitor is told.
    pub const fn kind(self) -> ProblemKind {
        match self {
            Self::NotJson => ProblemKind::JsonExpected,
            Self::Malformed => ProblemKind::MalformedJson,
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(unreadable: Unreadable) -> Self {
        unreadable.kind().into()
    }
}

/// How a body is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// There is none, whatever its type says.
    Empty,
    /// `application/json`
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// Anything else.
    Otherwise,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: StatusCode, value: Value, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        Self { status, content: Content::Json(value), cookies, auth_status, wrong_guess: false }
    }

    /// A page.
    pub fn page(status: StatusCode, page: Page, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        Self { status, content: Content::Page(page), cookies, auth_status, wrong_guess: false }
    }

    /// 303 to `location`.
    pub fn see_other(location: impl Into<String>, cookies: CookieChanges, auth_status: AuthStatus) -> Self {
        let content = Content::Redirect(location.into());
        Self { status: StatusCode::SEE_OTHER, content, cookies, auth_status, wrong_guess: false }
    }
}

impl Call {
    /// The visitor's language.
    pub fn language(&self) -> Language {
        Language::of(&self.headers)
    }

    /// How its body is written.
    pub fn written(&self) -> Written {
        if self.body.is_empty() {
            return Written::Empty;
        }
        written_as(&self.headers)
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        if self.written() != Written::Json {
            return Err(Unreadable::NotJson);
        }
        serde_json::from_slice(&self.body).map_err(|_| Unreadable::Malformed)
    }

    /// True where a page's form was posted, so that a browser shows what comes of it; a script gets JSON.
    pub fn is_form(&self) -> bool {
        match self.headers.get("sec-fetch-mode") {
            Some(mode) => mode == "navigate",
            None => self.wants_page || self.written() == Written::Form,
        }
    }

    /// True where a browser sent the request, not an app: browsers alone can be made to send what somebody else prepared.
    pub fn is_from_browser(&self) -> bool {
        is_from_browser(&self.headers)
    }
}

fn written_as(headers: &HeaderMap) -> Written {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Written::Json
    } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        Written::Form
    } else {
        Written::Otherwise
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
        let of = |kind| written_as(&headers("content-type", kind));
        assert_eq!(of("application/json"), Written::Json);
        assert_eq!(of("Application/JSON; charset=utf-8"), Written::Json);
        assert_eq!(of("application/x-www-form-urlencoded;charset=UTF-8"), Written::Form);
        assert_eq!(of("text/plain"), Written::Otherwise);
        assert_eq!(of("application/json-patch+json"), Written::Otherwise);
        assert_eq!(written_as(&HeaderMap::new()), Written::Otherwise);
    }

    #[test]
    fn a_browser_gives_itself_away_and_an_app_does_not() {
        assert!(is_from_browser(&headers("sec-fetch-site", "same-origin")));
        assert!(is_from_browser(&headers("origin", "https://app.example.kr")));
        assert!(is_from_browser(&headers("cookie", "a=b")));
        assert!(!is_from_browser(&headers("user-agent", "okhttp/4")));
    }
}
