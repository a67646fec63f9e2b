//! Settings → running parts: the only place that chooses concrete types (which store, which clock, which sender).

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::TaskTracker;

use crate::{
    auth_js::AuthJs,
    authority::{self, Authority},
    call::{AssertionSigner, Backend, Caller},
    clock::Clock,
    config::Config,
    endpoint::{Guesses, ReturnTo},
    handle::{Body, Peer, RequestHandler, Routing},
    head_memory::HeadGuard,
    hygiene::{self, Hygiene},
    listen::{self, Handler, RunningServer, ServerParts, Shutdown},
    login::Logins,
    oidc::{self, Provider, Reachability},
    otp::{
        self, Otps,
        deliver::{MailSender, SmsSender},
    },
    pages::Pages,
    respond::{self, Responder, StrictTransport},
    scheme::Scheme,
    seal::{KeyRing, SealKey},
    secret::Random,
    session::Sessions,
    signing::Signer,
    store::{self, Store},
    telemetry::{self, AccessLog, AuthorityStatus, DependencyStatus, Metrics, Readiness, RequestIds},
    upstream::{Upstream, replay},
};

/// Threads for what must not depend on a visitor or a busy core: refreshes, logins, calls to the authority.
const BACKGROUND_THREADS: usize = 2;

/// How long a start waits for the store. Until the store has reported which sessions ended, the instance would accept
/// their tokens. An unreachable store does not prevent the start.
const WAIT_FOR_STORE: Duration = Duration::from_secs(1);

/// The parts that live as long as the process, through every reload.
struct Process {
    clock: Clock,
    random: Random,
    store: Store,
    telemetry: Telemetry,
    request_ids: RequestIds,
    replay_budget: Arc<replay::Budget>,
    background: Handle,
    shutdown: Shutdown,
    streams: TaskTracker,
}

/// The metrics and the access log.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// `None` where no log is set up, as in tests.
    pub access_log: Option<AccessLog>,
}

/// The parts built from one configuration; a reload replaces them.
struct Configured {
    handler: Arc<RequestHandler>,
    providers: Vec<Arc<Provider>>,
}

/// A running gateway. Dropping it cuts every connection; [`Running::stop`] drains them first.
pub struct Running {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    health_address: Option<SocketAddr>,
    process: Process,
    current: Arc<ArcSwap<Configured>>,
    listen: listen::Settings,
    telemetry: telemetry::Settings,
    store: store::Settings,
    /// The session keys generated at start, kept over reloads; `None` if the file has keys.
    made_keys: Option<Vec<SealKey>>,
    server: Option<RunningServer>,
    runtime: Option<Background>,
}

/// Binds the sockets of `config`, builds every part and serves. All parts use this `clock` and this `random`.
pub fn start(config: Config, clock: Clock, random: Random, telemetry: Telemetry) -> anyhow::Result<Running> {
    install_cryptography();
    let listeners = listen::bind(&config.listen)?;
    let runtime = Background::start()?;
    let store = store::open(&config.store, &runtime.handle, &random, &clock).context("[store]")?;
    wait_for_store(&store, &runtime.handle);
    let process = Process {
        request_ids: RequestIds::new(&random),
        clock,
        random,
        store,
        telemetry,
        replay_budget: replay::Budget::new(replay::DEFAULT_BUDGET),
        background: runtime.handle.clone(),
        shutdown: Shutdown::new(),
        streams: TaskTracker::new(),
    };
    let (address, admin_address, health_address) =
        (listeners.address()?, listeners.admin_address(), listeners.health_address());
    let listen = config.listen.clone();
    let (logs, store_settings) = (config.telemetry.clone(), config.store.clone());
    let made_keys = config.session.key_was_made.then(|| config.session.keys.clone());
    let current = Arc::new(ArcSwap::from_pointee(build(config, &process)?));
    let parts = ServerParts {
        listeners,
        settings: listen.clone(),
        workers: ServerParts::<NewestHandler>::default_workers(),
        handler: NewestHandler { current: current.clone() },
        pages: admin_pages(&process, &current),
        metrics: process.telemetry.metrics.clone(),
        shutdown: process.shutdown.clone(),
        background: process.background.clone(),
    };
    let server = parts.serve()?;
    Ok(Running {
        address,
        admin_address,
        health_address,
        process,
        current,
        listen,
        telemetry: logs,
        store: store_settings,
        made_keys,
        server: Some(server),
        runtime: Some(runtime),
    })
}

