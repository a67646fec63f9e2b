//! Headers on their way through: what belongs to one hop ends here, and what we say of the visitor is set.

use std::{borrow::Cow, net::IpAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{HeaderPiece, HeaderRules, HeaderTemplate};
use crate::scheme::Scheme;

static CDN_LOOP: HeaderName = HeaderName::from_static("cdn-loop");
static FORWARDED: HeaderName = header::FORWARDED;
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// What `Connection` may name without effect: headers that we or the upstream read whatever the visitor says, framing,
/// which is hyper's, and the request's number, which is ours.
const KEPT: [&str; 9] = [
    "authorization",
    "cdn-loop",
    "content-length",
    "cookie",
    "host",
    "set-cookie",
    "transfer-encoding",
    "www-authenticate",
    "x-request-id",
];

/// Kept out of an encoded claim: `%` too, so that it decodes to what it was.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The header values that tell an upstream of one client: written once for all its requests over a connection.
#[derive(Clone, Debug)]
pub struct ClientHeaders {
    address: HeaderValue,
    proto: HeaderValue,
    /// RFC 7239 section 4.
    element: HeaderValue,
}

impl ClientHeaders {
    /// The visitor at `address`.
    pub fn new(address: IpAddr, scheme: Scheme) -> Self {
        let address = address.to_canonical();
        let proto = scheme.as_str();
        let node = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("\"[{address}]\""),
        };
        Self {
            address: ascii(address.to_string()),
            proto: HeaderValue::from_static(proto),
            element: ascii(format!("for={node};proto={proto}")),
        }
    }

    /// The address, as `X-Real-IP` says it.
    pub fn address(&self) -> &HeaderValue {
        &self.address
    }
}

/// What an upstream is told about where a request comes from.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<'a> {
    /// The visitor.
    pub client: &'a ClientHeaders,
    /// The host the visitor asked for: the value of `Host`, or `:authority`.
    pub host: &'a HeaderValue,
    /// `X-Forwarded-For` as it is to be passed on, where trusted proxies reported more than the visitor.
    pub chain: Option<&'a HeaderValue>,
}

/// What an upstream gets in `Authorization`.
#[derive(Clone, Debug)]
pub enum Authorization {
    /// This.
    Replace(HeaderValue),
    /// Nothing.
    Remove,
    /// What the visitor sent.
    Keep,
}

/// Whether the connection is to become something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// A request and its answer.
    Exchange,
    /// A switch of protocols: `Upgrade` passes, and `Connection` names it.
    Upgrade,
}

/// Makes a visitor's headers an upstream's. Inbound headers that could pass for ours have been removed before.
/// `claims` gives the text of a claim of the session.
pub fn prepare_request<'c>(
    headers: &mut HeaderMap,
    forwarded: &Forwarded<'_>,
    authorization: Authorization,
    rules: &HeaderRules,
    purpose: Purpose,
    claims: impl Fn(&str) -> Option<Cow<'c, str>>,
) {
    if is_about_hops(headers) {
        let trailers = headers.get_all(header::TE).iter().any(accepts_trailers);
        remove_hop_by_hop(headers, purpose);
        headers.remove(header::EXPECT);
        if trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            // RFC 9110 section 10.1.4: TE is itself of one hop, and says so.
            headers.append(header::CONNECTION, HeaderValue::from_static("te"));
        }
        if headers.contains_key(header::TRAILER) {
            announce_allowed_trailers(headers, rules);
        }
    }
    match authorization {
        Authorization::Replace(value) => drop(headers.insert(header::AUTHORIZATION, value)),
        Authorization::Remove => drop(headers.remove(header::AUTHORIZATION)),
        Authorization::Keep => {}
    }
    if !headers.contains_key(header::HOST) {
        headers.insert(header::HOST, forwarded.host.clone());
    }
    let client = forwarded.client;
    headers.insert(&X_FORWARDED_FOR, forwarded.chain.unwrap_or(&client.address).clone());
    headers.insert(&X_FORWARDED_PROTO, client.proto.clone());
    headers.insert(&X_FORWARDED_HOST, forwarded.host.clone());
    headers.insert(&X_REAL_IP, client.address.clone());
    headers.insert(&FORWARDED, client.element.clone());
    // RFC 8586: how hygiene knows a request that comes round again. `Via` would do too, but makes nginx send uncompressed.
    headers.append(&CDN_LOOP, HeaderValue::from_static("vestibule"));
    for name in &rules.remove {
        headers.remove(name);
    }
    for (name, template) in &rules.set {
        // Strip, then set: a visitor must not fill in what the session does not say.
        headers.remove(name);
        if let Some(value) = filled(template, &claims) {
            headers.insert(name, value);
        }
    }
}

/// Makes an upstream's headers a visitor's.
pub fn prepare_answer(headers: &mut HeaderMap, rules: &HeaderRules, purpose: Purpose) {
    if is_about_hops(headers) {
        remove_hop_by_hop(headers, purpose);
    }
    for name in &rules.remove {
        headers.remove(name);
    }
}

