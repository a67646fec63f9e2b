//! Cross-origin requests (Fetch standard, "HTTP-CORS protocol"): preflights, and who may read an answer.

use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

use super::body::Body;
use crate::{hygiene, respond, route::Cors};

/// Seconds for which a browser may keep the answer to a preflight.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The method of the request that a preflight asks about.
pub(super) fn method_behind_preflight(parts: &Parts) -> Option<Method> {
    if !hygiene::is_preflight(parts) {
        return None;
    }
    let asked = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_bytes(asked.as_bytes()).ok()
}

/// The answer to a preflight; `None` if the route does not allow its origin. [`allow_origin`] completes it.
pub(super) fn preflight_answer(request: &HeaderMap, cors: Option<&Cors>) -> Option<Response<Body>> {
    let origin = request.get(header::ORIGIN)?;
    cors.filter(|cors| allows(cors, origin))?;
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (asked, allowed) in [
        (header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_ALLOW_METHODS),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, header::ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(asked) = request.get(asked) {
            headers.insert(allowed, asked.clone());
        }
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    Some(response)
}

/// Allows a listed origin, and no other, to read the answer. The upstream's own CORS headers are replaced.
pub(super) fn allow_origin(headers: &mut HeaderMap, origin: Option<&HeaderValue>, cors: &Cors) {
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let Some(origin) = origin.filter(|origin| allows(cors, origin)) else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    if cors.credentials {
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    headers.append(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from(respond::X_AUTH_STATUS));
}

fn allows(cors: &Cors, origin: &HeaderValue) -> bool {
    cors.origins.iter().any(|own| own.as_bytes() == origin.as_bytes())
}
