//! The backends: their targets, connections, balancing, and the forwarding of a request. Knows no cookie, no store, no session: it is handed a bearer value.

mod answer;
mod body;
mod connect;
mod forward;
pub mod headers;
mod connection;
mod pool;
pub mod replay;
mod target;
#[cfg(test)]
mod testing;
mod tunnel;
mod upgrade;
mod websocket;

use std::{path::PathBuf, time::Duration};

use http::HeaderName;

pub use self::{
    answer::{AnswerBody, AnswerError},
    body::{RequestBody, RequestError},
    forward::{AnswerFault, Deadlines, ForwardError, Stage, Upstream},
    target::TargetState,
    tunnel::{TunnelEnd, TunnelOutcome, tunnel},
    upgrade::{Switched, UpgradeAnswer},
};

/// One `[upstreams.NAME]`, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name routes and calls use.
    pub name: String,
    /// Where its targets listen; at least one.
    pub targets: Vec<Target>,
    /// What it gets in `Authorization`.
    pub bearer: Bearer,
    /// Names of our cookies that are let through (never the refresh token's).
    pub cookies: Vec<String>,
    /// For the connection to be made.
    pub connect_timeout: Duration,
    /// To the first byte of the answer.
    pub timeout: Duration,
}

/// Which token an upstream gets.
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

/// What a route changes in headers (`headers = { set, remove }`): `set` on the request, `remove` on both the request and the answer.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// Name and template; placeholders are `{claims.NAME}` only.
    pub set: Vec<(HeaderName, HeaderTemplate)>,
    /// Names removed.
    pub remove: Vec<HeaderName>,
}

/// A header value made of literal text and claims.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderTemplate(pub Vec<HeaderPiece>);

/// A piece of a [`HeaderTemplate`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HeaderPiece {
    /// Text as it is.
    Literal(String),
    /// The claim of this name.
    Claim(String),
}
