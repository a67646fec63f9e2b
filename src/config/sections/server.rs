//! `[server]`: sockets, the public address, certificates.

use std::{net::SocketAddr, path::Path, time::Duration};

use ipnet::IpNet;
use url::Url;

use super::{forms, limits::Sockets};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Choice, Flag, Key, List, Table, table, words},
        section::Section,
        tree::Place,
    },
    hygiene::{RequestIdSource, is_loopback},
    listen::{self, CertificateError, TlsFiles},
};

table! {
    /// `[server]`
    pub(crate) struct ServerTable {
        /// The IP address and port where visitors, or the load balancer, connect; `0.0.0.0` and `[::]` are all
        /// interfaces.
        LISTEN: form::Address = required("listen");
        /// The address that visitors type, without a path. Links, redirects and cookies use it. `http` on loopback
        /// only.
        PUBLIC_URL: form::Origin = required("public_url");
        /// Further hosts that are accepted, e.g. `"vestibule:8080"`; any other is answered 421. Logins begin and end on
        /// the visitor's own host: register a redirect URI for each whose name has a dot. A host without a port is
        /// accepted with every port, and a redirect URI has the port that the visitor's browser sends.
        HOSTS: List<forms::Host> = default("hosts", "[]");
        /// `/livez`, `/readyz` and `/metrics`, by http and without a login; usually on loopback. Absent: none.
        ADMIN_LISTEN: form::Address = optional("admin_listen");
        /// `/livez` and `/readyz` alone, for a load balancer. Absent: none.
        HEALTH_LISTEN: form::Address = optional("health_listen");
        /// Load balancers whose `X-Forwarded-*` is trusted. The visitor is the first address from the right of
        /// `X-Forwarded-For` that is not listed. Empty: the peer of the connection is the visitor.
        TRUSTED_PROXIES: List<form::Network> = default("trusted_proxies", "[]");
        /// Whether connections from `trusted_proxies` begin with a PROXY protocol header (version 1 or 2).
        PROXY_PROTOCOL: Flag = default("proxy_protocol", "false");
        /// Whose `X-Request-Id` is kept, logged and passed on. `trusted`: that of `trusted_proxies` (1 to 128 visible
        /// ASCII characters). `own`: no peer's; every request gets a new id.
        REQUEST_ID: Choice<RequestIdSource> = default("request_id", "\"trusted\"");
        /// How long running requests may continue after SIGTERM and `drain_delay`; then their connections are closed.
        DRAIN: form::Delay = default("drain", "\"30s\"");
        /// How long connections are still accepted after SIGTERM, while `/readyz` says 503, so that load balancers
        /// notice. Default `"5s"`, and `"0s"` where everything is on loopback.
        DRAIN_DELAY: form::Delay = optional("drain_delay");
        /// For a container on a developer's machine: `http` and a session key made at each start are allowed with any
        /// listen address, where `public_url` is on loopback (`http://localhost:8080`, say). Publish the port on
        /// loopback alone (`-p 127.0.0.1:8080:8080`). Outboxes and mail without TLS stay for loopback.
        DEVELOPMENT: Flag = default("development", "false");
        /// The certificate. Absent: plain HTTP, for loopback or behind a load balancer that has the certificate.
        TLS: Table<TlsTable> = optional("tls");
    }
}

table! {
    /// `[server.tls]`
    pub(crate) struct TlsTable {
        /// The certificate chain in PEM, the server's certificate first; a path relative to the folder of
        /// `gateway.toml`. A renewed file is picked up without a restart.
        CERT: forms::File = required("cert");
        /// The private key of the certificate, in PEM; read again with it.
        KEY: forms::File = required("key");
        later "acme";
    }
}

words! { RequestIdSource: "trusted" => Self::Trusted, "own" => Self::Own }

/// The settings of `[server]`, as far as they are well-formed.
pub(crate) struct ServerSettings {
    pub(crate) public_url: Option<Url>,
    /// The place of `public_url` in the file.
    pub(crate) place: Place,
    pub(crate) hosts: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) request_ids: RequestIdSource,
    pub(crate) listen: Option<listen::Settings>,
    /// Whether `public_url` is on loopback; true if it is malformed.
    pub(crate) local_url: bool,
    /// Whether `public_url` and every listen address are on loopback; true if they are malformed.
    pub(crate) local: bool,
    /// Whether `development` is on, and a listen address is not on loopback.
    pub(crate) development: bool,
}

impl ServerSettings {
    /// Whether `public_url` is https; true if it is malformed.
    pub(crate) fn https(&self) -> bool {
        self.public_url.as_ref().is_none_or(|url| url.scheme() == "https")
    }

    /// Whether `url` has the origin of `public_url`; true if that is malformed.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        self.public_url.as_ref().is_none_or(|own| own.origin() == url.origin())
    }
}

