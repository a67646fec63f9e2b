//! What is refused or removed before anything else reads a request, and the one canonical path.

mod browser;
mod forwarded;
mod framing;
mod hops;
mod host;
mod method;
mod names;
mod path;
mod refusal;
mod settings;

use std::{borrow::Cow, net::IpAddr};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, Version, header,
    request::Parts,
    uri::{PathAndQuery, Scheme as UriScheme},
};

pub use self::{
    browser::{
        SameSite, is_form_submission, is_navigation, is_prefetch, is_preflight, may_begin_login, must_be_same_site,
        same_site, shows_a_page,
    },
    host::{HostName, is_loopback},
    method::MethodOverride,
    path::{EncodedSlash, canonical as canonical_path, has_encoded_slash},
    refusal::Refusal,
    settings::{HeaderLimits, RequestIdSource, Settings},
};
use self::{
    forwarded::TrustedProxies,
    host::{AcceptedHosts, HostSource, significant},
    names::{Inspected, ReservedHeaders},
};
use crate::{client::Client, own_headers::X_AUTH_RETURN_REDIRECT, scheme::Scheme};

/// Most bytes of a path.
const MAX_PATH: usize = 16 * 1024;
/// Most bytes of a request target: the address of a login that carries 8 KiB, all of them percent-encoded, fits, and a
/// browser's other headers fit beside it into a head.
const MAX_TARGET: usize = 28 * 1024;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Checks and cleans a request before any other step reads it.
#[derive(Debug)]
pub struct Hygiene {
    hosts: AcceptedHosts,
    trusted_proxies: TrustedProxies,
    reserved_headers: ReservedHeaders,
    request_ids: RequestIdSource,
    encoded_slash: EncodedSlash,
    public_scheme: Scheme,
    public_origin: String,
}

/// Facts about an admitted request.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The host the visitor asked for: that of the request, or the one that a trusted proxy reports.
    pub host: HostName,
    /// The scheme that the visitor uses.
    pub scheme: Scheme,
    /// The client, at the address that trusted proxies reported.
    pub client: Client,
    /// The value of `X-Forwarded-For` for the upstream: the addresses that trusted proxies report, client first, peer
    /// last. `None`: only `client`.
    pub forwarded_for: Option<HeaderValue>,
    /// What the visitor's headers for another method say; they are removed from the request.
    pub method_override: Option<Box<MethodOverride>>,
    /// Whether it had `X-Auth-Return-Redirect`, which is removed from the request.
    pub returns_redirect: bool,
}

impl Hygiene {
    /// Compiles the settings, once per configuration.
    pub fn new(settings: Settings) -> Self {
        Self {
            hosts: AcceptedHosts::new(&settings.public_url, &settings.route_hosts, &settings.hosts),
            trusted_proxies: TrustedProxies::new(settings.trusted_proxies),
            reserved_headers: ReservedHeaders::new(settings.own_headers, settings.header_limits),
            request_ids: settings.request_ids,
            encoded_slash: settings.encoded_slash,
            public_scheme: Scheme::named(settings.public_url.scheme()).unwrap_or(Scheme::Http),
            public_origin: settings.public_url.origin().ascii_serialization(),
        }
    }

