//! `vestibule demo`: a provider, a backend and a page with the gateway in front of them.

use std::{io, net::SocketAddr};

use super::{
    exit::Exit,
    run::Foreground,
    try_out::{Name, TryOut},
};
use crate::demo::{DemoServers, PageKind, demo_toml};

/// Runs the demo until a signal.
pub fn demo(listen: Option<SocketAddr>) -> io::Result<Exit> {
    let foreground = Foreground::begin()?;
    let try_out = TryOut::begin(listen, Name::Address)?;
    let (clock, random) = (try_out.clock.clone(), try_out.random.clone());
    let servers = try_out.start(DemoServers::start(clock, random, &try_out.page, PageKind::Demo))?;
    let toml = demo_toml(&servers, &try_out.page, try_out.address_in_file());
    let config = try_out.config(&toml, "demo.toml")?;
    servers.backend.expect_assertions_of(&try_out.page.origin().ascii_serialization());
    let exit = try_out.serve(foreground, config, "Open this page. Ctrl-C ends the demo.");
    servers.stop();
    exit
}