impl Running {
    /// The address that visitors connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of the admin listener; `None` without `admin_listen`.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The address of the health listener; `None` without `health_listen`.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// The handle that stops the gateway.
    pub fn shutdown(&self) -> &Shutdown {
        &self.process.shutdown
    }

    /// Answers new requests by `config`; requests in progress keep the settings they began with. `[telemetry]`,
    /// `[store]` and the settings of sockets keep their old values until a restart.
    pub fn reload(&self, mut config: Config) -> anyhow::Result<()> {
        if config.telemetry != self.telemetry {
            tracing::warn!("changes in [telemetry] need a restart");
        }
        if config.store != self.store {
            tracing::warn!("changes in [store] need a restart");
        }
        if let (true, Some(keys)) = (config.session.key_was_made, &self.made_keys) {
            config.session.keys.clone_from(keys);
        }
        if config.listen != self.listen {
            tracing::warn!(
                "changes of addresses, TLS files and drain times in [server], and of the [limits] documented so, need a restart"
            );
        }
        self.current.store(Arc::new(build(config, &self.process)?));
        Ok(())
    }

    /// Waits for the shutdown, then until every connection has ended or was cut.
    pub async fn ended(mut self) {
        let Some(server) = self.server.take() else { return };
        server.ended().await;
        self.process.streams.close();
        // Tunnels were asked to close when draining began; each has two seconds for its closing handshake.
        if tokio::time::timeout(Duration::from_secs(3), self.process.streams.wait()).await.is_err() {
            tracing::warn!("upgraded connections were cut");
        }
    }

    /// Begins the shutdown and waits for its end.
    pub async fn stop(self) {
        self.process.shutdown.begin();
        self.ended().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.process.shutdown.cut();
        // Dropped before the parts that its tasks use.
        self.runtime.take();
    }
}

/// The background runtime. Dropping it waits for nothing, so it may be dropped anywhere, also if a start fails.
struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    fn start() -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(BACKGROUND_THREADS)
            .thread_name("background")
            .enable_all()
            .build()
            .context("the background runtime does not start")?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn wait_for_store(store: &Store, background: &Handle) {
    let (sender, answer) = std::sync::mpsc::channel();
    let health = store.health.clone();
    background.spawn(async move { sender.send(health.probe().await) });
    match answer.recv_timeout(WAIT_FOR_STORE) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the store is unreachable"),
        Err(_) => tracing::warn!("the store does not answer yet"),
    }
}

/// Makes aws-lc-rs the cryptography of rustls and jsonwebtoken, once per process; a second call changes nothing.
pub fn install_cryptography() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Gives each request to the handler of the newest configuration.
#[derive(Clone)]
struct NewestHandler {
    current: Arc<ArcSwap<Configured>>,
}

impl Handler for NewestHandler {
    type Peer = Peer;
    type Body = Body;

    fn peer(&self, address: IpAddr, scheme: Scheme) -> Peer {
        Peer::new(address, scheme)
    }

    fn awaits_body(&self, path: &str) -> bool {
        self.current.load().handler.routing.table.is_own(path)
    }

    async fn handle(&self, peer: Peer, request: Request<Incoming>, head: HeadGuard) -> Response<Body> {
        let handler = self.current.load().handler.clone();
        handler.handle(&peer, request, head).await
    }
}

