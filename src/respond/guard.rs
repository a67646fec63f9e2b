//! Security headers for browsers, on every answer of the gateway's own.

use http::{HeaderMap, HeaderValue, header};

use crate::{scheme::Scheme, telemetry::NO_PAGE_POLICY};

pub(super) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// For files: as `NO_PAGE_POLICY`, and an SVG may have its own styles and is shown in a sandbox.
pub(super) const FILE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
);
/// A year, without `includeSubDomains`: the operator decides about other names of the domain.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Whether answers have `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StrictTransport {
    /// For a site under https.
    Required,
    /// For plain http, and on loopback, where other ports belong to other programs.
    Off,
}

/// Adds the headers that an answer does not set itself. `scheme` is the visitor's; `None` before hygiene.
pub(super) fn guard(headers: &mut HeaderMap, strict_transport: StrictTransport, scheme: Option<Scheme>) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, NO_PAGE_POLICY),
        (header::REFERRER_POLICY, NO_REFERRER),
        (header::CACHE_CONTROL, NO_STORE),
    ] {
        headers.entry(name).or_insert(value);
    }
    // Over plain HTTP it must not be sent (RFC 6797 section 7.2).
    if strict_transport == StrictTransport::Required && scheme == Some(Scheme::Https) {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
}
