//! What is refused or stripped before anything else looks at the request, and the one canonical path.

mod browser;
mod forwarded;
mod framing;
mod hops;
mod host;
mod names;
mod path;

use std::{borrow::Cow, net::IpAddr};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri, header,
    request::Parts,
    uri::{PathAndQuery, Scheme as UriScheme},
};
use ipnet::IpNet;
use url::Url;

use crate::problem::{FORWARDED_METHODS, Failure, Problem, ProblemKind};

pub use self::{
    browser::{SameSite, is_navigation, is_preflight, must_be_same_site, same_site},
    host::{HostName, is_loopback},
    path::canonical as canonical_path,
};
use self::{
    forwarded::Trusted,
    host::{Hosts, Known},
    names::{Inspected, OwnNames},
};
use crate::{client::Client, scheme::Scheme};

/// What hygiene must know of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use.
    pub public_url: Url,
    /// Further accepted hosts (`host` or `host:port`, lower case): `server.hosts` and the hosts of all routes.
    pub hosts: Vec<String>,
    /// Whose `X-Forwarded-*` and PROXY headers are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Every header that any route or the gateway itself sets: removed from what comes in.
    pub own_headers: Vec<HeaderName>,
    /// What a header block may be.
    pub block: Block,
}

/// How large a header block may be: what is past it floods memory, and other servers' limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// Most bytes of target and headers.
    pub bytes: usize,
    /// Most header lines; `Cookie` lines count as one, because HTTP/2 splits them.
    pub lines: usize,
}

/// Longest request target; a login's callback with a large `state` is far below.
const LONGEST_TARGET: usize = 16 * 1024;

/// The first step in the life of a request.
#[derive(Debug)]
pub struct Hygiene {
    hosts: Hosts,
    trusted: Trusted,
    own_names: OwnNames,
    public_scheme: Scheme,
    public_origin: String,
}

/// What is known of a request that passed.
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The host the visitor speaks to.
    pub host: HostName,
    /// The scheme as the visitor sees it.
    pub scheme: Scheme,
    /// The client, by the address that trusted proxies report.
    pub client: Client,
    /// What the upstream gets in `X-Forwarded-For`: the believed addresses, client first, the peer last. `None`: `client` alone.
    pub forwarded_for: Option<HeaderValue>,
}

/// Why a request goes no further; each is one answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// 400, and the connection is closed.
    #[error("ambiguous request: {0}")]
    Ambiguous(&'static str),
    /// 421: a host that is not ours.
    #[error("a host that is not served here")]
    Misdirected,
    /// 308 to this address: a navigation under another name of the loopback.
    #[error("a page under another name of the loopback")]
    ToPublicUrl(HeaderValue),
    /// 405: CONNECT or TRACE.
    #[error("a method that is never served")]
    Method,
    /// 204 with `Allow`: `OPTIONS *` is about the gateway itself.
    #[error("a question about the gateway itself")]
    OptionsStar,
    /// 204 with `Allow`: an OPTIONS request that may go no further is answered in the upstream's place.
    #[error("a question that may go no further")]
    LastHop,
    /// 417: an expectation other than `100-continue`.
    #[error("an expectation that nobody here can meet")]
    Expectation,
    /// 414.
    #[error("the target is too long")]
    TargetTooLong,
    /// 431: over [`Block`].
    #[error("the header block is too large")]
    TooManyHeaders,
    /// 508: the request has been here twice.
    #[error("the request goes in a circle")]
    Loop,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Ambiguous(_) => ProblemKind::AmbiguousRequest.into(),
            Refusal::Misdirected => ProblemKind::UnknownHost.into(),
            Refusal::ToPublicUrl(location) => Self::ToPublicUrl(location),
            Refusal::Method => Problem::new(ProblemKind::MethodNeverServed).allowing(FORWARDED_METHODS).into(),
            Refusal::OptionsStar | Refusal::LastHop => Self::AboutGateway,
            Refusal::Expectation => ProblemKind::ExpectationFailed.into(),
            Refusal::TargetTooLong => ProblemKind::TargetTooLong.into(),
            Refusal::TooManyHeaders => ProblemKind::HeadersTooLarge.into(),
            Refusal::Loop => ProblemKind::LoopDetected.into(),
        }
    }
}

impl Hygiene {
    /// Built once per configuration.
    pub fn new(settings: Settings) -> Self {
        Self {
            hosts: Hosts::new(&settings.public_url, &settings.hosts),
            trusted: Trusted::new(settings.trusted_proxies),
            own_names: OwnNames::new(settings.own_headers, settings.block),
            public_scheme: if settings.public_url.scheme() == "https" { Scheme::Https } else { Scheme::Http },
            public_origin: settings.public_url.origin().ascii_serialization(),
        }
    }

