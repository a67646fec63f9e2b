//! The parts that answering a request needs.

use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::routing::Routing;
use crate::{
    auth_js::AuthJs,
    clock::Clock,
    endpoint::Guesses,
    login::Logins,
    otp::Otps,
    respond::Responder,
    session::Sessions,
    telemetry::{AccessLog, Metrics, RequestIds},
    upstream::{Upstream, replay},
};

/// The parts that answering a request needs, built once per configuration.
pub struct RequestHandler {
    /// Finds the route or own endpoint, before the session is read.
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
    /// The endpoints of Auth.js; `None` without `session.compat`.
    pub auth_js: Option<AuthJs>,
    /// One-time codes.
    pub otps: Arc<Otps>,
    /// The limits on guessing.
    pub guesses: Arc<Guesses>,
    /// The body of `/.well-known/jwks.json`.
    pub jwks: Bytes,
    /// Turns failures and contents into responses.
    pub responder: Responder,
    /// Bytes of one request's body that are recorded for a second try at most (`limits.replay_body`).
    pub replay_body: usize,
    /// The budget for recorded bodies of all requests together.
    pub replay_budget: Arc<replay::Budget>,
    /// Generates request ids.
    pub request_ids: RequestIds,
    /// `None` where no log is set up, as in tests.
    pub access_log: Option<AccessLog>,
    /// Counts answers by status, and second tries.
    pub metrics: Arc<Metrics>,
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// The runtime of own endpoints: what they begin is completed even if the client disconnects.
    pub background: Handle,
    /// Cancelled when the process begins to drain.
    pub draining: CancellationToken,
    /// Upgraded connections, which outlive their HTTP connection.
    pub tunnels: TaskTracker,
}
