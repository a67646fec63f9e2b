//! `vestibule dev`: the gateway with the demo's provider, outbox and session panel in front of one's own app.

use std::{io, net::SocketAddr};

use clap::{Args, ValueEnum};
use url::{Host, Url};

use super::{
    exit::Exit,
    run::Foreground,
    try_out::{Name, TryOut},
};
use crate::demo::{AppAccess, AppAddress, DemoServers, Front, PANEL_PATH, PageKind, dev_toml};

/// What `dev` is told.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct DevOptions {
    /// Where the app itself listens, e.g. `http://127.0.0.1:3000`. It may start later.
    #[arg(long, value_name = "URL", value_parser = app_address)]
    upstream: AppAddress,
    /// Who may use the app.
    #[arg(long, value_enum, default_value_t = Access::User)]
    access: Access,
    /// Where to listen instead of a free port on loopback; in a container 0.0.0.0:8080, with that port published.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

/// Who may use the app.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    /// Who is logged in; all others are sent to the login.
    User,
    /// Everybody; the app sees who is logged in.
    Optional,
}

/// Runs until a signal.
pub fn dev(options: &DevOptions) -> io::Result<Exit> {
    let foreground = Foreground::begin()?;
    // By its name: the dev servers of Vite and Next take requests and upgrades of `localhost` as their own.
    let try_out = TryOut::begin(options.listen, Name::Localhost)?;
    let (clock, random) = (try_out.clock.clone(), try_out.random.clone());
    let servers = try_out.start(DemoServers::start(clock, random, &try_out.page, PageKind::Panel))?;
    let front = try_out.start(Front::start(options.upstream.clone(), servers.backend.clone()))?;
    let access = match options.access {
        Access::User => AppAccess::User,
        Access::Optional => AppAccess::Optional,
    };
    let toml = dev_toml(&servers, &try_out.page, try_out.address_in_file(), &front.origin(), access);
    let config = try_out.config(&toml, "dev.toml")?;
    let origin = try_out.page.origin().ascii_serialization();
    servers.backend.expect_assertions_of(&origin);
    let AppAddress { host, port } = &options.upstream;
    let more = format!(
        "Open this page: your app at {host}:{port}, behind the gateway. Ctrl-C ends it.\n\
         Session panel, people to log in as, and codes: {origin}{PANEL_PATH}"
    );
    let exit = try_out.serve(foreground, config, &more);
    front.stop();
    servers.stop();
    exit
}

fn app_address(text: &str) -> Result<AppAddress, String> {
    const HELP: &str = "write the app's own address, e.g. http://127.0.0.1:3000";
    let url = Url::parse(text).map_err(|error| format!("{error}: {HELP}"))?;
    if url.scheme() == "https" {
        return Err("`dev` speaks http to the app: switch TLS off in its dev server".to_owned());
    }
    let has_more = url.path() != "/" || url.query().is_some() || !url.username().is_empty();
    if url.scheme() != "http" || has_more {
        return Err(format!("it has to be `http://`, a host and a port: {HELP}"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(HELP.to_owned()),
    };
    Ok(AppAddress { host, port: url.port_or_known_default().unwrap_or(80) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_named_by_http_a_host_and_a_port() {
        let address = |text| app_address(text).map(|app| (app.host, app.port));
        assert_eq!(address("http://127.0.0.1:3000"), Ok(("127.0.0.1".to_owned(), 3000)));
        assert_eq!(address("http://localhost/"), Ok(("localhost".to_owned(), 80)));
        assert_eq!(address("http://[::1]:5173"), Ok(("::1".to_owned(), 5173)));
        for (bad, why) in [
            ("localhost:3000", "http://127.0.0.1:3000"),
            ("3000", "http://127.0.0.1:3000"),
            ("http://localhost:3000/app", "a host and a port"),
            ("https://localhost:3000", "switch TLS off"),
            ("unix:/run/app.sock", "a host and a port"),
        ] {
            let error = address(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