    /// Refuses the request, or leaves in `parts` exactly what may be judged and forwarded: an origin-form target with the canonical path and the raw query, one
    /// `Host`, at most one `Cookie`, and no header that could pass for ours. A refused request is left as it came.
    ///
    /// `peer` is who connected (or whom the PROXY header named), `tls` whether with TLS.
    pub fn admit(&self, parts: &mut Parts, peer: IpAddr, tls: bool) -> Result<Admitted, Refusal> {
        if matches!(parts.method, Method::CONNECT | Method::TRACE) {
            return Err(Refusal::Method);
        }
        let target = parts.uri.path_and_query().ok_or(Refusal::Ambiguous("the target is no path"))?;
        if target.as_str().len() > LONGEST_TARGET {
            return Err(Refusal::TargetTooLong);
        }
        let Inspected { doomed, is_plain } = self.own_names.inspect(&parts.headers, target.as_str().len())?;
        if !is_plain {
            framing::check(parts.version, &parts.headers).map_err(Refusal::Ambiguous)?;
            if !is_met(&parts.headers) {
                return Err(Refusal::Expectation);
            }
        }
        let (host, known) = self.host(parts)?;
        if target == "*" {
            return Err(if parts.method == Method::OPTIONS {
                Refusal::OptionsStar
            } else {
                Refusal::Ambiguous("a star is no path")
            });
        }
        let rewritten = canonical(target)?;
        if !is_plain && hops::circles(&parts.headers) {
            return Err(Refusal::Loop);
        }
        let hops_left = if parts.method == Method::OPTIONS { hops::hops_left(&parts.headers)? } else { None };
        let visitor = self.trusted.visitor(&parts.headers, peer);
        let target = rewritten.as_ref().unwrap_or(target);
        if known == Known::Alias && is_navigation(parts) {
            let location = format!("{}{target}", self.public_origin);
            return Err(HeaderValue::try_from(location)
                .map_or(Refusal::Ambiguous("the target is not ASCII"), Refusal::ToPublicUrl));
        }
        let scheme = self.scheme(tls, visitor.scheme, known);

        if rewritten.is_some() || parts.uri.authority().is_some() || parts.uri.path().is_empty() {
            // Before a fragment there may be nothing: `http` reads that as the root in one place and as no path in another.
            let target = if target == "/" { PathAndQuery::from_static("/") } else { target.clone() };
            parts.uri = Uri::from(target);
        }
        if parts.headers.get(header::HOST) != Some(host.header()) {
            parts.headers.insert(header::HOST, host.header().clone());
        }
        for name in doomed {
            parts.headers.remove(name);
        }
        if let Some(left) = hops_left {
            parts.headers.insert(header::MAX_FORWARDS, left);
        }
        names::join_cookies(&mut parts.headers);
        let client = Client::of_request(visitor.client, &parts.headers);
        Ok(Admitted { host, scheme, client, forwarded_for: visitor.chain })
    }

    /// Exactly one valid `Host`; an authority in the target (absolute-form, HTTP/2) goes before it, and both must be ours. In HTTP/2 `Host` may be absent, but not differ.
    fn host(&self, parts: &Parts) -> Result<(HostName, Known), Refusal> {
        let mut lines = parts.headers.get_all(header::HOST).iter();
        let line = lines.next();
        if lines.next().is_some() {
            return Err(Refusal::Ambiguous("more than one Host"));
        }
        let in_header = line.map(|line| self.accepted(line.as_bytes())).transpose()?;
        let Some(authority) = parts.uri.authority() else {
            return in_header.ok_or(Refusal::Ambiguous("no Host"));
        };
        if parts.uri.scheme().is_some_and(|scheme| *scheme != UriScheme::HTTP && *scheme != UriScheme::HTTPS) {
            return Err(Refusal::Ambiguous("the scheme of the target is not http"));
        }
        let in_target = self.accepted(authority.as_str().as_bytes())?;
        match in_header {
            None if parts.version < http::Version::HTTP_2 => Err(Refusal::Ambiguous("no Host")),
            Some((host, _)) if parts.version >= http::Version::HTTP_2 && host != in_target.0 => {
                Err(Refusal::Ambiguous("Host differs from :authority"))
            }
            _ => Ok(in_target),
        }
    }

    fn accepted(&self, authority: &[u8]) -> Result<(HostName, Known), Refusal> {
        let (name, port) = host::split(authority).map_err(Refusal::Ambiguous)?;
        self.hosts.find(&name, port).ok_or(Refusal::Misdirected)
    }

    /// What TLS or a trusted proxy proves; without proof `public_url` says how its own host is reached, since TLS may end in front of us unseen.
    fn scheme(&self, tls: bool, told: Option<Scheme>, known: Known) -> Scheme {
        match (told, tls, known) {
            (Some(scheme), ..) => scheme,
            (None, true, _) => Scheme::Https,
            (None, false, Known::Public) => self.public_scheme,
            (None, false, Known::Listed | Known::Alias) => Scheme::Http,
        }
    }
}

/// The target with its canonical path, if it had another. The query stays as it is, byte for byte, but without control characters.
fn canonical(target: &PathAndQuery) -> Result<Option<PathAndQuery>, Refusal> {
    if !target.as_str().starts_with('/') {
        return Err(Refusal::Ambiguous("the target does not start with a slash"));
    }
    let query = target.query();
    if query.is_some_and(|query| query.bytes().any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b'#')) {
        return Err(Refusal::Ambiguous("a control character in the query"));
    }
    let Cow::Owned(mut text) = path::canonical(target.path()).map_err(Refusal::Ambiguous)? else { return Ok(None) };
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    let target =
        PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| Refusal::Ambiguous("the target is no path"))?;
    Ok(Some(target))
}

/// RFC 9110 section 10.1.1: `100-continue` is all that can be expected, and hyper answers it when the body is asked for.
fn is_met(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(header::EXPECT).iter();
    lines.all(|line| {
        let mut expected = line.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        expected.all(|word| word.is_empty() || word.eq_ignore_ascii_case(b"100-continue"))
    })
}

#[cfg(test)]
mod tests;
