//! The framing of messages: written anew for each request, and checked in each answer.

use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version, header, uri::PathAndQuery};
use http_body::Body as _;
use hyper::body::Incoming;

use super::super::{
    body::RequestBody,
    error::{AnswerFault, ForwardError},
};

/// The request in the form for an origin server: HTTP/1.1, origin-form (RFC 9112 section 3.2.1), framed as its body is.
pub(in crate::upstream) fn ready_to_send(
    mut request: Request<RequestBody>,
) -> Result<Request<RequestBody>, ForwardError> {
    if request.body().is_too_large() {
        return Err(ForwardError::RequestTooLarge);
    }
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = request.uri().authority() {
        if !request.headers().contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    let length = request.body().size_hint().exact();
    let headers = request.headers_mut();
    headers.remove(header::TRANSFER_ENCODING);
    match length {
        Some(0) if content_length(headers) != Some(0) => drop(headers.remove(header::CONTENT_LENGTH)),
        Some(0) => {}
        Some(length) if content_length(headers) == Some(length) => {}
        Some(length) => drop(headers.insert(header::CONTENT_LENGTH, length.into())),
        None => {
            headers.remove(header::CONTENT_LENGTH);
            // Set for every method: without it hyper sends a GET without its body.
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Ok(request)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether trailers are asked for. `prepare_request` leaves `TE: trailers` or no `TE`.
pub(in crate::upstream) fn asks_for_trailers(request: &Request<RequestBody>) -> bool {
    request.headers().contains_key(header::TE)
}

/// Refuses an answer that two parsers could read differently.
pub(super) fn check_framing(answer: &mut Response<Incoming>) -> Result<(), ForwardError> {
    *answer.version_mut() = Version::HTTP_11;
    let headers = answer.headers();
    if let Some(coding) = headers.get(header::TRANSFER_ENCODING)
        && (!coding.as_bytes().eq_ignore_ascii_case(b"chunked")
            || headers.get_all(header::TRANSFER_ENCODING).iter().nth(1).is_some()
            || headers.contains_key(header::CONTENT_LENGTH))
    {
        return Err(ForwardError::BadAnswer(AnswerFault::Framing));
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        // hyper accepts `5, 5` and two equal lines as one length; a parser between us and the visitor may not.
        if lengths.next().is_some() || !length.as_bytes().iter().all(u8::is_ascii_digit) {
            return Err(ForwardError::BadAnswer(AnswerFault::Framing));
        }
    }
    Ok(())
}