/// Reads `[server]`.
pub(crate) fn server(section: &Section<'_, ServerTable>, sockets: Sockets, cx: &mut Context<'_>) -> ServerSettings {
    let public_url = section.optional(&ServerTable::PUBLIC_URL);
    let listen = section.optional(&ServerTable::LISTEN);
    let admin_listen = section.optional(&ServerTable::ADMIN_LISTEN);
    let health_listen = section.optional(&ServerTable::HEALTH_LISTEN);
    let local_url = public_url.as_ref().is_none_or(is_loopback);
    let local =
        local_url && [listen, admin_listen, health_listen].iter().flatten().all(|address| address.ip().is_loopback());
    let trusted_proxies = section.values(&ServerTable::TRUSTED_PROXIES);
    let proxy_protocol = section.read(&ServerTable::PROXY_PROTOCOL);

    let addresses = [
        (ServerTable::LISTEN, listen),
        (ServerTable::ADMIN_LISTEN, admin_listen),
        (ServerTable::HEALTH_LISTEN, health_listen),
    ];
    check_addresses(section, &addresses, cx);
    let http = public_url.as_ref().is_some_and(|url| url.scheme() == "http");
    let wants_development = section.read(&ServerTable::DEVELOPMENT);
    let development = wants_development && local_url && !local;
    if wants_development && !local_url {
        cx.complain(
            section.place(&ServerTable::DEVELOPMENT),
            "`development` is for a `public_url` on loopback",
            "write `public_url = \"http://localhost:8080\"`, or leave `development` out",
        );
    } else if http && !local && !development {
        cx.complain(
            section.place(&ServerTable::PUBLIC_URL),
            "cookies over http are allowed only where `public_url` and every listen address are on loopback",
            if local_url {
                "listen on 127.0.0.1 (admin_listen and health_listen too), use an https address, or write `development = true` in a container for development"
            } else {
                "write `public_url = \"https://…\"`: visitors may reach a load balancer that has the certificate"
            },
        );
    }
    if http && section.has(&ServerTable::TLS) {
        cx.complain(
            section.place(&ServerTable::PUBLIC_URL),
            "`public_url` is http, but `[server.tls]` has a certificate",
            "write `public_url = \"https://…\"`, or leave out `[server.tls]`",
        );
    }
    if proxy_protocol && trusted_proxies.is_empty() {
        cx.complain(
            section.place(&ServerTable::PROXY_PROTOCOL),
            "`proxy_protocol` believes `trusted_proxies` alone, and there are none",
            "write `trusted_proxies = [\"10.0.0.7\"]` with the load balancer's address",
        );
    }

    let delay = if local { Duration::ZERO } else { Duration::from_secs(5) };
    let tls = section.section(&ServerTable::TLS);
    let files = tls.is_present().then(|| tls_files(&tls, cx)).flatten();
    let listen = listen.map(|listen| listen::Settings {
        listen,
        tls: files,
        admin_listen,
        health_listen,
        proxy_protocol,
        trusted_proxies: trusted_proxies.clone(),
        drain: section.read(&ServerTable::DRAIN),
        drain_delay: section.optional(&ServerTable::DRAIN_DELAY).unwrap_or(delay),
        connections: sockets.connections,
        connections_per_client: sockets.connections_per_client,
        limits: sockets.limits,
    });
    ServerSettings {
        public_url,
        place: section.place(&ServerTable::PUBLIC_URL).clone(),
        hosts: section.values(&ServerTable::HOSTS),
        trusted_proxies,
        request_ids: section.read(&ServerTable::REQUEST_ID),
        listen,
        local_url,
        local,
        development,
    }
}

fn check_addresses(
    section: &Section<'_, ServerTable>,
    addresses: &[(Key<ServerTable, form::Address>, Option<SocketAddr>); 3],
    cx: &mut Context<'_>,
) {
    for (index, (key, address)) in addresses.iter().enumerate() {
        let name = key.row.name;
        let is_same = |other: &Option<SocketAddr>| address.is_some_and(|a| a.port() != 0) && other == address;
        if let Some((other, _)) = addresses[..index].iter().find(|(_, other)| is_same(other)) {
            cx.complain(
                section.place(key),
                format!("`{name}` is the address of `{}`", other.row.name),
                "give it a port of its own",
            );
        }
        if name == ServerTable::ADMIN_LISTEN.row.name && address.is_some_and(|address| !address.ip().is_loopback()) {
            cx.warn(
                section.place(key),
                "`admin_listen` is not on loopback, and its metrics need no login",
                "listen on 127.0.0.1; `health_listen` is for load balancers",
            );
        }
    }
}

fn tls_files(section: &Section<'_, TlsTable>, cx: &mut Context<'_>) -> Option<TlsFiles> {
    let path = |key: &Key<_, forms::File>| section.optional(key).map(|path| cx.path(&path));
    let (cert, key) = (path(&TlsTable::CERT), path(&TlsTable::KEY));
    let files = TlsFiles { cert: cert?, key: key? };
    let of = |path: &Path| {
        if path == files.cert { (&TlsTable::CERT, "certificate") } else { (&TlsTable::KEY, "private key") }
    };
    for fault in files.faults() {
        match &fault {
            CertificateError::File { path, source } => {
                let (key, what) = of(path);
                cx.complain_of_unreadable(section.place(key), &format!("the file of the {what}"), source);
            }
            CertificateError::Pem { path, .. } => {
                let (key, what) = of(path);
                cx.complain(
                    section.place(key),
                    format!("there is no {what} in this file"),
                    format!("the file holds the {what} in PEM (`-----BEGIN …`)"),
                );
            }
            CertificateError::Pair(source) => cx.complain(
                section.place(&TlsTable::KEY),
                format!("certificate and key do not work together: {source}"),
                "give the key that the certificate was made for",
            ),
        }
    }
    Some(files)
}
