//! What an answer says to scripts of other origins (Fetch standard, "HTTP-CORS protocol").

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::content::empty;
use crate::route::Cors;

/// How long a browser may remember a preflight's answer, in seconds.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");

/// The answer to a preflight; `None` where the route does not list its origin.
pub fn preflight(request: &HeaderMap, cors: Option<&Cors>) -> Option<Response<Bytes>> {
    let origin = request.get(header::ORIGIN)?;
    let cors = cors.filter(|cors| lists(cors, origin))?;
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

/// Lets a listed origin read the answer, and no other; the upstream's own CORS headers are replaced.
pub fn allow_origin(headers: &mut HeaderMap, origin: Option<&HeaderValue>, cors: &Cors) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let Some(origin) = origin.filter(|origin| lists(cors, origin)) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-auth-status"));
}

fn lists(cors: &Cors, origin: &HeaderValue) -> bool {
    cors.origins.iter().any(|listed| listed.as_bytes() == origin.as_bytes())
}
