//! Where requests enter: sockets, TLS, PROXY protocol, limits and deadlines, shutdown.
//!
//! `bind` → `accept` (one per address) → `worker` (one per core) → `negotiate` (PROXY header, TLS, HTTP version) →
//! `http1` or `http2` → [`Handler`].

mod accept;
mod activity;
mod admin;
mod bind;
mod clients;
mod connection;
mod deadline;
pub mod files;
mod frames;
mod handler;
mod head;
mod hpack;
mod http1;
mod http2;
mod io;
mod negotiate;
mod proxy_protocol;
mod serve;
mod service;
mod settings;
pub mod shutdown;
mod slot;
mod sniff;
mod stream;
mod tls;
mod worker;

pub use self::{
    bind::{BindError, Listeners, bind},
    handler::Handler,
    serve::{RunningServer, ServeError, ServerParts},
    settings::{Limits, Settings, TlsFiles},
    shutdown::Shutdown,
    tls::CertificateError,
};

#[cfg(test)]
mod tests;
