//! One connection to one server: TCP, TLS, login, and a first answer.

use std::{sync::Arc, time::Duration};

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::address::{Address, Host, Login, wrong},
    failure::spoken,
};
use crate::store::OpenError;

/// A peer that acknowledges nothing for so long is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Is told what the server says unasked.
pub(in crate::store::redis) type Push = Box<dyn Fn(PushInfo) + Send + Sync>;

/// How servers of one kind are connected to.
pub(in crate::store::redis) struct Dialer {
    tls: Option<Arc<ClientConfig>>,
    login: RedisConnectionInfo,
}

/// A connection that has answered, and the task that drives it.
pub(in crate::store::redis) struct Connected {
    pub(in crate::store::redis) connection: MultiplexedConnection,
    pub(in crate::store::redis) driver: AbortOnDropHandle<()>,
    pub(in crate::store::redis) host: Host,
}

impl Dialer {
    pub(in crate::store::redis) fn new(tls: Option<Arc<ClientConfig>>, login: &Login) -> Self {
        let mut info = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(login.database);
        if let Some(username) = &login.username {
            info = info.set_username(username);
        }
        if let Some(password) = &login.password {
            info = info.set_password(password.expose());
        }
        Self { tls, login: info }
    }

    /// Connects to `host` and waits for its first answer. The caller sets the deadline.
    pub(in crate::store::redis) async fn dial(&self, host: &Host, push: Option<Push>) -> Result<Connected, String> {
        let io = |error: std::io::Error| format!("{host}: {}", error.kind());
        let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(io)?;
        tcp.set_nodelay(true).map_err(io)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED)).map_err(io)?;
        let Some(tls) = &self.tls else { return self.greet(host, tcp, push).await };
        let name = ServerName::try_from(host.name.clone()).map_err(|_| format!("{host}: its name is no TLS name"))?;
        // What rustls says of a certificate names the host and the fault, nothing secret.
        let tls = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, tcp).await;
        self.greet(host, tls.map_err(|error| format!("{host}: TLS: {error}"))?, push).await
    }

    async fn greet<S>(&self, host: &Host, stream: S, push: Option<Push>) -> Result<Connected, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: RedisError| format!("{host}: {}", spoken(&error));
        // Deadlines are set where calls are made, for the whole of a call.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
        let mut login = self.login.clone();
        if let Some(push) = push {
            login = login.set_protocol(ProtocolVersion::RESP3);
            config = config.set_push_sender(move |info: PushInfo| {
                push(info);
                Ok::<_, redis::aio::SendError>(())
            });
        }
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&login, stream, config).await.map_err(failed)?;
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        // A server that is still loading its data, or wants a password, says so now.
        redis::cmd("PING").query_async::<redis::Value>(&mut connection).await.map_err(failed)?;
        Ok(Connected { connection, driver, host: host.clone() })
    }
}

/// How certificates are checked: by those in `ca`, else by the system's trust store. `None` without TLS.
pub(in crate::store::redis) fn tls(address: &Address) -> Result<Option<Arc<ClientConfig>>, OpenError> {
    if !address.is_tls {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let broken = |error: rustls::Error| wrong(&format!("TLS: {error}"));
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(broken)?;
    let config = match &address.ca {
        None => builder.with_platform_verifier().map_err(broken)?.with_no_client_auth(),
        Some(file) => {
            let unreadable = |why: String| wrong(&format!("the ca file {}: {why}", file.display()));
            let mut trusted = RootCertStore::empty();
            let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                trusted.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if trusted.is_empty() {
                return Err(unreadable("it holds no certificate".to_owned()));
            }
            builder.with_root_certificates(trusted).with_no_client_auth()
        }
    };
    Ok(Some(Arc::new(config)))
}
