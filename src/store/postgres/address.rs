//! Parses the URL of the database, including its TLS options.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use percent_encoding::percent_decode_str;
use rustls::{ClientConfig, pki_types::pem};
use tokio_postgres::{
    AsyncMessage, Client, Config, Error,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    secret::Secret,
    store::tls::{self, TlsError},
};

/// Messages of a connection that are not answers to statements, such as notifications. The connection makes progress
/// only while they are polled.
pub(super) type Messages = BoxStream<'static, Result<AsyncMessage, Error>>;

/// A parsed URL, and the TLS configuration for its hosts.
pub(super) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
}

/// Why an address can never be used. No message contains a part of the address that may be a password.
#[derive(Debug, thiserror::Error)]
pub(super) enum AddressError {
    #[error("the address must begin with postgres:// or postgresql://")]
    Scheme,
    #[error(
        "the address is not a PostgreSQL URL (postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS, special characters percent-encoded)"
    )]
    Syntax(#[source] Error),
    #[error("the address names no host")]
    NoHost,
    #[error("sslmode must be disable, prefer, require, verify-ca or verify-full")]
    SslMode,
    #[error("sslrootcert {}: {source}", path.display())]
    RootCertificates { path: PathBuf, source: pem::Error },
    #[error("sslrootcert {}: no certificate that can be trusted", .0.display())]
    NoRootCertificate(PathBuf),
    #[error("TLS cannot be set up: {0}")]
    Tls(TlsError),
}

impl Address {
    /// Parses `url`. Trying all of its hosts one after the other takes less than `limit`.
    pub(super) fn parse(url: &Secret, limit: Duration) -> Result<Self, AddressError> {
        let url = url.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(AddressError::Scheme);
        }
        let (plain, tls_options) = take_tls_options(url);
        let mut config: Config = plain.parse().map_err(AddressError::Syntax)?;
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if hosts == 0 {
            return Err(AddressError::NoHost);
        }
        let mode = match tls_options.mode.as_deref() {
            None if is_local(&config) => SslMode::Disable,
            None | Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            // The certificate and its name are verified in any case.
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(_) => return Err(AddressError::SslMode),
        };
        config.ssl_mode(mode);
        if config.get_application_name().is_none() {
            config.application_name("vestibule");
        }
        let each = limit.mul_f32(0.9) / u32::try_from(hosts).unwrap_or(u32::MAX);
        if config.get_connect_timeout().is_none_or(|given| *given > each) {
            config.connect_timeout(each);
        }
        if hosts > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // Connect to the primary, not to a standby.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { config, tls: MakeRustlsConnect::new(tls_config(mode, tls_options.root)?) })
    }

    /// A new connection. It makes progress only while its messages are polled.
    pub(super) async fn connect(&self) -> Result<(Client, Messages), Error> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, stream::poll_fn(move |context| connection.poll_message(context)).boxed()))
    }

    /// The address in the form that the pool takes.
    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }
}

/// Options of which `tokio-postgres` does not support all values, or none.
#[derive(Default)]
struct TlsOptions {
    mode: Option<String>,
    root: Option<PathBuf>,
}

/// Splits `sslmode` and `sslrootcert` off the URL.
fn take_tls_options(url: &str) -> (String, TlsOptions) {
    let mut tls_options = TlsOptions::default();
    let Some((start, query)) = url.split_once('?') else { return (url.to_owned(), tls_options) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => tls_options.mode = Some(value()),
            "sslrootcert" => tls_options.root = Some(PathBuf::from(value())),
            _ => rest.push(pair),
        }
    }
    (if rest.is_empty() { start.to_owned() } else { format!("{start}?{}", rest.join("&")) }, tls_options)
}

/// Whether all hosts are on this machine. TLS is then used only if `sslmode` asks for it, because a freshly installed
/// server has a self-signed certificate.
fn is_local(config: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn tls_config(mode: SslMode, root: Option<PathBuf>) -> Result<ClientConfig, AddressError> {
    if root.is_none() && mode == SslMode::Disable {
        return tls::none().map_err(AddressError::Tls);
    }
    tls::client_config(root.as_deref()).map_err(|error| match (error, root) {
        (TlsError::Unreadable(source), Some(path)) => AddressError::RootCertificates { path, source },
        (TlsError::NoCertificate, Some(path)) => AddressError::NoRootCertificate(path),
        (error, _) => AddressError::Tls(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, AddressError> {
        Address::parse(&Secret::new(url), Duration::from_secs(1))
    }

    fn mode(url: &str) -> SslMode {
        parse(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn tls_is_asked_for_if_a_host_is_on_another_machine() {
        assert_eq!(mode("postgres://me@localhost/db"), SslMode::Disable);
        assert_eq!(mode("postgres://me@[::1]:5433/db"), SslMode::Disable);
        assert_eq!(mode("postgresql:///db?host=/var/run/postgresql"), SslMode::Disable);
        assert_eq!(mode("postgres://me@db.internal/db"), SslMode::Prefer);
        assert_eq!(mode("postgres://me@localhost,db.internal/db"), SslMode::Prefer);
        assert_eq!(mode("postgres://me@localhost/db?sslmode=require"), SslMode::Require);
        assert_eq!(mode("postgres://me@db.internal/db?sslmode=verify-full&connect_timeout=1"), SslMode::Require);
        assert_eq!(mode("postgres://me@db.internal/db?sslmode=disable"), SslMode::Disable);
        assert!(matches!(parse("postgres://me@db.internal/db?sslmode=maybe"), Err(AddressError::SslMode)));
    }

    #[test]
    fn several_hosts_share_the_time_to_connect_and_the_primary_is_chosen() {
        let address = parse("postgres://me@one,two:5433,three/db").unwrap();
        assert!(*address.config.get_connect_timeout().unwrap() <= Duration::from_millis(300));
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(address.config.get_hosts().len(), 3);
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_repeating_the_password() {
        for url in
            ["postgres://me:hunter2@host:port/db", "redis://:hunter2@host", "postgres:///db?password=hunter2&x=1"]
        {
            let error = parse(url).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(matches!(parse("postgres:///db"), Err(AddressError::NoHost)));
    }

    #[test]
    fn certificates_are_read_from_the_file_that_sslrootcert_names() {
        let folder = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["db.internal".to_owned()]).unwrap();
        let (there, empty) = (folder.path().join("own ca.pem"), folder.path().join("empty.pem"));
        std::fs::write(&there, own.cert.pem()).unwrap();
        std::fs::write(&empty, "").unwrap();
        let with = |path: &std::path::Path| {
            let path = path.display().to_string().replace(' ', "%20");
            parse(&format!("postgres://me@db.internal/db?sslmode=require&sslrootcert={path}"))
        };
        assert!(with(&there).is_ok());
        assert!(matches!(with(&empty), Err(AddressError::NoRootCertificate(_))));
        assert!(matches!(with(&folder.path().join("none.pem")), Err(AddressError::RootCertificates { .. })));
    }
}
