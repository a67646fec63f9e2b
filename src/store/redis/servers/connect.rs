//! One connection to one server: TCP, TLS, credentials, and a first answer.

use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::time::Duration;

use redis::{
    AsyncConnectionConfig, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, aio::MultiplexedConnection,
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::address::{Address, Credentials, Host, unusable},
    failure::description,
};
use crate::store::{contract::OpenStoreError, tls};

/// `TCP_USER_TIMEOUT`: the connection is closed if sent data stays unacknowledged for this long.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// Called with each push message of the server (RESP3).
pub(in crate::store::redis) type Push = Box<dyn Fn(PushInfo) + Send + Sync>;

/// Connects to servers with the same TLS settings and credentials.
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    login: RedisConnectionInfo,
}

/// A connection that has answered a PING, and the task that drives it.
pub(in crate::store::redis) struct Connected {
    pub(in crate::store::redis) connection: MultiplexedConnection,
    pub(in crate::store::redis) driver: AbortOnDropHandle<()>,
    pub(super) host: Host,
}

impl Connector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, credentials: &Credentials) -> Self {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(credentials.database);
        if let Some(username) = &credentials.username {
            login = login.set_username(username);
        }
        if let Some(password) = &credentials.password {
            login = login.set_password(password.expose());
        }
        Self { tls, login }
    }

    /// Connects to `host` and waits for its answer to a PING. The caller sets the deadline.
    pub(super) async fn connect(&self, host: &Host, push: Option<Push>) -> Result<Connected, String> {
        let io = |error: std::io::Error| format!("{host}: {}", error.kind());
        let tcp = TcpStream::connect((host.name.as_str(), host.port)).await.map_err(io)?;
        tcp.set_nodelay(true).map_err(io)?;
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&tcp).set_tcp_user_timeout(Some(UNACKNOWLEDGED)).map_err(io)?;
        let Some(tls) = &self.tls else { return self.log_in(host, tcp, push).await };
        let name = ServerName::try_from(host.name.clone()).map_err(|_| format!("{host}: its name is no TLS name"))?;
        // The error texts of rustls contain the host and the fault of the certificate, no secrets.
        let tls = tokio_rustls::TlsConnector::from(tls.clone()).connect(name, tcp).await;
        self.log_in(host, tls.map_err(|error| format!("{host}: TLS: {error}"))?, push).await
    }

    async fn log_in<S>(&self, host: &Host, stream: S, push: Option<Push>) -> Result<Connected, String>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let failed = |error: RedisError| format!("{host}: {}", description(&error));
        // Each caller sets a deadline for the whole of its call.
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
        // A server that is still loading its data or requires a password answers with an error here.
        redis::cmd("PING").query_async::<redis::Value>(&mut connection).await.map_err(failed)?;
        Ok(Connected { connection, driver, host: host.clone() })
    }
}

/// The TLS settings of `address`; `None` without TLS.
pub(in crate::store::redis) fn tls(address: &Address) -> Result<Option<Arc<ClientConfig>>, OpenStoreError> {
    if !address.is_tls {
        return Ok(None);
    }
    let config = tls::client_config(address.ca.as_deref()).map_err(|error| {
        unusable(&match &address.ca {
            Some(file) => format!("the ca file {}: {error}", file.display()),
            None => format!("TLS: {error}"),
        })
    })?;
    Ok(Some(Arc::new(config)))
}
