//! A REQUEST ENTERS HERE: sockets, TLS, PROXY protocol, limits and deadlines, shutdown.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

/// `[server]`, validated: what concerns sockets.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where visitors connect.
    pub listen: SocketAddr,
    /// Certificate chain and key, in PEM; `None`: plain HTTP.
    pub tls: Option<TlsFiles>,
    /// `/livez`, `/readyz`, `/metrics`.
    pub admin_listen: Option<SocketAddr>,
    /// `/livez` and `/readyz` alone.
    pub health_listen: Option<SocketAddr>,
    /// Whether connections from `trusted_proxies` begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Whose PROXY protocol header is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long running requests may take after SIGTERM.
    pub drain: Duration,
    /// How long connections are still accepted after SIGTERM.
    pub drain_delay: Duration,
}

/// `[server.tls]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}
