//! What is refused or stripped before anything else looks at the request, and the one canonical path.

use http::HeaderName;
use ipnet::IpNet;
use url::Url;

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
}
