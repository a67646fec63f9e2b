//! A gateway in front of the demo's provider and backend, with a configuration file and a clock that the test moves.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use toml::{Table, Value};
use url::Url;
use vestibule::{
    assemble::{self, Running, Telemetry},
    clock::Clock,
    config,
    demo::{self, BackendOptions, DemoServers, ProviderOptions, TrustedProvider},
    secret::Random,
};

use super::{Backend, Browser, Provider};

/// Default life of the backend's access tokens; a refresh ahead of time is due after 225 s at the earliest.
pub(crate) const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// A running gateway; dropping it stops it.
pub(crate) struct Gateway {
    running: Running,
    address: SocketAddr,
    admin: Option<SocketAddr>,
    public_url: Url,
    clock: Clock,
}

impl Gateway {
    /// Starts a gateway with that configuration, which must have `server.listen` and `server.public_url`.
    pub(crate) fn start(text: &str, clock: &Clock) -> Self {
        let random = Random::system();
        let loaded = config::parse(text, "gateway.toml", Path::new(""), &BTreeMap::new(), &random)
            .unwrap_or_else(|complaints| panic!("{complaints}\n{text}"));
        let public_url = loaded.config.login.public_url.clone();
        let running =
            assemble::start(loaded.config, clock.clone(), random, Telemetry::default()).expect("the gateway starts");
        let (address, admin) = (running.address(), running.admin_address());
        Self { running, address, admin, public_url, clock: clock.clone() }
    }

    /// Reloads the gateway with that configuration.
    pub(crate) fn reload(&self, text: &str) {
        let loaded = config::parse(text, "gateway.toml", Path::new(""), &BTreeMap::new(), &Random::system())
            .unwrap_or_else(|complaints| panic!("{complaints}\n{text}"));
        self.running.reload(loaded.config).expect("the new configuration is taken");
    }

    /// The address of its public listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("server.admin_listen is set")
    }

    /// The URL that visitors use.
    pub(crate) fn public_url(&self) -> &Url {
        &self.public_url
    }

    /// `host:port` of the URL that visitors use.
    pub(crate) fn host(&self) -> &str {
        &self.public_url[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The running parts.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.public_url, self.address, self.clock.clone())
    }
}

/// The gateway with the provider and the backend behind it, all on loopback.
pub(crate) struct TestStack {
    /// The clock of all three.
    pub(crate) clock: Clock,
    /// The identity provider.
    pub(crate) provider: Provider,
    /// The backend, and in most tests the authority.
    pub(crate) backend: Backend,
    /// The gateway.
    pub(crate) gateway: Gateway,
    setup: Setup,
}

impl TestStack {
    /// Starts the servers of `vestibule demo`: the backend is the authority.
    pub(crate) async fn start() -> Self {
        Setup::new().start().await
    }

    /// Starts them with changes to the configuration file.
    pub(crate) async fn with(toml: &str) -> Self {
        Setup::new().with(toml).start().await
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        self.gateway.browser()
    }

    /// A browser in which that person has logged in.
    pub(crate) async fn logged_in(&self, name: &str) -> Browser {
        let browser = self.browser();
        browser.login_as(name).await;
        browser
    }

    /// Moves the clock of all three.
    pub(crate) fn advance(&self, span: Duration) {
        self.clock.advance(span);
    }

    /// Moves the clock to the beginning of a window of limits: windows are aligned to the Unix epoch, so what is
    /// counted from here on is counted in one.
    pub(crate) fn begin_window(&self, length: Duration) {
        let (length, now) = (i64::try_from(length.as_millis()).unwrap(), self.clock.now().as_millis());
        self.advance(Duration::from_millis(u64::try_from(length - now.rem_euclid(length)).unwrap()));
    }

    /// Lets the access tokens issued so far expire.
    pub(crate) fn expire_tokens(&self) {
        self.advance(TOKEN_LIFE + Duration::from_secs(10));
    }

