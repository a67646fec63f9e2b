//! Where the database is: its URL, and by what its certificate is checked.

use std::{net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use percent_encoding::percent_decode_str;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::{
    AsyncMessage, Client, Config, Error,
    config::{Host, SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::secret::Secret;

/// What a connection must be driven for: its end, and what the server says unasked.
pub(super) type Messages = BoxStream<'static, Result<AsyncMessage, Error>>;

/// A database's address, ready to connect to.
pub(super) struct Address {
    config: Config,
    tls: MakeRustlsConnect,
}

/// Why an address can never be connected to. None of these repeats a part of it that may be a password.
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
    Tls(#[from] rustls::Error),
}

impl Address {
    /// Understands `url`; connecting to all of its hosts one after the other takes less than `limit`.
    pub(super) fn parse(url: &Secret, limit: Duration) -> Result<Self, AddressError> {
        let url = url.expose();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(AddressError::Scheme);
        }
        let (plain, ours) = take_ours(url);
        let mut config: Config = plain.parse().map_err(AddressError::Syntax)?;
        let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
        if hosts == 0 {
            return Err(AddressError::NoHost);
        }
        let mode = match ours.mode.as_deref() {
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
            // Of several, the one that is not a standby.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self { config, tls: MakeRustlsConnect::new(tls(mode, ours.root)?) })
    }

    /// A new connection. It does nothing while its messages are not polled.
    pub(super) async fn connect(&self) -> Result<(Client, Messages), Error> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        Ok((client, stream::poll_fn(move |context| connection.poll_message(context)).boxed()))
    }

    /// How the pool is to see it.
    pub(super) fn config(&self) -> Config {
        self.config.clone()
    }
}

/// The options that `tokio-postgres` does not know, or knows less of.
#[derive(Default)]
struct Ours {
    mode: Option<String>,
    root: Option<PathBuf>,
}

/// The URL without `sslmode` and `sslrootcert`, and these.
fn take_ours(url: &str) -> (String, Ours) {
    let mut ours = Ours::default();
    let Some((start, query)) = url.split_once('?') else { return (url.to_owned(), ours) };
    let mut rest = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match name {
            "sslmode" => ours.mode = Some(value()),
            "sslrootcert" => ours.root = Some(PathBuf::from(value())),
            _ => rest.push(pair),
        }
    }
    (if rest.is_empty() { start.to_owned() } else { format!("{start}?{}", rest.join("&")) }, ours)
}

/// Whether nothing of it leaves this machine: TLS is then for those who ask for it, because a server as it is installed has a certificate that nobody trusts.
fn is_local(config: &Config) -> bool {
    let is_local = |host: &Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    };
    config.get_hosts().iter().all(is_local) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

fn tls(mode: SslMode, root: Option<PathBuf>) -> Result<ClientConfig, AddressError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let Some(path) = root else {
        if mode == SslMode::Disable {
            return Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
        }
        return Ok(builder.with_platform_verifier()?.with_no_client_auth());
    };
    let unreadable = |source| AddressError::RootCertificates { path: path.clone(), source };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&path).map_err(unreadable)? {
        roots.add(certificate.map_err(unreadable)?)?;
    }
    if roots.is_empty() {
        return Err(AddressError::NoRootCertificate(path));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
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
    fn tls_is_asked_for_where_the_connection_leaves_the_machine() {
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
    fn several_hosts_share_the_time_to_connect_and_the_one_that_can_be_written_to_is_found() {
        let address = parse("postgres://me@one,two:5433,three/db").unwrap();
        assert!(*address.config.get_connect_timeout().unwrap() <= Duration::from_millis(300));
        assert_eq!(address.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(address.config.get_hosts().len(), 3);
    }

    #[test]
    fn an_address_that_makes_no_sense_is_refused_without_repeating_it() {
        for url in
            ["postgres://me:hunter2@host:port/db", "redis://:hunter2@host", "postgres:///db?password=hunter2&x=1"]
        {
            let error = parse(url).err().unwrap().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(matches!(parse("postgres:///db"), Err(AddressError::NoHost)));
    }

    #[test]
    fn certificates_of_ones_own_are_read_from_the_file_that_sslrootcert_names() {
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
