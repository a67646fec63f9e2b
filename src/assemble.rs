//! Settings → running parts: the only place that picks concrete types.

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
    authority::{self, Authority},
    call::{AssertionSigner, Backend, Caller},
    clock::Clock,
    config::Config,
    endpoint::{Guesses, ReturnTo},
    handle::{Body, Peer, RequestHandler, Routing},
    hygiene::{self, Hygiene},
    listen::{self, Handler, RunningServer, Server, Shutdown},
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
    telemetry::{self, AccessLog, DependencyStatus, Metrics, Readiness, RequestIds},
    upstream::{Upstream, replay},
};

/// Threads for what must not depend on a visitor or a busy core: refreshes, logins, the authority's answers.
const BACKGROUND_THREADS: usize = 2;

/// How long a start waits for the store: an instance that has not heard of the sessions that ended would take their tokens. One that is away does not keep it from starting.
const WAIT_FOR_STORE: Duration = Duration::from_secs(1);

/// What outlives a reload.
struct World {
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

/// Where what happens is counted and written.
#[derive(Clone, Default)]
pub struct Telemetry {
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The access log, if there is one.
    pub access_log: Option<AccessLog>,
}

/// What one configuration made.
struct Live {
    handler: Arc<RequestHandler>,
    providers: Vec<Arc<Provider>>,
}

/// A gateway that runs. Dropping it cuts every connection; [`Running::stop`] ends it in order.
pub struct Running {
    address: SocketAddr,
    admin_address: Option<SocketAddr>,
    health_address: Option<SocketAddr>,
    world: World,
    live: Arc<ArcSwap<Live>>,
    listen: listen::Settings,
    telemetry: telemetry::Settings,
    store: store::Settings,
    /// The session key that was made at start, where the file names none.
    made_keys: Option<Vec<SealKey>>,
    served: Option<RunningServer>,
    runtime: Option<Background>,
}

/// Binds the sockets of `config`, builds every part and serves. `clock` and `random` are the only ones that all parts use.
pub fn start(config: Config, clock: Clock, random: Random, telemetry: Telemetry) -> anyhow::Result<Running> {
    install_cryptography();
    let listeners = listen::bind(&config.listen)?;
    let runtime = Background::start()?;
    let store = store::open(&config.store, &runtime.handle, &random).context("[store]")?;
    wait_for(&store, &runtime.handle);
    let world = World {
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
    let live = Arc::new(ArcSwap::from_pointee(build(config, &world)?));
    let parts = Server {
        listeners,
        settings: listen.clone(),
        workers: Server::<Serving>::default_workers(),
        handler: Serving { live: live.clone() },
        pages: admin_pages(&world, &live),
        metrics: world.telemetry.metrics.clone(),
        shutdown: world.shutdown.clone(),
        background: world.background.clone(),
    };
    let served = parts.serve()?;
    Ok(Running {
        address,
        admin_address,
        health_address,
        world,
        live,
        listen,
        telemetry: logs,
        store: store_settings,
        made_keys,
        served: Some(served),
        runtime: Some(runtime),
    })
}

impl Running {
    /// Where visitors connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where metrics are, if anywhere.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where health alone is, if anywhere.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health_address
    }

    /// How the gateway is told to stop.
    pub fn shutdown(&self) -> &Shutdown {
        &self.world.shutdown
    }

    /// Serves new requests by `config`; those under way end as they began. What was asked of the sockets stays as it is.
    pub fn reload(&self, mut config: Config) -> anyhow::Result<()> {
        if config.telemetry != self.telemetry {
            tracing::warn!("[telemetry] changes with a restart only");
        }
        if config.store != self.store {
            tracing::warn!("[store] changes with a restart only");
        }
        if let (true, Some(keys)) = (config.session.key_was_made, &self.made_keys) {
            config.session.keys.clone_from(keys);
        }
        if config.listen != self.listen {
            tracing::warn!(
                "[server] addresses, TLS files and drain times, and the [limits] that say so, change with a restart only"
            );
        }
        self.live.store(Arc::new(build(config, &self.world)?));
        Ok(())
    }

    /// Waits for the shutdown, then until every connection is done or cut.
    pub async fn ended(mut self) {
        let Some(served) = self.served.take() else { return };
        served.ended().await;
        self.world.streams.close();
        // Tunnels were told to go when draining began; each has two seconds to say so.
        if tokio::time::timeout(Duration::from_secs(3), self.world.streams.wait()).await.is_err() {
            tracing::warn!("upgraded connections were cut");
        }
    }

    /// Stops in order.
    pub async fn stop(self) {
        self.world.shutdown.begin();
        self.ended().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.world.shutdown.cut();
        // Before the parts that its tasks use.
        self.runtime.take();
    }
}

/// The runtime of what is no request's own. It may be dropped anywhere, also where a start fails: it waits for nothing then.
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

fn wait_for(store: &Store, background: &Handle) {
    let (told, answer) = std::sync::mpsc::channel();
    let health = store.health.clone();
    background.spawn(async move { told.send(health.probe().await) });
    match answer.recv_timeout(WAIT_FOR_STORE) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the store is away"),
        Err(_) => tracing::warn!("the store does not answer yet"),
    }
}

