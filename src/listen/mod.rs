//! A REQUEST ENTERS HERE: sockets, TLS, PROXY protocol, limits and deadlines, shutdown.
//!
//! `bind` → `accept` (one per address) → `worker` (one per core) → `connection` (PROXY header, TLS, which HTTP) →
//! `http1`/`http2` → [`Handler`].

mod accept;
mod admin;
mod bind;
mod clients;
mod connection;
mod deadline;
pub mod files;
mod frames;
mod head;
mod http1;
mod http2;
mod io;
mod proxy_protocol;
mod serve;
mod service;
pub mod shutdown;
mod stream;
mod tls;
mod worker;

use std::{error::Error, net::SocketAddr, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use ipnet::IpNet;

pub use self::{
    bind::{BindError, Listeners, bind},
    serve::{ServeError, Served, Server},
    shutdown::Shutdown,
    tls::CertificateError,
};
use crate::handle::Peer;

/// `[server]`, validated: what concerns sockets.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// Connections of visitors at a time; more wait in the kernel's queue.
    pub connections: u32,
    /// Of one client; more are closed. Not counted for `trusted_proxies`.
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

/// What the gateway does with a request.
pub trait Handler: Clone + Send + Sync + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static;

    /// Answers one request.
    fn handle(&self, peer: Peer, request: Request<Incoming>) -> impl Future<Output = Response<Self::Body>> + Send;

    /// The handler of one worker, asked for once on the worker's own thread, inside its runtime: the place for what a
    /// core keeps to itself, such as its connections to the upstreams.
    #[must_use]
    fn for_worker(&self, _worker: usize) -> Self {
        self.clone()
    }
}

/// What a peer may use up before it is cut off. The defaults are those of `[limits]`; each answers an attack.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For the PROXY protocol header, from accept on.
    pub proxy_header: Duration,
    /// For the TLS handshake (one that is begun and left, or comes byte by byte).
    pub handshake: Duration,
    /// For a request head, from its first byte to its last (slowloris); on a new connection from accept on.
    pub head: Duration,
    /// How long a connection may be open without a request.
    pub idle: Duration,
    /// How long a peer may take none of the bytes that are ready for it (a slow reader).
    pub stalled: Duration,
    /// How long a connection that we closed is read on, so that the peer sees our last answer and not a reset.
    pub linger: Duration,
    /// How long an idle connection stays open after shutdown began, for the request that may be on its way.
    pub parting: Duration,
    /// Bytes of a request's head (HTTP/1.1) or header list (HTTP/2).
    pub head_bytes: u32,
    /// Header lines of a request.
    pub head_lines: u32,
    /// Streams of an HTTP/2 connection at a time (rapid reset).
    pub streams: u32,
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
            parting: Duration::from_secs(1),
            head_bytes: 32 * 1024,
            head_lines: 100,
            streams: 128,
        }
    }
}

#[cfg(test)]
mod tests;
