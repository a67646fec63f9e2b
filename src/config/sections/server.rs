//! `[server]` and `[telemetry]`: sockets, the public address, certificates, logs.

use std::{net::SocketAddr, path::Path, time::Duration};

use ipnet::IpNet;
use url::Url;

use crate::config::{form, limits::Sockets, secrets::Surroundings, section::Section, tree::Place};
use crate::{
    hygiene::is_loopback,
    listen::{self, CertificateError, TlsFiles},
    telemetry::{self, Format, Output},
};

/// What `[server]` says, as far as it is well-formed.
pub(crate) struct Server {
    pub(crate) public_url: Option<Url>,
    /// Where the file says it.
    pub(crate) place: Place,
    pub(crate) hosts: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) listen: Option<listen::Settings>,
    /// `public_url` is on loopback, as far as can be told.
    pub(crate) local_url: bool,
    /// `public_url` and every listen address are on loopback, as far as can be told.
    pub(crate) local: bool,
}

impl Server {
    /// Whether visitors come by https.
    pub(crate) fn https(&self) -> bool {
        self.public_url.as_ref().is_none_or(|url| url.scheme() == "https")
    }

    /// Whether `origin` is the public one.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.public_url.as_ref().is_none_or(|own| own.origin() == url.origin())
    }
}

/// Reads `[server]`.
pub(crate) fn server(section: &Section<'_>, sockets: Sockets, around: &mut Surroundings<'_>) -> Server {
    let public_url = section.optional("public_url", form::origin);
    let listen = section.optional("listen", form::address);
    let admin_listen = section.optional("admin_listen", form::address);
    let health_listen = section.optional("health_listen", form::address);
    let local_url = public_url.as_ref().is_none_or(is_loopback);
    let local =
        local_url && [listen, admin_listen, health_listen].iter().flatten().all(|address| address.ip().is_loopback());
    let trusted_proxies = section.values("trusted_proxies", form::network);
    let proxy_protocol = section.flag("proxy_protocol");

    check_addresses(
        section,
        [("listen", listen), ("admin_listen", admin_listen), ("health_listen", health_listen)],
        around,
    );
    let http = public_url.as_ref().is_some_and(|url| url.scheme() == "http");
    if http && !local {
        around.problems.complain(
            section.place("public_url"),
            "cookies over http are allowed only where `public_url` and every listen address are on loopback",
            if local_url {
                "listen on 127.0.0.1 (admin_listen and health_listen too), or use an https address"
            } else {
                "write `public_url = \"https://…\"`: visitors may reach a load balancer that has the certificate"
            },
        );
    }
    if http && section.has("tls") {
        around.problems.complain(
            section.place("public_url"),
            "`public_url` is http, but `[server.tls]` has a certificate",
            "write `public_url = \"https://…\"`, or leave out `[server.tls]`",
        );
    }
    if proxy_protocol && trusted_proxies.is_empty() {
        around.problems.complain(
            section.place("proxy_protocol"),
            "`proxy_protocol` believes `trusted_proxies` alone, and there are none",
            "write `trusted_proxies = [\"10.0.0.7\"]` with the load balancer's address",
        );
    }

    let delay = if local { Duration::ZERO } else { Duration::from_secs(5) };
    let tls = section.section("tls");
    let files = tls.is_present().then(|| tls_files(&tls, around)).flatten();
    let listen = listen.map(|listen| listen::Settings {
        listen,
        tls: files,
        admin_listen,
        health_listen,
        proxy_protocol,
        trusted_proxies: trusted_proxies.clone(),
        drain: section.read("drain", form::delay),
        drain_delay: section.optional("drain_delay", form::delay).unwrap_or(delay),
        connections: sockets.connections,
        connections_per_client: sockets.connections_per_client,
        limits: sockets.limits,
    });
    Server {
        public_url,
        place: section.place("public_url").clone(),
        hosts: section.values("hosts", form::host),
        trusted_proxies,
        listen,
        local_url,
        local,
    }
}

/// Reads `[telemetry]`.
pub(crate) fn telemetry(section: &Section<'_>, around: &Surroundings<'_>) -> telemetry::Settings {
    let log = section.section("log");
    let output = match log.read("output", form::text).as_str() {
        "stdout" => Output::Stdout,
        "stderr" => Output::Stderr,
        path => Output::File(around.path(path)),
    };
    let format = if log.read("format", form::text) == "text" { Format::Text } else { Format::Json };
    telemetry::Settings { format, level: log.read("level", form::level), output }
}

fn check_addresses(section: &Section<'_>, addresses: [(&str, Option<SocketAddr>); 3], around: &mut Surroundings<'_>) {
    for (index, (name, address)) in addresses.iter().enumerate() {
        let same =
            |(_, other): &&(&str, Option<SocketAddr>)| address.is_some_and(|a| a.port() != 0) && other == address;
        if let Some((other, _)) = addresses[..index].iter().find(same) {
            around.problems.complain(
                section.place(name),
                format!("`{name}` is the address of `{other}`"),
                "give it a port of its own",
            );
        }
        if *name == "admin_listen" && address.is_some_and(|address| !address.ip().is_loopback()) {
            around.problems.warn(
                section.place(name),
                "whoever reaches `admin_listen` sees the metrics without a login",
                "listen on 127.0.0.1; `health_listen` is for load balancers",
            );
        }
    }
}

fn tls_files(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<TlsFiles> {
    let path = |key| section.optional(key, form::text).map(|path| around.path(&path));
    let (cert, key) = (path("cert"), path("key"));
    let files = TlsFiles { cert: cert?, key: key? };
    for fault in files.faults() {
        let of = |path: &Path| if path == files.cert { ("cert", "certificate") } else { ("key", "private key") };
        let (key, message, help) = match &fault {
            CertificateError::File { path, source } => {
                let (key, what) = of(path);
                let message = format!("the file of the {what} cannot be read: {}", source.kind());
                (key, message, "relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as".to_owned())
            }
            CertificateError::Pem { path, .. } => {
                let (key, what) = of(path);
                (
                    key,
                    format!("there is no {what} in this file"),
                    format!("the file holds the {what} in PEM (`-----BEGIN …`)"),
                )
            }
            CertificateError::Pair(source) => (
                "key",
                format!("certificate and key do not work together: {source}"),
                "give the key that the certificate was made for".to_owned(),
            ),
        };
        around.problems.complain(section.place(key), message, help);
    }
    Some(files)
}
