//! A typical backend behind the gateway: it issues short-lived access tokens, rotates refresh tokens, and has an API
//! that requires a Bearer token.

mod api;
mod authority;
mod control;
mod journal;
mod message;
mod outbox;
mod streams;
mod trust;
mod websocket;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, StatusCode};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(super) use self::authority::AUDIENCE;
pub use self::{
    authority::{EMAIL, PASSWORD},
    journal::Event,
    message::Message,
    trust::TrustedProvider,
};
use self::{
    journal::Journal,
    trust::{TrustedGateway, TrustedKeys},
};
use super::{
    families::Families,
    fault::{Fault, FaultSwitch, Outage},
    hook::{BackendHook, NoHook},
    page::{self, PageKind},
    people::Person,
    provider::StartError,
    reply,
    server::{self, Hangup, LoopbackServer, Reply, lock},
    signing::SigningKey,
};
use crate::{clock::Clock, secret::Random};

/// How the backend is set up.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// The source of tokens.
    pub random: Random,
    /// The provider whose ID tokens are accepted.
    pub trusted_provider: TrustedProvider,
    /// Which access tokens the API accepts.
    pub bearer: BearerCheck,
    /// Lifetime of an access token.
    pub access_token_life: Duration,
    /// Lifetime of a refresh token.
    pub refresh_token_life: Duration,
    /// How refresh tokens are sent and received.
    pub refresh_token_via: RefreshTokenVia,
    /// Whether `/api/headers` and `/api/echo` show the Bearer token as `***`, so that the page's scripts cannot read
    /// it.
    pub mask_bearer: bool,
    /// The page at `/`.
    pub page: PageKind,
    /// The changes that a test makes.
    pub hook: Arc<dyn BackendHook>,
}

impl BackendOptions {
    /// Access tokens of 20 s, rotating refresh tokens in the body, an API that accepts the backend's own access tokens.
    pub fn new(clock: Clock, random: Random, trusted_provider: TrustedProvider) -> Self {
        Self {
            clock,
            random,
            trusted_provider,
            bearer: BearerCheck::Own,
            access_token_life: Duration::from_secs(20),
            refresh_token_life: Duration::from_secs(30 * 24 * 3600),
            refresh_token_via: RefreshTokenVia::Body,
            mask_bearer: false,
            page: PageKind::Demo,
            hook: Arc::new(NoHook),
        }
    }
}

/// Which access tokens the API accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BearerCheck {
    /// Those that the backend issued.
    Own,
    /// Those of the trusted provider (for a gateway whose authority is the provider).
    Provider,
}

/// How a refresh token is sent and received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshTokenVia {
    /// `refreshToken` in the JSON body.
    Body,
    /// The cookie `refreshToken`; the answer sets the next one with `Set-Cookie`.
    Cookie,
}

/// The number of requests of each kind, and of their results.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BackendCounters {
    /// Refresh calls, including those during an outage.
    pub refresh_calls: u64,
    /// Refreshes that were answered with tokens.
    pub refreshes_ok: u64,
    /// Refresh calls with a token that was used before.
    pub reuse_detected: u64,
    /// Sessions opened for an ID token or a profile.
    pub exchanges: u64,
    /// Sessions opened with e-mail and password.
    pub credential_logins: u64,
    /// Sessions opened for a one-time code that the gateway verified.
    pub code_logins: u64,
    /// Messages that arrived in the outbox.
    pub messages: u64,
    /// Sign-outs.
    pub signouts: u64,
    /// Requests to the API with an accepted token.
    pub served: u64,
    /// Requests to the API that got 401.
    pub unauthorized: u64,
    /// Requests repeated with a newer token after a 401.
    pub replays: u64,
    /// Bytes received in uploads.
    pub uploaded: u64,
    /// All requests by path, without the query (at most 256 paths).
    pub requests: BTreeMap<String, u64>,
}