    /// Refuses the request, or leaves in `parts` exactly what may be judged and forwarded: an origin-form target with
    /// the canonical path and the raw query, one `Host`, and no header that could pass for ours. A refused request is
    /// left unchanged. Lines of `Cookie` are not joined: a few bytes of HTTP/2 can stand for large ones, and until they
    /// are joined these share their memory.
    ///
    /// `peer` is the address that connected (or that the PROXY header named), `scheme` that of its connection.
    pub fn admit(&self, parts: &mut Parts, peer: IpAddr, scheme: Scheme) -> Result<Admitted, Refusal> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        // RFC 9110 section 9.1: methods are case-sensitive, but not to every backend. No registered one has such
        // letters.
        if parts.method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(Refusal::Ambiguous("the method has small letters"));
        }
        let target = parts.uri.path_and_query().ok_or(Refusal::Ambiguous("the target is no path"))?;
        if target.as_str().len() > MAX_TARGET || target.path().len() > MAX_PATH {
            return Err(Refusal::TargetTooLong);
        }
        let Inspected { to_remove, needs_checks } =
            self.reserved_headers.inspect(&parts.headers, target.as_str().len())?;
        if needs_checks {
            framing::check(parts.version, &parts.headers).map_err(Refusal::Ambiguous)?;
            if !can_meet_expectations(&parts.headers) {
                return Err(Refusal::Expectation);
            }
        }
        let (host, host_source) = self.host(parts, peer)?;
        if target == "*" {
            return Err(if parts.method == Method::OPTIONS {
                Refusal::OptionsStar
            } else {
                Refusal::Ambiguous("a star is no path")
            });
        }
        let rewritten = canonical(target, self.encoded_slash)?;
        if needs_checks && hops::is_loop(&parts.headers) {
            return Err(Refusal::Loop);
        }
        let hops_left = if parts.method == Method::OPTIONS { hops::hops_left(&parts.headers)? } else { None };
        let reported = self.trusted_proxies.client(&parts.headers, peer);
        let target = rewritten.as_ref().unwrap_or(target);
        if host_source == HostSource::LoopbackAlias && is_navigation(parts) {
            let location = format!("{}{target}", self.public_origin);
            return Err(HeaderValue::try_from(location)
                .map_or(Refusal::Ambiguous("the target is not ASCII"), Refusal::ToPublicUrl));
        }
        let scheme = self.scheme(scheme, reported.scheme, host_source);

        if rewritten.is_some() || parts.uri.authority().is_some() || parts.uri.path().is_empty() {
            // A target may be empty before its fragment: the `http` crate gives `/` for its path and nothing for its
            // path and query. Both must be the same.
            let target = if target == "/" { PathAndQuery::from_static("/") } else { target.clone() };
            parts.uri = Uri::from(target);
        }
        if parts.headers.get(header::HOST) != Some(host.header()) {
            parts.headers.insert(header::HOST, host.header().clone());
        }
        let method_override = MethodOverride::take(&to_remove, &mut parts.headers);
        let returns_redirect = to_remove.contains(&X_AUTH_RETURN_REDIRECT);
        for name in to_remove {
            parts.headers.remove(name);
        }
        if needs_checks {
            self.reserved_headers.reduce_trailer(&mut parts.headers);
        }
        if let Some(left) = hops_left {
            parts.headers.insert(header::MAX_FORWARDS, left);
        }
        let client = Client::of_request(reported.address, &parts.headers);
        Ok(Admitted { host, scheme, client, forwarded_for: reported.chain, method_override, returns_redirect })
    }

    /// The `X-Request-Id` of a trusted proxy, unless every request gets an id of the gateway's own.
    pub fn reported_request_id<'h>(&self, headers: &'h HeaderMap, peer: IpAddr) -> Option<&'h HeaderValue> {
        match self.request_ids {
            RequestIdSource::Trusted => self.reported(headers, &X_REQUEST_ID, peer),
            RequestIdSource::Own => None,
        }
    }

    /// The `traceparent` of a trusted proxy.
    pub fn reported_trace<'h>(&self, headers: &'h HeaderMap, peer: IpAddr) -> Option<&'h HeaderValue> {
        self.reported(headers, &TRACEPARENT, peer)
    }

    /// The only value of a header that a trusted proxy sent.
    fn reported<'h>(&self, headers: &'h HeaderMap, name: &HeaderName, peer: IpAddr) -> Option<&'h HeaderValue> {
        if !self.trusted_proxies.contains(peer) {
            return None;
        }
        let mut lines = headers.get_all(name).iter();
        lines.next().filter(|_| lines.next().is_none())
    }

    /// The host of the request. There must be exactly one valid `Host`; an authority in the target (absolute-form,
    /// HTTP/2) takes precedence, and both must be accepted. In HTTP/2 `Host` may be absent, but not differ.
    ///
    /// A host that is neither that of `public_url` nor a route's is only the gateway's name for a proxy in front of it:
    /// an accepted host that this proxy reports replaces it.
    fn host(&self, parts: &Parts, peer: IpAddr) -> Result<(HostName, HostSource), Refusal> {
        let mut lines = parts.headers.get_all(header::HOST).iter();
        let line = lines.next();
        if lines.next().is_some() {
            return Err(Refusal::Ambiguous("more than one Host"));
        }
        let in_header = line.map(|line| host::split(line.as_bytes())).transpose().map_err(Refusal::Ambiguous)?;
        let in_target = match parts.uri.authority() {
            None => None,
            Some(authority) => {
                if parts.uri.scheme().is_some_and(|scheme| *scheme != UriScheme::HTTP && *scheme != UriScheme::HTTPS) {
                    return Err(Refusal::Ambiguous("the scheme of the target is not http"));
                }
                Some(host::split(authority.as_str().as_bytes()).map_err(Refusal::Ambiguous)?)
            }
        };
        if in_header.is_none() && (in_target.is_none() || parts.version < Version::HTTP_2) {
            return Err(Refusal::Ambiguous("no Host"));
        }
        let find = |named: &Option<(Cow<'_, str>, Option<u16>)>| {
            named.as_ref().map(|(name, port)| self.hosts.find(name, *port).ok_or(Refusal::Misdirected)).transpose()
        };
        let accepted = match (find(&in_header), find(&in_target)) {
            (Ok(in_header), Ok(in_target)) => in_target.or(in_header).ok_or(Refusal::Misdirected),
            (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
        };
        if parts.version >= Version::HTTP_2
            && let (Some((name, port)), Some((other, other_port))) = (&in_header, &in_target)
            && (name, significant(*port)) != (other, significant(*other_port))
        {
            return accepted.and(Err(Refusal::Ambiguous("Host differs from :authority")));
        }
        if let Ok((_, HostSource::PublicUrl | HostSource::Route)) = accepted {
            return accepted;
        }
        let reported = self.trusted_proxies.reported_host(&parts.headers, peer);
        let reported = reported.and_then(|host| host::split(host).ok());
        reported.and_then(|(name, port)| self.hosts.find(&name, port)).map_or(accepted, Ok)
    }

    /// The scheme that a trusted proxy reported, or `https` if the connection has TLS. Without either, `public_url`
    /// decides for its own host, since a proxy in front may end TLS without reporting it.
    fn scheme(&self, connection: Scheme, reported: Option<Scheme>, host_source: HostSource) -> Scheme {
        match (reported, connection, host_source) {
            (Some(scheme), ..) => scheme,
            (None, Scheme::Https, _) => Scheme::Https,
            (None, Scheme::Http, HostSource::PublicUrl) => self.public_scheme,
            (None, Scheme::Http, HostSource::Route | HostSource::Listed | HostSource::LoopbackAlias) => Scheme::Http,
        }
    }
}

/// The target with its canonical path, if that differs. The query is not changed; it may have no control characters.
fn canonical(target: &PathAndQuery, slash: EncodedSlash) -> Result<Option<PathAndQuery>, Refusal> {
    if !target.as_str().starts_with('/') {
        return Err(Refusal::Ambiguous("the target does not start with a slash"));
    }
    let query = target.query();
    if query.is_some_and(|query| query.bytes().any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b'#')) {
        return Err(Refusal::Ambiguous("a control character in the query"));
    }
    let Cow::Owned(mut text) = path::canonical(target.path(), slash).map_err(Refusal::Ambiguous)? else {
        return Ok(None);
    };
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    let target =
        PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| Refusal::Ambiguous("the target is no path"))?;
    Ok(Some(target))
}

/// RFC 9110 section 10.1.1 defines one expectation, `100-continue`; hyper answers it when the body is read.
fn can_meet_expectations(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::EXPECT).iter();
    lines.all(|line| {
        let mut expected = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        expected.all(|word| word.is_empty() || word.eq_ignore_ascii_case(b"100-continue"))
    })
}

#[cfg(test)]
mod tests;
