//! The listener's part of the configuration: addresses, certificate, limits.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::head_memory::HeadLimits;

/// The keys of `[server]` and `[limits]` that concern sockets, validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// The address for visitors' connections.
    pub listen: SocketAddr,
    /// Certificate chain and key, in PEM; `None` serves plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The address of `/livez`, `/readyz` and `/metrics`.
    pub admin_listen: Option<SocketAddr>,
    /// The address of `/livez` and `/readyz` without `/metrics`.
    pub health_listen: Option<SocketAddr>,
    /// Whether connections from `trusted_proxies` begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// The networks whose PROXY protocol header is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// How long requests in progress may take after accepting has stopped.
    pub drain: Duration,
    /// How long connections are still accepted after SIGTERM.
    pub drain_delay: Duration,
    /// Visitors' connections at a time; more wait in the kernel's queue.
    pub connections: u32,
    /// Connections of one client at a time; more are closed. Connections from `trusted_proxies` are not counted.
    pub connections_per_client: u32,
    /// Deadlines and sizes.
    pub limits: Limits,
}

/// `[server.tls]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Limits for one peer; past them its connection is closed. The defaults are those of `[limits]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Time for the PROXY protocol header, from accept on.
    pub proxy_header: Duration,
    /// Time for the TLS handshake; answers handshakes that stop half way or arrive byte by byte.
    pub handshake: Duration,
    /// Time for a request head, from its first byte to its last, and on a new connection from accept on; answers
    /// slowloris.
    pub head: Duration,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long a peer may read nothing while bytes are ready for it; answers slow readers.
    pub stalled: Duration,
    /// How long a connection that we closed is still read, so that the peer sees our last answer and not a reset.
    pub linger: Duration,
    /// How long an idle connection stays open after draining began, for a request that is already sent.
    pub idle_while_draining: Duration,
    /// Bytes of a request's head (HTTP/1.1) or header list (HTTP/2).
    pub head_bytes: u32,
    /// Header lines of a request.
    pub head_lines: u32,
    /// Streams of an HTTP/2 connection at a time; answers rapid reset.
    pub streams: u32,
    /// Heads of HTTP/2 requests in memory; answers heads that a few bytes stand for.
    pub heads: HeadLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            proxy_header: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(75),
            stalled: Duration::from_secs(60),
            linger: Duration::from_secs(2),
            idle_while_draining: Duration::from_secs(1),
            head_bytes: 32 * 1024,
            head_lines: 100,
            streams: 100,
            heads: HeadLimits::default(),
        }
    }
}
