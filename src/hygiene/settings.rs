//! Hygiene's part of the configuration.

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

/// The settings of hygiene, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use.
    pub public_url: Url,
    /// Further accepted hosts (`host` or `host:port`, lower case): `server.hosts` and the hosts of all routes.
    pub hosts: Vec<String>,
    /// The networks whose `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Every header that a route or the gateway itself sets (`upstream::headers::removed_on_arrival` among them);
    /// removed from requests on arrival.
    pub own_headers: Vec<HeaderName>,
    /// How large the headers of a request may be.
    pub header_limits: HeaderLimits,
}

/// How large the headers of a request may be; more would cost memory, and exceed the limits of other servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderLimits {
    /// Most bytes of target and headers.
    pub bytes: usize,
    /// Most header lines; all `Cookie` lines count as one, because HTTP/2 splits them.
    pub lines: usize,
}