/// A running backend. Clones are the same backend; it stops with [`Backend::stop`] or when the last one is dropped.
#[derive(Clone)]
pub struct Backend {
    address: SocketAddr,
    state: Arc<BackendState>,
    server: Arc<LoopbackServer>,
    outbox: Arc<LoopbackServer>,
    outbox_url: Arc<str>,
}

pub(super) struct BackendState {
    options: BackendOptions,
    origin: String,
    key: SigningKey,
    trusted: TrustedKeys,
    gateway: TrustedGateway,
    families: Families<Grant>,
    counters: watch::Sender<BackendCounters>,
    journal: Journal,
    /// The outage of the authority's endpoints; the API is not affected.
    fault: FaultSwitch,
    orders: Mutex<Orders>,
    stopped: CancellationToken,
}

/// What buttons and tests have ordered for the next requests.
#[derive(Debug, Default)]
struct Orders {
    /// How many of the next requests to the API get 401.
    unauthorized: u64,
    /// Whether the next refresh is refused.
    refuse_refresh: bool,
    /// How long the answer to the next refresh takes.
    refresh_delay: Option<Duration>,
    /// The life of the next access token.
    token_life: Option<Duration>,
}

/// The grant of a login.
#[derive(Clone, Debug)]
struct Grant {
    person: Person,
    device_id: Option<String>,
}

impl Backend {
    /// Starts a backend at a port of the system's choice.
    pub async fn start(options: BackendOptions) -> Result<Self, StartError> {
        let (listener, address) = server::bind().await?;
        let stopped = CancellationToken::new();
        let state = Arc::new(BackendState {
            origin: format!("http://{address}"),
            key: SigningKey::generate(&options.random)?,
            trusted: TrustedKeys::new(options.trusted_provider.clone())?,
            gateway: TrustedGateway::default(),
            families: Families::new(options.random.clone(), options.refresh_token_life),
            counters: watch::Sender::default(),
            journal: Journal::new(options.clock.clone()),
            fault: FaultSwitch::new(options.clock.clone()),
            orders: Mutex::default(),
            stopped: stopped.clone(),
            options,
        });
        let (outbox_listener, outbox_address) = server::bind().await?;
        let outbox = LoopbackServer::start(outbox_listener, Arc::new(outbox::Outbox(state.clone())), stopped.clone());
        let server = LoopbackServer::start(listener, state.clone(), stopped);
        let outbox_url = format!("http://{outbox_address}/outbox").into();
        Ok(Self { address, state, server: Arc::new(server), outbox: Arc::new(outbox), outbox_url })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, which is also the issuer of its tokens.
    pub fn origin(&self) -> &str {
        &self.state.origin
    }

    /// Where SMS and e-mails are posted instead of being sent.
    pub fn outbox_url(&self) -> &str {
        &self.outbox_url
    }

    /// The latest messages, oldest first.
    pub fn messages(&self) -> Vec<Message> {
        self.events().into_iter().filter_map(|event| event.message).collect()
    }

    /// From now on logins with a one-time code require an assertion (`vestibule-assertion`) of the gateway at this
    /// origin.
    pub fn expect_assertions_of(&self, gateway: &str) {
        self.state.gateway.set(gateway);
    }

    /// The next `count` requests to the API get 401.
    pub fn unauthorized_next(&self, count: u64) {
        lock(&self.state.orders).unauthorized = count;
    }

    /// Every access token issued so far gets 401 from now on.
    pub fn reject_issued_tokens(&self) {
        self.state.families.reject_issued();
    }

    /// How the authority (login, exchange, refresh, sign-out) fails until the next call.
    pub fn set_authority_fault(&self, fault: Fault) {
        self.state.fault.set(fault);
    }

    /// How the authority fails during `span`, by the demo's clock.
    pub fn set_authority_fault_for(&self, fault: Fault, span: Duration) {
        self.state.fault.set_for(fault, span);
    }

    /// Whether a request to the app behind `vestibule dev` gets 401 in the app's place. Events say so, and when the
    /// request comes again.
    pub(super) fn refuses_for_front(&self, request: &str) -> bool {
        let journal = &self.state.journal;
        if self.state.is_ordered_unauthorized() {
            journal.refused(FRONT, request);
            journal.push(Event::new("unauthorized").path(request).reason("told_to"));
            return true;
        }
        if journal.is_repeated(FRONT, request) {
            journal.push(Event::new("replay").path(request));
        }
        false
    }

    /// Ends all sessions of the person with that e-mail address; returns their number.
    pub fn revoke_email(&self, email: &str) -> usize {
        self.state.families.revoke_where(|grant| grant.person.email == email)
    }

    /// The counters so far.
    pub fn counters(&self) -> BackendCounters {
        self.state.counters.borrow().clone()
    }

    /// Refresh calls so far.
    pub fn refresh_calls(&self) -> u64 {
        self.state.counters.borrow().refresh_calls
    }

    /// Requests to that path so far.
    pub fn requests(&self, path: &str) -> u64 {
        self.state.counters.borrow().requests.get(path).copied().unwrap_or(0)
    }

    /// Waits until `reached` returns true for the counters.
    pub async fn until(&self, mut reached: impl FnMut(&BackendCounters) -> bool) {
        // It cannot fail: this backend owns the sender.
        let _ = self.state.counters.subscribe().wait_for(|counters| reached(counters)).await;
    }

    /// The latest events (at most 500), oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.state.journal.after(0)
    }

