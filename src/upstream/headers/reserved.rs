//! The one list of header names that could pass for the gateway's own or make a backend skip its checks: nothing but
//! the gateway may send them to an upstream, neither in a head nor in trailers.

use http::HeaderName;

/// Names that begin with one of these are reserved.
const PREFIXES: [&str; 5] = ["x-forwarded", "x-auth-", "x-user", "remote-", "vestibule-"];
/// These names are reserved too, whether we set them or not: backends trust the first two; `Proxy` makes CGI programs
/// use another proxy (httpoxy, CVE-2016-5385); the others make frameworks skip their own checks.
const NAMES: [&str; 8] = [
    "forwarded",
    "x-real-ip",
    "proxy",
    "x-middleware-subrequest",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Headers by which frameworks take a request for one with another method. Only a route with `method_override` lets
/// them pass, in these spellings.
pub static METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-method-override"),
];

/// Headers that a visitor may send and that the gateway replaces or extends: in any other spelling they are reserved.
const SET_IN_ONE_SPELLING: [&str; 2] = ["x-request-id", "cdn-loop"];

/// Whether a name (in lower case) is reserved, in any spelling that a backend may take for the same name.
pub fn is_reserved(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x' | b'c' | b'f' | b'p' | b'r' | b'v') => {
            PREFIXES.iter().any(|prefix| begins(name, prefix))
                || NAMES.iter().any(|own| is_same(name, own))
                || SET_IN_ONE_SPELLING.iter().any(|own| name != *own && is_same(name, own))
                || METHOD_OVERRIDES.iter().any(|own| is_same(name, own.as_str()))
        }
        _ => false,
    }
}

/// Whether two names are equal if `.`, `_` and `-` count as the same.
pub fn is_same(name: &str, own: &str) -> bool {
    name.len() == own.len() && begins(name, own)
}

fn begins(name: &str, prefix: &str) -> bool {
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(|(a, b)| separator(a) == separator(b))
}

fn separator(byte: u8) -> u8 {
    if matches!(byte, b'.' | b'_') { b'-' } else { byte }
}
