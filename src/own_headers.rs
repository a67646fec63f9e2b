//! The names of the headers that the gateway alone sets, besides those of `upstream/headers/set.rs`.

use http::HeaderName;

/// On answers: the result of the request's session.
pub const X_AUTH_STATUS: HeaderName = HeaderName::from_static("x-auth-status");

/// On requests of the client of Auth.js 5: the answer is to have an address in JSON instead of a redirect. No upstream
/// gets it, as no header that begins with `X-Auth-`.
pub const X_AUTH_RETURN_REDIRECT: HeaderName = HeaderName::from_static("x-auth-return-redirect");

/// On calls to a backend: the JWT that shows that this gateway calls.
pub const VESTIBULE_ASSERTION: HeaderName = HeaderName::from_static("vestibule-assertion");

/// All of them; removed from what visitors send, and not for the configuration to set.
pub const OWN_HEADERS: [HeaderName; 2] = [X_AUTH_STATUS, VESTIBULE_ASSERTION];

/// The beginning of the names that are kept for the gateway, of this version or a later one.
pub const OWN_PREFIX: &str = "vestibule-";