fn build(config: Config, process: &Process) -> anyhow::Result<Configured> {
    let tls = Arc::new(upstream_tls()?);
    let upstreams: Vec<_> = config
        .upstreams
        .iter()
        .cloned()
        .map(|settings| {
            let counters = process.telemetry.metrics.upstream(&settings.name);
            Arc::new(Upstream::new(settings, tls.clone(), process.random.clone(), counters))
        })
        .collect();
    let http = oidc::http_client(config.answers)?;
    let providers: Vec<_> = config
        .providers
        .iter()
        .cloned()
        .map(|settings| {
            Provider::new(settings, http.clone(), process.clock.clone(), process.random.clone()).map(Arc::new)
        })
        .collect::<reqwest::Result<_>>()?;
    let table = config.table().map_err(|conflicts| {
        let all: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the routes do not fit together: {}", all.join("; "))
    })?;
    let own_calls = config.own_calls();
    let (clock, random) = (&process.clock, &process.random);
    let signer = Signer::new(config.signing_keys(), &config.login.public_url.origin().ascii_serialization());
    let jwks = signer.jwks().to_string().into();
    let caller = Caller::new(upstreams.iter().map(|upstream| Backend::of(upstream)).collect(), config.answers.answer)?;
    let assertions = AssertionSigner { signer: signer.clone(), clock: clock.clone(), random: random.clone() };
    let caller = Arc::new(caller.with_assertions(assertions));
    let ring = KeyRing::new(&config.session.keys, random.clone());
    let guesses = Guesses::new(config.guesses, &process.store, ring.mac_key(), clock.clone());
    let guesses = Arc::new(guesses);
    let parts = authority::Deps {
        caller: caller.clone(),
        providers: providers.clone(),
        http,
        store: process.store.clone(),
        ring: ring.clone(),
        signer: signer.clone(),
        clock: clock.clone(),
        random: random.clone(),
    };
    let authority = Arc::new(Authority::new(config.authority, parts)?);
    let authority_upstream = authority.upstream();
    let compat = config.session.compat;
    let sessions = Sessions::new(
        config.session,
        authority.clone(),
        process.store.clone(),
        process.clock.clone(),
        process.random.clone(),
        process.telemetry.metrics.clone(),
        process.background.clone(),
    );
    let login_page = config.login.login_page();
    let pages = Arc::new(Pages::new(&config.pages, &config.login.site()).context("[pages]")?);
    let deps = otp::Deps {
        base_path: config.login.base_path.clone(),
        ring,
        signer,
        caller,
        sessions: sessions.clone(),
        store: process.store.clone(),
        pages: pages.clone(),
        return_to: ReturnTo::new(&config.login.return_to()),
        login_page: login_page.clone(),
        clock: process.clock.clone(),
        random: process.random.clone(),
        metrics: process.telemetry.metrics.clone(),
    };
    let (metrics, login) = (process.telemetry.metrics.clone(), &config.login);
    let scheme = Scheme::named(login.public_url.scheme());
    let is_https = scheme == Some(Scheme::Https) && !hygiene::is_loopback(&login.public_url);
    let strict_transport = if is_https { StrictTransport::Required } else { StrictTransport::Off };
    let callback_url = compat.is_some() && login.login_page.is_some();
    let after_login = login.after_login.clone();
    let responder = respond::Settings { login_page, callback_url, after_login, strict_transport };
    let responder = Responder::new(responder, pages.clone(), metrics);
    let otps = Arc::new(otps(config.otp, deps, process)?);
    let login_settings = config.login.clone();
    let logins = Arc::new(Logins::new(
        config.login,
        providers.clone(),
        authority,
        sessions.clone(),
        pages.clone(),
        process.clock.clone(),
        process.random.clone(),
        process.telemetry.metrics.clone(),
        guesses.clone(),
    ));
    let auth_js = compat.map(|version| AuthJs::new(version, &login_settings, logins.clone(), sessions.clone(), pages));
    let handler = RequestHandler {
        routing: Routing { hygiene: Hygiene::new(config.hygiene), table, own_calls },
        upstream_names: upstreams.iter().map(|u| Arc::from(u.name())).collect(),
        upstreams,
        authority_upstream,
        sessions,
        logins,
        auth_js,
        otps,
        guesses,
        jwks,
        responder,
        replay_body: usize::try_from(config.replay_body).unwrap_or(usize::MAX),
        replay_budget: process.replay_budget.clone(),
        request_ids: process.request_ids.clone(),
        access_log: process.telemetry.access_log.clone(),
        metrics: process.telemetry.metrics.clone(),
        clock: process.clock.clone(),
        background: process.background.clone(),
        draining: process.shutdown.draining(),
        tunnels: process.streams.clone(),
    };
    Ok(Configured { handler: Arc::new(handler), providers })
}