    /// Number of accepted connections.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Closes the listening sockets and every connection.
    pub fn stop(&self) {
        self.server.stop();
        self.outbox.stop();
    }
}

/// Stands for the family of requests to the app behind `vestibule dev`, which checks no token; families begin at 1.
const FRONT: u64 = 0;
/// Longest request body, in bytes; on a longer one the connection is closed. `/api/upload` and `/api/echo?stream=1`
/// have no limit.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Most different paths that are counted.
const MAX_PATHS: usize = 256;

impl server::Service for BackendState {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let path = request.uri().path().to_owned();
        self.counters.send_modify(|counters| counters.count(&path));
        if api::streams_its_body(&request) {
            self.options.hook.received(request.method(), request.uri(), request.headers(), &bytes::Bytes::new());
            return self.api_streaming(request).await;
        }
        let (head, upgrade, body) = split(request);
        let Ok(body) = reply::collect(body, MAX_BODY).await else { return Err(Hangup) };
        self.options.hook.received(&head.method, &head.uri, &head.headers, &body);
        match path.split('/').nth(1) {
            Some("api" | "public") => self.api(&head, upgrade, body).await,
            Some("control") => Ok(self.control(&head)),
            _ if authority::is_endpoint(&path) => match self.fault.pass().await {
                Ok(()) => self.authority(&head, &body).await,
                Err(Outage::Close) => Err(Hangup),
                Err(Outage::Unavailable) => {
                    self.journal.push(Event::new("unavailable").path(&path));
                    Ok(reply::error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "the authority is down"))
                }
            },
            _ if path == "/.well-known/jwks.json" => Ok(reply::json(StatusCode::OK, &self.key.jwks())),
            _ => Ok(page::answer(self.options.page, &head.method, &path, &head.headers)),
        }
    }
}

impl BackendState {
    /// Whether this request to the API gets 401 because a button or a test has ordered it.
    fn is_ordered_unauthorized(&self) -> bool {
        let mut orders = lock(&self.orders);
        let is_ordered = orders.unauthorized > 0;
        orders.unauthorized = orders.unauthorized.saturating_sub(1);
        is_ordered
    }
}

/// Takes the upgrade out of the request, so that the body can be read before the upgrade is answered.
fn split(mut request: Request<Incoming>) -> (http::request::Parts, hyper::upgrade::OnUpgrade, Incoming) {
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, body) = request.into_parts();
    (head, upgrade, body)
}

impl BackendCounters {
    fn count(&mut self, path: &str) {
        self.refresh_calls += u64::from(path == "/auth/refresh");
        if let Some(count) = self.requests.get_mut(path) {
            *count += 1;
        } else if self.requests.len() < MAX_PATHS {
            self.requests.insert(path.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests;
