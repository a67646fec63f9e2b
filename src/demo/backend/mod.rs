//! The backend that a team has today: it issues short-lived tokens, rotates refresh tokens, and has an API behind Bearer.

mod api;
mod authority;
mod control;
mod journal;
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
    journal::{Event, Recorded},
    outbox::Letter,
    trust::Trust,
};
use self::{
    journal::{Journal, Log},
    trust::{TrustedGateway, TrustedKeys},
};
use super::{
    families::{Families, Rotation},
    page,
    people::Person,
    provider::StartError,
    reply,
    script::{Fault, FaultSwitch, Outage, Script, Scripted},
    server::{self, Hangup, Reply, Server, lock},
    signing::SigningKey,
};
use crate::{clock::Clock, secret::Random};

/// How the backend is set up.
#[derive(Clone, Debug)]
pub struct BackendOptions {
    /// Now.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Whose ID tokens count at the exchange.
    pub trust: Trust,
    /// Which access tokens open the API.
    pub bearer: BearerCheck,
    /// Life of an access token at first; [`Backend::set_access_token_life`] changes it.
    pub access_token_life: Duration,
    /// Life of a refresh token.
    pub refresh_token_life: Duration,
    /// How refresh tokens come and go.
    pub refresh_token_via: RefreshTokenVia,
    /// Whether `/api/headers` and `/api/echo` show the Bearer as `Bearer ***`, so that the page's scripts never see it.
    pub mask_bearer: bool,
}

impl BackendOptions {
    /// Access tokens of 20 s, rotating refresh tokens in the body, its own Bearer check.
    pub fn new(clock: Clock, random: Random, trust: Trust) -> Self {
        Self {
            clock,
            random,
            trust,
            bearer: BearerCheck::Own,
            access_token_life: Duration::from_secs(20),
            refresh_token_life: Duration::from_secs(30 * 24 * 3600),
            refresh_token_via: RefreshTokenVia::Body,
            mask_bearer: false,
        }
    }
}

/// Which access tokens open the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BearerCheck {
    /// The backend's own.
    Own,
    /// Those of the trusted provider (for a gateway whose authority is the provider).
    Provider,
}

/// How a refresh token is brought and given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefreshTokenVia {
    /// `refreshToken` in the JSON body.
    Body,
    /// The cookie `refreshToken`, and a `Set-Cookie` with the next.
    Cookie,
}

/// What the backend was asked, and what came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct BackendCounters {
    /// Refresh calls, those that met a fault included.
    pub refresh_calls: u64,
    /// Those that brought tokens.
    pub refreshes_ok: u64,
    /// Void refresh tokens shown again.
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
    /// Requests to the API that were let in.
    pub served: u64,
    /// Requests to the API that got 401.
    pub unauthorized: u64,
    /// Requests seen to come again with a newer token after a 401.
    pub replays: u64,
    /// Bytes that uploads brought.
    pub uploaded: u64,
    /// All requests by path, without the query (at most 256 paths).
    pub requests: BTreeMap<String, u64>,
}

/// A running backend. Clones are the same backend; it stops with [`Backend::stop`] or when the last one is dropped.
#[derive(Clone)]
pub struct Backend {
    address: SocketAddr,
    state: Arc<State>,
    server: Arc<Server>,
    outbox: Arc<Server>,
    outbox_url: Arc<str>,
}

pub(super) struct State {
    options: BackendOptions,
    origin: String,
    key: SigningKey,
    trusted: TrustedKeys,
    gateway: TrustedGateway,
    families: Families<Grant>,
    counters: watch::Sender<BackendCounters>,
    journal: Journal,
    log: Log,
    /// Of the authority's endpoints, not of the API.
    fault: FaultSwitch,
    refresh_script: Script<()>,
    knobs: Mutex<Knobs>,
    stopped: CancellationToken,
}

/// What tests and the page's buttons turn.
struct Knobs {
    access_token_life: Duration,
    refresh_delay: Duration,
    rotation: Rotation,
    unauthorized_next: u64,
    unauthorized_always: bool,
}