/// One-time codes and their senders.
fn otps(settings: otp::Settings, deps: otp::Deps, process: &Process) -> anyhow::Result<Otps> {
    let http = otp::deliver::http_client()?;
    let (clock, random) = (process.clock.clone(), process.random.clone());
    let sms = settings
        .sms
        .as_ref()
        .map(|sms| SmsSender::new(sms.delivery.clone(), http.clone(), clock.clone(), random.clone()));
    let mail = settings
        .email
        .as_ref()
        .map(|email| MailSender::new(email.delivery.clone(), &http, clock.clone(), random.clone()));
    Ok(Otps::new(settings, otp::Senders { sms, mail: mail.transpose()? }, deps))
}

/// The pages of the admin and health listeners.
fn admin_pages(process: &Process, current: &Arc<ArcSwap<Configured>>) -> telemetry::AdminPages {
    let (current, shutdown, store) = (current.clone(), process.shutdown.clone(), process.store.clone());
    let metrics = process.telemetry.metrics.clone();
    let state = move || Readiness {
        ready: !shutdown.has_begun(),
        providers: current
            .load()
            .providers
            .iter()
            .map(|p| (p.settings().name.clone(), dependency_status(p.reachable())))
            .collect(),
        authorities: current
            .load()
            .handler
            .sessions
            .authorities_down()
            .into_iter()
            .map(|(name, is_down)| (name, if is_down { AuthorityStatus::Down } else { AuthorityStatus::Up }))
            .collect(),
        store: match store.health.is_reachable() {
            None => DependencyStatus::Unknown,
            Some(true) => DependencyStatus::Ok,
            Some(false) => DependencyStatus::Unreachable,
        },
        store_clock_difference: {
            let difference = store.health.clock_difference();
            metrics.store_clock_difference.set(difference.unwrap_or(0));
            difference.filter(|difference| !store::clocks_agree(*difference))
        },
    };
    telemetry::AdminPages::new(process.telemetry.metrics.clone(), state)
}

fn dependency_status(reachability: Reachability) -> DependencyStatus {
    match reachability {
        Reachability::Untried => DependencyStatus::Unknown,
        Reachability::Reachable => DependencyStatus::Ok,
        Reachability::Unreachable => DependencyStatus::Unreachable,
    }
}

/// The TLS settings for `https` targets: certificates are verified against the system's trust store.
pub fn upstream_tls() -> anyhow::Result<rustls::ClientConfig> {
    use rustls_platform_verifier::ConfigVerifierExt as _;
    rustls::ClientConfig::with_platform_verifier().context("the system's trust store cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_cannot_be_opened_is_an_error_at_start() {
        const FILE: &str = r#"
            server = { listen = "127.0.0.1:0", public_url = "http://localhost" }
            store.kind = "file"
            providers.google = { client_id = "id", client_secret = "secret" }
            upstreams.app = { targets = ["http://127.0.0.1:3000"], bearer = "none" }
            routes = [{ path = "/{*rest}", upstream = "app", access = "user" }]
        "#;
        let (folder, random) = (tempfile::tempdir().unwrap(), Random::system());
        std::fs::write(folder.path().join("vestibule.redb"), "something else").unwrap();
        let environment = crate::config::Environment::default();
        let config = crate::config::parse(FILE, "gateway.toml", folder.path(), &environment, &random);
        let config = config.unwrap_or_else(|complaints| panic!("{complaints}")).config;
        let telemetry = Telemetry { metrics: Arc::new(Metrics::new()), access_log: None };
        let error = start(config, Clock::system(), random, telemetry).err().unwrap();
        assert!(format!("{error:#}").contains("the store cannot be opened"), "{error:#}");
    }
}