    /// The configuration of another gateway in front of the same servers, at that port and with these changes.
    pub(crate) fn file(&self, port: u16, toml: &str) -> String {
        self.setup.clone().with(toml).file(&self.provider, &self.backend, port)
    }

    /// Reloads the gateway with these changes to the configuration that it started with.
    pub(crate) fn reload_with(&self, toml: &str) {
        self.gateway.reload(&self.file(self.gateway.address().port(), toml));
    }

    /// A browser for another gateway of the same servers at that port.
    pub(crate) fn browser_at(&self, port: u16) -> Browser {
        let url = format!("{}:{port}", self.setup.public_base).parse().unwrap();
        Browser::new(&url, SocketAddr::from(([127, 0, 0, 1], port)), self.clock.clone())
    }

    /// Another gateway for the same servers, whose clock is its own.
    pub(crate) fn gateway_with_clock(&self, clock: &Clock) -> Gateway {
        self.setup.gateway(&self.provider, &self.backend, clock)
    }

    /// Another gateway for the same servers, with these changes to the configuration.
    pub(crate) fn gateway_beside(&self, toml: &str) -> Gateway {
        self.setup.clone().with(toml).gateway(&self.provider, &self.backend, &self.clock)
    }
}

/// The configuration of a gateway and its servers, before they start.
#[derive(Clone)]
pub(crate) struct Setup {
    changes: Table,
    removed: Vec<&'static str>,
    routes: Vec<Value>,
    public_base: String,
    port: Option<u16>,
    trust_anyone: bool,
    has_codes: bool,
    tune_provider: fn(&mut ProviderOptions),
    tune_backend: fn(&mut BackendOptions),
}

impl Setup {
    /// The demo's configuration without one-time codes, on `127.0.0.1`.
    pub(crate) fn new() -> Self {
        Self {
            changes: Table::new(),
            removed: Vec::new(),
            routes: Vec::new(),
            public_base: "http://127.0.0.1".to_owned(),
            port: None,
            trust_anyone: false,
            has_codes: false,
            tune_provider: |_| {},
            tune_backend: |_| {},
        }
    }

    /// The demo's configuration: one-time codes log in, and arrive in the backend's outbox.
    pub(crate) fn with_codes() -> Self {
        Self { has_codes: true, ..Self::new() }
    }

    /// With the provider as authority: the session has the provider's tokens.
    pub(crate) fn with_provider_as_authority() -> Self {
        Self::new()
            .without("authority")
            .with("[authority]\nkind = \"provider\"\n[upstreams.backend]\nbearer = \"access\"")
            .provider(|options| options.access_token_life = TOKEN_LIFE)
            .backend(|options| options.bearer = demo::BearerCheck::Provider)
    }

    /// Changes the configuration: tables are merged, values replaced, routes added.
    pub(crate) fn with(mut self, toml: &str) -> Self {
        let mut changes: Table = toml.parse().unwrap_or_else(|error| panic!("{error}\n{toml}"));
        if let Some(Value::Array(routes)) = changes.remove("routes") {
            self.routes.extend(routes);
        }
        merge(&mut self.changes, changes);
        self
    }

    /// Removes a section (`authority.verify`) from the demo's configuration.
    pub(crate) fn without(mut self, section: &'static str) -> Self {
        self.removed.push(section);
        self
    }

    /// Sets scheme and host of `public_url` (`https://app.example.test`); the port is the gateway's.
    pub(crate) fn known_as(mut self, public_base: &str) -> Self {
        public_base.clone_into(&mut self.public_base);
        self
    }

    /// Sets the gateway's port.
    pub(crate) fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// The backend accepts ID tokens of any issuer, without checking them.
    pub(crate) fn backend_trusts_anyone(mut self) -> Self {
        self.trust_anyone = true;
        self
    }

