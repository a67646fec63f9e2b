//! Everything that a request needs.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::routing::Routing;
use crate::{
    clock::Clock,
    endpoint::Guesses,
    login::Logins,
    otp::Otps,
    respond::Responder,
    session::Sessions,
    telemetry::{AccessLog, Metrics, RequestIds},
    upstream::{Upstream, replay},
};

/// Everything that a request needs, built once from one configuration.
pub struct RequestHandler {
    /// Decides what a request meets, before its session is looked at.
    pub routing: Routing,
    /// Opens, refreshes and ends sessions.
    pub sessions: Sessions,
    /// The upstreams, by the index that routes use.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Their names, for the access log.
    pub upstream_names: Vec<Arc<str>>,
    /// The upstream that is the token authority too: a second 401 from it ends the session.
    pub authority_upstream: Option<usize>,
    /// The logins and the logout.
    pub logins: Arc<Logins>,
    /// One-time codes.
    pub otps: Arc<Otps>,
    /// The limits on guessing.
    pub guesses: Arc<Guesses>,
    /// The body of `/.well-known/jwks.json`.
    pub jwks: Bytes,
    /// Turns failures and contents into responses.
    pub responder: Responder,
    /// Most bytes of one request's body that are kept for a second try (`limits.replay_body`).
    pub replay_body: usize,
    /// Bytes of bodies that are kept at the same time, for all requests.
    pub replay_budget: Arc<replay::Budget>,
    /// Makes request ids.
    pub request_ids: RequestIds,
    /// The access log, if there is one.
    pub access_log: Option<AccessLog>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// The runtime of own endpoints: what they began is ended even if the client hangs up.
    pub background: Handle,
    /// Cancelled when the process begins to drain.
    pub draining: CancellationToken,
    /// Upgraded connections, which outlive their HTTP connection.
    pub tunnels: TaskTracker,
}