/// Both cryptographic libraries take their provider once for the process; a second call changes nothing.
pub fn install_cryptography() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}

/// Serves each request by the newest configuration.
#[derive(Clone)]
struct Serving {
    live: Arc<ArcSwap<Live>>,
}

impl Handler for Serving {
    type Peer = Peer;
    type Body = Body;

    fn peer(&self, address: IpAddr, scheme: Scheme) -> Peer {
        Peer::new(address, scheme)
    }

    async fn handle(&self, peer: Peer, request: Request<Incoming>) -> Response<Body> {
        let handler = self.live.load().handler.clone();
        handler.handle(&peer, request).await
    }
}

fn build(config: Config, world: &World) -> anyhow::Result<Live> {
    let tls = Arc::new(upstream_tls()?);
    let upstreams: Vec<_> = config
        .upstreams
        .iter()
        .cloned()
        .map(|s| Arc::new(Upstream::new(s, tls.clone(), world.random.clone())))
        .collect();
    let http = oidc::http_client(config.answers)?;
    let providers: Vec<_> = config
        .providers
        .iter()
        .cloned()
        .map(|settings| Arc::new(Provider::new(settings, http.clone(), world.clock.clone(), world.random.clone())))
        .collect();
    let table = config.table().map_err(|conflicts| {
        let all: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the routes do not fit together: {}", all.join("; "))
    })?;
    let own_calls = config.own_calls();
    let (clock, random) = (&world.clock, &world.random);
    let signer = Signer::new(config.signing_keys(), &config.login.public_url.origin().ascii_serialization());
    let jwks = signer.jwks().to_string().into();
    let caller = Caller::new(
        config
            .upstreams
            .iter()
            .map(|u| Backend { name: u.name.clone(), targets: u.targets.clone(), connect_timeout: u.connect_timeout })
            .collect(),
        config.answers.answer,
    )?;
    let assertions = AssertionSigner { signer: signer.clone(), clock: clock.clone(), random: random.clone() };
    let caller = Arc::new(caller.with_assertions(assertions));
    let ring = KeyRing::new(&config.session.keys, random.clone());
    let guesses = Guesses::new(config.guesses, &world.store, ring.mac_key(), clock.clone());
    let guesses = Arc::new(guesses);
    let parts = authority::Deps {
        caller: caller.clone(),
        providers: providers.clone(),
        http,
        store: world.store.clone(),
        ring: ring.clone(),
        signer: signer.clone(),
        clock: clock.clone(),
        random: random.clone(),
    };
    let authority = Arc::new(Authority::new(config.authority, parts)?);
    let authority_upstream = authority.upstream();
    let sessions = Sessions::new(
        config.session,
        authority.clone(),
        world.store.clone(),
        world.clock.clone(),
        world.random.clone(),
        world.telemetry.metrics.clone(),
        world.background.clone(),
    );
    let login_page = config.login.login_page();
    let pages = Arc::new(Pages::new(&config.pages, &config.login.site(&login_page)).context("[pages]")?);
    let deps = otp::Deps {
        base_path: config.login.base_path.clone(),
        ring,
        signer,
        caller,
        sessions: sessions.clone(),
        store: world.store.clone(),
        pages: pages.clone(),
        return_to: ReturnTo::new(&config.login.places()),
        clock: world.clock.clone(),
        random: world.random.clone(),
        metrics: world.telemetry.metrics.clone(),
    };
    let (metrics, login) = (world.telemetry.metrics.clone(), &config.login);
    let is_https = login.public_url.scheme() == "https" && !hygiene::is_loopback(&login.public_url);
    let strict_transport = if is_https { StrictTransport::Required } else { StrictTransport::Off };
    let responder = respond::Settings { login_page, after_login: login.after_login.clone(), strict_transport };
    let responder = Responder::new(responder, pages.clone(), metrics);
    let otps = Arc::new(otps(config.otp, deps, world)?);
    let logins = Arc::new(Logins::new(
        config.login,
        providers.clone(),
        authority,
        sessions.clone(),
        pages,
        world.clock.clone(),
        world.random.clone(),
        world.telemetry.metrics.clone(),
        guesses.clone(),
    ));
    let handler = RequestHandler {
        routing: Routing { hygiene: Hygiene::new(config.hygiene), table, own_calls },
        upstream_names: upstreams.iter().map(|u| Arc::from(u.name())).collect(),
        upstreams,
        authority_upstream,
        sessions,
        logins,
        otps,
        guesses,
        jwks,
        responder,
        replay_body: usize::try_from(config.replay_body).unwrap_or(usize::MAX),
        replay_budget: world.replay_budget.clone(),
        request_ids: world.request_ids.clone(),
        access_log: world.telemetry.access_log.clone(),
        metrics: world.telemetry.metrics.clone(),
        clock: world.clock.clone(),
        background: world.background.clone(),
        draining: world.shutdown.draining(),
        tunnels: world.streams.clone(),
    };
    Ok(Live { handler: Arc::new(handler), providers })
}

