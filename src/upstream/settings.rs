//! An upstream's part of the configuration, and the deadlines of one request.

use std::{path::PathBuf, time::Duration};

use super::health::EjectionRule;

/// One `[upstreams.NAME]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name by which routes and calls refer to it.
    pub name: String,
    /// The addresses it listens on; at least one.
    pub targets: Vec<Target>,
    /// The token it gets in `Authorization`.
    pub bearer: Bearer,
    /// Names of the gateway's own cookies that are forwarded to it (never the refresh token's).
    pub cookies: Vec<String>,
    /// Time for a new connection, TLS included.
    pub connect_timeout: Duration,
    /// Time from the whole request sent to the first byte of the answer, unless the route has its own.
    pub timeout: Duration,
    /// When a target gets no requests for a while.
    pub eject: EjectionRule,
    /// How old a connection may be to get another request.
    pub max_connection_age: Duration,
}

/// The token an upstream gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bearer {
    /// The access token.
    Access,
    /// The ID token.
    Id,
    /// None.
    None,
}

/// One address of an upstream.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// `http://host:port`.
    Http {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `https://host:port`; the certificate is checked against the system's trust store.
    Https {
        /// Host name or address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:/path`.
    Unix(PathBuf),
}

/// How long a request may wait.
#[derive(Clone, Copy, Debug)]
pub struct RequestDeadlines {
    /// From the whole request sent to the first byte of the answer.
    pub first_byte: Duration,
    /// The longest time without a byte of a body, in either direction. A body as a whole has no time limit.
    pub idle: Duration,
    /// Bytes per second that the visitor has to send on average while its body is awaited and no answer has begun; 0
    /// for no minimum.
    pub body_rate: u64,
}