/// Keeps the trailers that may pass, either way: what would have been removed from a head does not come in after the body.
pub(super) fn prepare_trailers(trailers: &mut HeaderMap) {
    let removed: Vec<_> = trailers.keys().filter(|name| !may_be_trailer(name.as_str())).cloned().collect();
    for name in removed {
        trailers.remove(name);
    }
}

/// Whether trailers may have a field of this name: no framing, no routing, no credentials, no cookies, nothing that had to be
/// known before the body and nothing that only we say (RFC 9110 section 6.5.1), in any spelling that a backend may take for the same.
fn may_be_trailer(name: &str) -> bool {
    const NAMES: [&str; 30] = [
        "authentication-info",
        "authorization",
        "cache-control",
        "cdn-loop",
        "connection",
        "cookie",
        "expect",
        "forwarded",
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
        "x-middleware-subrequest",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    const BEGINNINGS: [&str; 8] =
        ["access-control-", "content-", "if-", "remote-", "vestibule-", "x-auth-", "x-forwarded", "x-user"];
    !NAMES.contains(&name)
        && !BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        && !name.bytes().any(|byte| byte == b'_' || byte == b'.')
}

/// Whether there is anything to be looked up by name: one look at each header costs less than a look-up of each of these.
fn is_about_hops(headers: &HeaderMap) -> bool {
    static NAMES: [HeaderName; 10] = [
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::EXPECT,
        header::TRANSFER_ENCODING,
        header::PROXY_AUTHORIZATION,
        header::PROXY_AUTHENTICATE,
        KEEP_ALIVE,
        PROXY_CONNECTION,
    ];
    headers.keys().any(|name| matches!(name.as_str().len(), 2 | 6 | 7 | 10 | 16..=19) && NAMES.contains(name))
}

/// RFC 9110 section 7.6.1.
fn remove_hop_by_hop(headers: &mut HeaderMap, purpose: Purpose) {
    if headers.contains_key(header::CONNECTION) {
        remove_named(headers);
    }
    let upgrade = headers.remove(header::UPGRADE);
    headers.remove(header::TE);
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::PROXY_AUTHORIZATION);
    headers.remove(header::PROXY_AUTHENTICATE);
    headers.remove(&KEEP_ALIVE);
    headers.remove(&PROXY_CONNECTION);
    if purpose == Purpose::Upgrade
        && let Some(upgrade) = upgrade
    {
        headers.insert(header::UPGRADE, upgrade);
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// Removes `Connection` and all that it names.
fn remove_named(headers: &mut HeaderMap) {
    match headers.entry(header::CONNECTION) {
        header::Entry::Occupied(entry) => {
            let is_common = |value: &HeaderValue| {
                value.as_bytes().eq_ignore_ascii_case(b"keep-alive") || value.as_bytes().eq_ignore_ascii_case(b"close")
            };
            if entry.iter().all(is_common) {
                entry.remove_entry_mult();
                return;
            }
            let values: Vec<_> = entry.remove_entry_mult().1.collect();
            for name in values.iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
                let name = name.trim_ascii();
                if !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()))
                    && let Ok(name) = HeaderName::from_bytes(name)
                    && name != header::UPGRADE
                    && name != header::TE
                {
                    headers.remove(name);
                }
            }
        }
        header::Entry::Vacant(_) => {}
    }
}

fn accepts_trailers(value: &HeaderValue) -> bool {
    value.as_bytes().split(|&byte| byte == b',').any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// hyper sends only trailers that `Trailer` announces, so this is where a route's own headers are kept out of them.
fn announce_allowed_trailers(headers: &mut HeaderMap, rules: &HeaderRules) {
    let mut allowed = BytesMut::new();
    for name in headers.get_all(header::TRAILER).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b',')) {
        let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) else { continue };
        let is_ours = rules.set.iter().map(|(set, _)| set).chain(&rules.remove).any(|ours| *ours == name);
        if !is_ours && may_be_trailer(name.as_str()) {
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

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("an address is visible ASCII")
}

/// `None` where a claim is absent: half a value would say something else.
fn filled<'c>(template: &HeaderTemplate, claims: impl Fn(&str) -> Option<Cow<'c, str>>) -> Option<HeaderValue> {
    let mut text = String::new();
    for piece in &template.0 {
        match piece {
            HeaderPiece::Literal(literal) => text.push_str(literal),
            HeaderPiece::Claim(name) => push_claim(&mut text, &claims(name)?),
        }
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
}

/// Visible ASCII as it is, spaces inside included; all else as percent-encoded UTF-8.
fn push_claim(text: &mut String, claim: &str) {
    let is_visible = claim.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && claim.trim() == claim;
    if is_visible {
        text.push_str(claim);
    } else {
        text.extend(utf8_percent_encode(claim, ENCODED));
    }
}

#[cfg(test)]
mod tests;
