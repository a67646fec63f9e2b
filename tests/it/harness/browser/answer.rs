//! The gateway's answer, with the checks that tests make.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, Version, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use url::Url;

use super::super::within_time_limit;

/// An answer whose head has arrived.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(super) url: Url,
    pub(super) response: Response<Incoming>,
}

impl Opened {
    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next frame of the body; `None` at its clean end, an error if the connection is cut.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = within_time_limit("a piece of a body", self.response.body_mut().frame()).await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The whole answer.
    pub(crate) async fn try_finish(self) -> Result<Answer, hyper::Error> {
        let (head, body) = self.response.into_parts();
        let collected = within_time_limit("the end of a body", body.collect()).await?;
        let trailers = collected.trailers().cloned();
        Ok(Answer {
            url: self.url,
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(super) url: Url,
    /// The status.
    pub(crate) status: StatusCode,
    /// The protocol.
    pub(crate) version: Version,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The trailers.
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    /// Fails if the status is another.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self}");
        self
    }

    /// Fails if `x-auth-status` is another.
    #[track_caller]
    pub(crate) fn says(self, auth_status: &str) -> Self {
        assert_eq!(self.auth_status(), Some(auth_status), "{self}");
        self
    }

    /// Fails if the `code` of a problem is another.
    #[track_caller]
    pub(crate) fn problem(self, code: &str) -> Self {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert_eq!(self.json()["code"], code, "{self}");
        self
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("an ASCII header"))
    }

    /// `x-auth-status`.
    pub(crate) fn auth_status(&self) -> Option<&str> {
        assert!(self.headers.get_all("x-auth-status").iter().count() <= 1, "{self}");
        self.header("x-auth-status")
    }

    /// `Location`.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("an answer without Location: {self}"))
    }

    /// The raw `Set-Cookie` lines.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().expect("an ASCII header")).collect()
    }

    /// The raw `Set-Cookie` line of that name.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let lines = self.set_cookies();
        let of_name: Vec<_> = lines.into_iter().filter(|line| line.split('=').next() == Some(name)).collect();
        assert!(of_name.len() <= 1, "{name} is set twice: {self}");
        of_name.first().copied()
    }

    /// Whether the answer sets that cookie to a value.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.set_cookie(name).is_some_and(|line| !line.contains("Max-Age=0"))
    }

    /// Whether the answer deletes that cookie.
    pub(crate) fn clears(&self, name: &str) -> bool {
        self.set_cookie(name).is_some_and(|line| line.contains("Max-Age=0"))
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// For a failing test's message.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} from {}", self.status, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let text = self.text();
        write!(f, "{}", text.get(..2000).unwrap_or(&text))
    }
}