/// One-time codes, and who sends them.
fn otps(settings: otp::Settings, deps: otp::Deps, world: &World) -> anyhow::Result<Otps> {
    let http = otp::deliver::http_client()?;
    let (clock, random) = (world.clock.clone(), world.random.clone());
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

/// What the admin and health listeners tell.
fn admin_pages(world: &World, live: &Arc<ArcSwap<Live>>) -> telemetry::AdminPages {
    let (live, shutdown, store) = (live.clone(), world.shutdown.clone(), world.store.clone());
    let state = move || Readiness {
        ready: !shutdown.has_begun(),
        providers: live.load().providers.iter().map(|p| (p.settings().name.clone(), reach(p.reachable()))).collect(),
        store: match store.health.is_reachable() {
            None => DependencyStatus::Unknown,
            Some(true) => DependencyStatus::Ok,
            Some(false) => DependencyStatus::Unreachable,
        },
    };
    telemetry::AdminPages::new(world.telemetry.metrics.clone(), state)
}

fn reach(reachability: Reachability) -> DependencyStatus {
    match reachability {
        Reachability::Untried => DependencyStatus::Unknown,
        Reachability::Reachable => DependencyStatus::Ok,
        Reachability::Unreachable => DependencyStatus::Unreachable,
    }
}

/// What certificates of `https` targets are checked by: the system's trust store.
pub fn upstream_tls() -> anyhow::Result<rustls::ClientConfig> {
    use rustls_platform_verifier::ConfigVerifierExt as _;
    rustls::ClientConfig::with_platform_verifier().context("the system's trust store cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_that_cannot_be_opened_is_told() {
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
