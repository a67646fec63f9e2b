//! The contents of the gateway's own answers, and the response for each.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::guard::{FILE_POLICY, NO_STORE};
use crate::pages::Page;

/// The address of a file changes with its content, so a cache may keep it for a year.
const CACHED_FOR_A_YEAR: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// The content of an own endpoint's answer.
#[derive(Debug)]
pub enum Content {
    /// A page.
    Page(Page),
    /// A JSON value.
    Json(Value),
    /// 303 (RFC 9110 section 15.4.4) to this address: the next request is a GET, whatever the method of this one.
    Redirect(String),
    /// A file; its address changes with its content.
    File {
        /// `Content-Type`.
        media_type: &'static str,
        /// The file.
        bytes: Bytes,
    },
    /// No body.
    Empty,
}

impl Content {
    /// The response; `status` counts for pages, JSON and empty answers.
    pub fn into_response(self, status: StatusCode) -> Response<Bytes> {
        let mut response = match self {
            Self::Page(page) => page_response(status, page),
            Self::Json(value) => {
                let mut response = with_status(status, Bytes::from(value.to_string()));
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Self::Redirect(location) => match HeaderValue::from_str(&location) {
                Ok(location) => redirect(StatusCode::SEE_OTHER, location),
                Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Self::File { media_type, bytes } => return file(media_type, bytes),
            Self::Empty => empty(status),
        };
        // It is for this visitor only, and may differ the next time.
        response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
        response
    }
}

fn file(media_type: &'static str, bytes: Bytes) -> Response<Bytes> {
    let mut response = Response::new(bytes);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, CACHED_FOR_A_YEAR);
    // An SVG may contain scripts, and may be opened as a page.
    headers.insert(header::CONTENT_SECURITY_POLICY, FILE_POLICY);
    response
}

pub(super) fn page_response(status: StatusCode, page: Page) -> Response<Bytes> {
    let mut response = with_status(status, Bytes::from(page.html));
    *response.headers_mut() = page.headers;
    response
}

pub(super) fn redirect(status: StatusCode, location: HeaderValue) -> Response<Bytes> {
    let mut response = empty(status);
    response.headers_mut().insert(header::LOCATION, location);
    response
}

pub(super) fn empty(status: StatusCode) -> Response<Bytes> {
    with_status(status, Bytes::new())
}

pub(super) fn with_status(status: StatusCode, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