    /// Changes the provider's options.
    pub(crate) fn provider(mut self, tune: fn(&mut ProviderOptions)) -> Self {
        self.tune_provider = tune;
        self
    }

    /// Changes the backend's options.
    pub(crate) fn backend(mut self, tune: fn(&mut BackendOptions)) -> Self {
        self.tune_backend = tune;
        self
    }

    /// Starts provider, backend and gateway.
    pub(crate) async fn start(self) -> TestStack {
        assemble::install_cryptography();
        let (clock, random) = (Clock::movable(), Random::system());
        let mut options = ProviderOptions::new(clock.clone(), random.clone());
        let host = self.public_base.parse::<Url>().unwrap();
        options.redirect_hosts.extend(host.host_str().map(str::to_owned));
        (self.tune_provider)(&mut options);
        let provider = Provider::start(options).await.expect("the provider starts");
        let trusted = TrustedProvider { issuer: provider.issuer(), audience: provider.client_id().to_owned() };
        let mut options = BackendOptions::new(clock.clone(), random, trusted);
        options.access_token_life = TOKEN_LIFE;
        (self.tune_backend)(&mut options);
        let backend =
            if self.trust_anyone { Backend::trusting_anyone(options).await } else { Backend::start(options).await };
        let backend = backend.expect("the backend starts");
        let gateway = self.gateway(&provider, &backend, &clock);
        TestStack { clock, provider, backend, gateway, setup: self }
    }

    /// Starts only the gateway.
    fn gateway(&self, provider: &Provider, backend: &Backend, clock: &Clock) -> Gateway {
        let port = self.port.unwrap_or_else(free_port);
        Gateway::start(&self.file(provider, backend, port), clock)
    }

    /// The configuration file of a gateway at that port.
    fn file(&self, provider: &Provider, backend: &Backend, port: u16) -> String {
        let servers = DemoServers { provider: (**provider).clone(), backend: (**backend).clone() };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut file: Table = demo::gateway_toml(&servers, address).parse().unwrap();
        if !self.has_codes {
            file.remove("otp");
            file.get_mut("authority").and_then(Value::as_table_mut).and_then(|authority| authority.remove("otp"));
        }
        for section in &self.removed {
            let (table, name) = match section.split_once('.') {
                Some((outer, inner)) => (file.get_mut(outer).and_then(Value::as_table_mut), inner),
                None => (Some(&mut file), *section),
            };
            table.and_then(|table| table.remove(name)).unwrap_or_else(|| panic!("the demo's file has no {section}"));
        }
        let mut server = Table::new();
        server.insert("public_url".to_owned(), Value::String(format!("{}:{port}", self.public_base)));
        merge(&mut file, Table::from_iter([("server".to_owned(), Value::Table(server))]));
        merge(&mut file, self.changes.clone());
        // Routes of the same path are replaced.
        let is_replaced = |route: &Value| self.routes.iter().any(|own| own.get("path") == route.get("path"));
        let routes = file.entry("routes").or_insert_with(|| Value::Array(Vec::new())).as_array_mut().unwrap();
        routes.retain(|route| !is_replaced(route));
        routes.extend(self.routes.clone());
        file.to_string()
    }
}

fn merge(into: &mut Table, changes: Table) {
    for (name, value) in changes {
        match (into.get_mut(&name), value) {
            (Some(Value::Table(into)), Value::Table(changes)) => merge(into, changes),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// A free port. The gateway must know its port before it listens, because it is part of `public_url`.
///
/// It is below the ports that the system gives to sockets which name none (Linux: from 32768), and no other call gets
/// it: so no test takes it before the program that it is for.
pub(crate) fn free_port() -> u16 {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
    let next = || {
        let place = std::process::id().wrapping_mul(97).wrapping_add(CALLS.fetch_add(1, Relaxed)) % 12_000;
        20_000 + u16::try_from(place).unwrap()
    };
    std::iter::repeat_with(next).take(12_000).find(is_free).expect("a free port")
}
