//! Hygiene's part of the configuration.

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

use super::path::EncodedSlash;

/// The settings of hygiene, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use.
    pub public_url: Url,
    /// `server.hosts` (`host` or `host:port`, lower case): accepted, and only names of the gateway for a proxy in front
    /// of it if that proxy reports another host.
    pub hosts: Vec<String>,
    /// The hosts of all routes, in the same form.
    pub route_hosts: Vec<String>,
    /// The networks whose `X-Forwarded-*`, `Forwarded` and `X-Real-IP` are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whose request ids are kept.
    pub request_ids: RequestIdSource,
    /// `Keep` if any route keeps escaped slashes; the route decides then.
    pub encoded_slash: EncodedSlash,
    /// Every header that a route or the gateway itself sets (`upstream::headers::removed_on_arrival` among them);
    /// removed from requests on arrival.
    pub own_headers: Vec<HeaderName>,
    /// How large the headers of a request may be.
    pub header_limits: HeaderLimits,
}

impl Settings {
    /// Every accepted host but that of `public_url`, in order and without repetition.
    pub fn accepted_hosts(&self) -> Vec<String> {
        let mut all: Vec<String> = self.hosts.iter().chain(&self.route_hosts).cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whose `X-Request-Id` is kept (`server.request_id`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RequestIdSource {
    /// That of a trusted proxy; any other request gets a new one.
    #[default]
    Trusted,
    /// No peer's: every request gets a new one.
    Own,
}

/// How large the headers of a request may be; more would cost memory, and exceed the limits of other servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeaderLimits {
    /// Most bytes of target and headers.
    pub bytes: usize,
    /// Most header lines; all `Cookie` lines count as one, because HTTP/2 splits them.
    pub lines: usize,
}
