//! Trailers (RFC 9110 section 6.5): which may pass, and how they are asked for and announced.

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{reserved::is_reserved, rules::HeaderRules, set::is_set_in_head};

/// Removes the trailers that may not pass, in either direction: what is removed from a head must not arrive after the
/// body.
pub(in crate::upstream) fn prepare_trailers(trailers: &mut HeaderMap) {
    let removed: Vec<_> = trailers.keys().filter(|name| !may_be_trailer(name.as_str())).cloned().collect();
    for name in removed {
        trailers.remove(name);
    }
}

/// Whether a trailer of this name may pass (RFC 9110 section 6.5.1): no framing, routing, credentials or cookies,
/// nothing that is needed before the body, nothing that the gateway sets in the head, and nothing that is reserved in
/// the head ([`is_reserved`]), in any spelling that a backend may take for the same name.
fn may_be_trailer(name: &str) -> bool {
    const NAMES: [&str; 24] = [
        "authentication-info",
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "location",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "vary",
        "via",
        "www-authenticate",
    ];
    const PREFIXES: [&str; 3] = ["access-control-", "content-", "if-"];
    !NAMES.contains(&name)
        && !is_reserved(name)
        && !is_set_in_head(name)
        && !PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        && !name.bytes().any(|byte| byte == b'_' || byte == b'.')
}

/// Whether a value of `TE` asks for trailers.
pub(super) fn accepts_trailers(value: &HeaderValue) -> bool {
    value.as_bytes().split(|&byte| byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Reduces `Trailer` to the names that may pass, that no rule of the route sets or removes, and that `Connection` does
/// not name. hyper sends only trailers that `Trailer` announces, so this also keeps the others out of the trailers.
pub(super) fn announce_allowed_trailers(headers: &mut HeaderMap, rules: &HeaderRules) {
    let mut allowed = BytesMut::new();
    for name in listed(headers, &header::TRAILER) {
        let Ok(name) = HeaderName::from_bytes(name) else { continue };
        let is_of_connection =
            listed(headers, &header::CONNECTION).any(|other| other.eq_ignore_ascii_case(name.as_str().as_bytes()));
        if !is_of_connection && !rules.has(&name) && may_be_trailer(name.as_str()) {
            if !allowed.is_empty() {
                allowed.put_slice(b", ");
            }
            allowed.put_slice(name.as_str().as_bytes());
        }
    }
    headers.remove(header::TRAILER);
    if !allowed.is_empty()
        && let Ok(allowed) = HeaderValue::from_maybe_shared(allowed.freeze())
    {
        headers.insert(header::TRAILER, allowed);
    }
}

/// The elements of a header that is a list.
fn listed<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h [u8]> {
    headers.get_all(name).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}
