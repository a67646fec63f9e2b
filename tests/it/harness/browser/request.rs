//! A request that a browser is about to send.

use std::{io, pin::Pin};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use url::Url;

use super::{
    super::within_time_limit,
    Browser, Protocol, Sent, Site,
    answer::{Answer, Opened},
};

/// A request about to be sent: awaiting it sends it and collects the answer.
pub(crate) struct BrowserRequest {
    pub(super) browser: Browser,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) site: Site,
    pub(super) headers: HeaderMap,
    pub(super) body: Sent,
    pub(super) raw_path: Option<String>,
}

impl BrowserRequest {
    pub(super) fn navigating(self) -> Self {
        self.header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Sends this path as it is, without normalising it.
    pub(crate) fn at_path(mut self, path: &str) -> Self {
        self.raw_path = Some(path.to_owned());
        self
    }

    /// Sets the method.
    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).map_err(io::Error::other).boxed_unsync();
        self
    }

    /// Sets a streamed body.
    pub(crate) fn streaming(mut self, body: Sent) -> Self {
        self.body = body;
        self
    }

    /// Sets a JSON body.
    pub(crate) fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    /// Sets a form as the body.
    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Sends it, and returns as soon as the answer's head is there.
    pub(crate) async fn open(self) -> Opened {
        let what = format!("{} {}", self.method, self.url);
        self.try_open().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it; fails where the connection ends before the answer's head.
    pub(crate) async fn try_open(self) -> Result<Opened, hyper::Error> {
        let Self { browser, method, url, site, headers, body, raw_path } = self;
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let cookies = browser.cookies_for(&url, site, &method, navigates);
        let authority = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let path = raw_path.unwrap_or_else(|| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
        let is_http2 = browser.protocol == Protocol::Http2 && url.origin() == browser.home.origin();
        let mut request = Request::builder().method(method);
        request = if is_http2 {
            request.version(Version::HTTP_2).uri(format!("{}://{authority}{path}", url.scheme()))
        } else {
            request.uri(path).header(header::HOST, authority)
        };
        let mut request = request.body(body).unwrap();
        request.headers_mut().extend(headers);
        // As browsers do: one field in HTTP/1.1, a field for each cookie in HTTP/2 (RFC 9113 section 8.2.3).
        let fields = if is_http2 || cookies.is_empty() { cookies } else { vec![cookies.join("; ")] };
        for field in fields {
            request.headers_mut().append(header::COOKIE, HeaderValue::from_str(&field).unwrap());
        }
        let response = within_time_limit("the head of an answer", browser.send(&url, request)).await?;
        browser.jar.lock().unwrap().keep(&url, response.headers(), browser.clock.now());
        if url.origin() == browser.home.origin() {
            browser.finds_no_token_in_location(response.headers());
        }
        Ok(Opened { url, response })
    }

    /// Sends it; fails where the connection ends before the answer does.
    pub(crate) async fn try_send(self) -> Result<Answer, hyper::Error> {
        self.try_open().await?.try_finish().await
    }
}

impl IntoFuture for BrowserRequest {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let what = format!("{} {}", self.method, self.url);
            self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
        })
    }
}
