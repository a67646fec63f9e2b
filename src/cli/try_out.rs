//! What `demo` and `dev` share: a gateway with a configuration that the command makes, and pages of the command behind
//! it.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

use tokio::runtime::Runtime;
use url::Url;

use super::{
    exit::Exit,
    run::{self, Foreground},
    systemd::Systemd,
};
use crate::{
    clock::Clock,
    config::{self, Config, Environment},
    demo::StartError,
    secret::Random,
    telemetry,
};

/// The usual port of the page. If it is taken, the system chooses another.
const USUAL_PORT: u16 = 8080;

/// The gateway of one of the two commands before it runs.
pub(super) struct TryOut {
    /// The address that people open.
    pub(super) page: Url,
    pub(super) clock: Clock,
    pub(super) random: Random,
    listen: SocketAddr,
    /// For the servers behind the gateway.
    runtime: Runtime,
}

/// How the page's address is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Name {
    /// As the address on loopback.
    Address,
    /// As `localhost`.
    Localhost,
}

impl TryOut {
    /// Chooses the address: `listen`, with a port of the system's choice for port 0, or else a free one on loopback.
    pub(super) fn begin(listen: Option<SocketAddr>, name: Name) -> io::Result<Self> {
        crate::assemble::install_cryptography();
        let listen = match listen {
            Some(address) if address.port() == 0 => TcpListener::bind(address)?.local_addr()?,
            Some(address) => address,
            None => free_address()?,
        };
        let page = if name == Name::Address && listen.ip().is_loopback() {
            format!("http://{listen}/")
        } else {
            format!("http://localhost:{}/", listen.port())
        };
        Ok(Self {
            page: page.parse().map_err(io::Error::other)?,
            clock: Clock::system(),
            random: Random::system(),
            listen,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
        })
    }

    /// Starts the servers behind the gateway.
    pub(super) fn start<T>(&self, servers: impl Future<Output = Result<T, StartError>>) -> io::Result<T> {
        self.runtime.block_on(servers).map_err(io::Error::other)
    }

    /// The address that the command's file names: on loopback, where an outbox and http are allowed.
    pub(super) fn address_in_file(&self) -> SocketAddr {
        if self.listen.ip().is_loopback() {
            return self.listen;
        }
        (Ipv4Addr::LOCALHOST, self.listen.port()).into()
    }

    /// Reads the command's file.
    pub(super) fn config(&self, toml: &str, name: &str) -> io::Result<Config> {
        let loaded = config::parse_with_dev_pages(toml, name, &self.random).map_err(io::Error::other)?;
        let mut config = loaded.config;
        // What the file may have on loopback alone is made up and kept nowhere, and `serve` says that it is open.
        config.listen.listen = self.listen;
        config.telemetry = telemetry::Settings {
            format: telemetry::Format::Text,
            level: "info".to_owned(),
            access: true,
            output: telemetry::Output::Stderr,
        };
        Ok(config)
    }

    /// Prints the page's address alone on the first line, then `more`, and serves until a signal.
    pub(super) fn serve(self, foreground: Foreground, config: Config, more: &str) -> io::Result<Exit> {
        let Self { page, random, listen, .. } = &self;
        let open = if listen.ip().is_loopback() {
            String::new()
        } else {
            format!(
                "\nIt is open to the network: every client that reaches {listen} can log in as any person here and read the codes."
            )
        };
        let announce = || {
            if let Err(error) = writeln!(io::stdout(), "{page}\n{more}{open}") {
                tracing::error!(%error, %page, "the page's address cannot be printed");
            }
        };
        let systemd = Systemd::of(&Environment::default());
        run::serve(foreground, config, random.clone(), &systemd, announce, async |_, _| {})
    }
}

fn free_address() -> io::Result<SocketAddr> {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT));
    usual.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?.local_addr()
}
