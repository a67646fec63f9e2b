//! `vestibule demo`: a provider, a backend and a page with the gateway in front of them, all on loopback.

use std::{
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use super::{
    exit::Exit,
    run::{self, Foreground},
    systemd::Systemd,
};
use crate::{
    clock::Clock,
    config::{self, Environment},
    demo::{DemoServers, gateway_toml},
    secret::Random,
    telemetry,
};

/// The port of the demo's page. If it is taken, the system chooses another.
const USUAL_PORT: u16 = 8080;

/// Runs the demo until a signal.
pub fn demo() -> io::Result<Exit> {
    let foreground = Foreground::begin()?;
    crate::assemble::install_cryptography();
    let random = Random::system();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let servers = runtime.block_on(DemoServers::start(Clock::system(), random.clone())).map_err(io::Error::other)?;
    let address = free_address()?;
    let toml = gateway_toml(&servers, address);
    let mut config = match config::parse(&toml, "demo.toml", Path::new(""), &Environment::default(), &random) {
        Ok(loaded) => loaded.config,
        Err(complaints) => {
            write!(io::stderr(), "{complaints}")?;
            return Ok(Exit::Failure);
        }
    };
    config.telemetry = telemetry::Settings {
        format: telemetry::Format::Text,
        level: "info".to_owned(),
        access: true,
        output: telemetry::Output::Stderr,
    };
    let page = config.login.public_url.clone();
    servers.backend.expect_assertions_of(&page.origin().ascii_serialization());
    let exit = run::serve(foreground, config, random, &Systemd::of(&Environment::default()), async |_, _| {
        let printed = writeln!(io::stdout(), "{page}\nOpen this page. Ctrl-C ends the demo.");
        if let Err(error) = printed {
            tracing::error!(%error, %page, "the page's address cannot be printed");
        }
    });
    servers.stop();
    exit
}

fn free_address() -> io::Result<SocketAddr> {
    let usual = TcpListener::bind((Ipv4Addr::LOCALHOST, USUAL_PORT));
    usual.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?.local_addr()
}