/// What a login granted.
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
        let state = Arc::new(State {
            origin: format!("http://{address}"),
            key: SigningKey::generate(&options.random)?,
            trusted: TrustedKeys::new(options.trust.clone())?,
            gateway: TrustedGateway::default(),
            families: Families::new(options.random.clone(), options.refresh_token_life),
            counters: watch::Sender::default(),
            journal: Journal::new(options.clock.clone()),
            log: Log::default(),
            fault: FaultSwitch::new(options.clock.clone()),
            refresh_script: Script::new(),
            knobs: Mutex::new(Knobs {
                access_token_life: options.access_token_life,
                refresh_delay: Duration::ZERO,
                rotation: Rotation::On,
                unauthorized_next: 0,
                unauthorized_always: false,
            }),
            stopped: stopped.clone(),
            options,
        });
        let (outbox_listener, outbox_address) = server::bind().await?;
        let outbox = Server::start(outbox_listener, Arc::new(outbox::Outbox(state.clone())), stopped.clone());
        let server = Server::start(listener, state.clone(), stopped);
        let outbox_url = format!("http://{outbox_address}/outbox").into();
        Ok(Self { address, state, server: Arc::new(server), outbox: Arc::new(outbox), outbox_url })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, also the issuer of its tokens.
    pub fn origin(&self) -> &str {
        &self.state.origin
    }

    /// Where SMS and e-mails are posted instead of being sent.
    pub fn outbox_url(&self) -> &str {
        &self.outbox_url
    }

    /// The messages that arrived lately, oldest first.
    pub fn letters(&self) -> Vec<Letter> {
        self.events().into_iter().filter_map(|event| event.letter).collect()
    }

    /// From now on a one-time code counts only with an assertion (`vestibule-assertion`) that the gateway at this address signed.
    pub fn expect_assertions_of(&self, gateway: &str) {
        self.state.gateway.set(gateway);
    }

    /// Its next `count` requests to the API get 401.
    pub fn unauthorized_next(&self, count: u64) {
        lock(&self.state.knobs).unauthorized_next = count;
    }

    /// Every request to the API gets 401, or no longer.
    pub fn set_unauthorized_always(&self, always: bool) {
        lock(&self.state.knobs).unauthorized_always = always;
    }

    /// Every access token issued so far gets 401 from now on; newer ones are good.
    pub fn reject_issued_tokens(&self) {
        self.state.families.reject_issued();
    }

    /// How the authority (login, exchange, refresh, sign-out) fails from now on.
    pub fn set_authority_fault(&self, fault: Fault) {
        self.state.fault.set(fault);
    }

    /// The same, for so long by the demo's clock.
    pub fn set_authority_fault_for(&self, fault: Fault, span: Duration) {
        self.state.fault.set_for(fault, span);
    }

    /// A refresh is answered so much later; its token is void at once.
    pub fn set_refresh_delay(&self, delay: Duration) {
        lock(&self.state.knobs).refresh_delay = delay;
    }

    /// The next refresh gets this answer; further ones queue behind it.
    pub fn next_refresh(&self, scripted: Scripted) {
        self.state.refresh_script.push((), scripted);
    }

    /// Whether a refresh makes the old refresh token void; without rotation the answer carries none.
    pub fn set_rotation(&self, rotates: bool) {
        lock(&self.state.knobs).rotation = if rotates { Rotation::On } else { Rotation::Off };
    }

    /// Life of the access tokens issued from now on.
    pub fn set_access_token_life(&self, life: Duration) {
        lock(&self.state.knobs).access_token_life = life;
    }

    /// Ends all of a person's sessions at the backend, by e-mail address; how many there were.
    pub fn revoke_email(&self, email: &str) -> usize {
        self.state.families.revoke_where(|grant| grant.person.email == email)
    }

    /// What was asked so far.
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

    /// Waits until the counters say so.
    pub async fn until(&self, mut said: impl FnMut(&BackendCounters) -> bool) {
        // The sender lives in this backend's own state, so the channel is open.
        let _ = self.state.counters.subscribe().wait_for(|counters| said(counters)).await;
    }

    /// The latest requests (at most 1000), oldest first.
    pub fn recorded(&self) -> Vec<Recorded> {
        self.state.log.all()
    }

    /// The latest requests to that path, oldest first.
    pub fn recorded_at(&self, path: &str) -> Vec<Recorded> {
        self.recorded().into_iter().filter(|request| request.path == path).collect()
    }

    /// Forgets the recorded requests.
    pub fn forget_recorded(&self) {
        self.state.log.clear();
    }

    /// What happened lately (at most 500 events), oldest first.
    pub fn events(&self) -> Vec<Event> {
        self.state.journal.after(0)
    }

    /// How many connections it accepted.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Closes the socket and every connection.
    pub fn stop(&self) {
        self.server.stop();
        self.outbox.stop();
    }
}

/// Bodies are collected up to this, and the connection is closed on a longer one; `/api/upload` and `/api/echo?stream=1` take any.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Paths counted one by one.
const MAX_PATHS: usize = 256;

impl server::Service for State {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Hangup> {
        let path = request.uri().path().to_owned();
        self.counters.send_modify(|counters| counters.count(&path));
        if api::streams_its_body(&request) {
            self.log.push(request.method(), request.uri(), request.headers(), &bytes::Bytes::new());
            return self.api_streaming(request).await;
        }
        let (head, upgrade, body) = split(request);
        let Ok(body) = reply::collect(body, MAX_BODY).await else { return Err(Hangup) };
        self.log.push(&head.method, &head.uri, &head.headers, &body);
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
            _ => Ok(page::answer(&head.method, &path, &head.headers)),
        }
    }
}

/// Taking the upgrade out of the head lets the body be read first.
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
