//! Binds every listening socket, and reads the certificate, before anything is served.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{Settings, tls};

/// Connections that the kernel completes and keeps for us while all workers are busy; it may cut this to `somaxconn`.
const BACKLOG: i32 = 4096;
/// Idle time after which the kernel asks whether the peer is still there: tunnels have no deadline of ours.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Bound sockets, ready to accept.
#[derive(Debug)]
pub struct Listeners {
    pub(super) public: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) health: Option<TcpListener>,
    pub(super) certificate: Option<Arc<tls::Certificate>>,
}

/// Why there is nothing to serve on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address is not ours, taken, or forbidden.
    #[error("cannot listen on {address}")]
    Address {
        /// The address as configured.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// Certificate or key are no good.
    #[error("cannot use the certificate {}", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// What is wrong with it or with its key.
        source: tls::CertificateError,
    },
}

/// Binds what `settings` name. Port 0 takes a free port.
pub fn bind(settings: &Settings) -> Result<Listeners, BindError> {
    let certificate = settings.tls.as_ref().map(|files| {
        tls::Certificate::load(files.clone())
            .map_err(|source| BindError::Certificate { path: files.cert.clone(), source })
    });
    Ok(Listeners {
        certificate: certificate.transpose()?.map(Arc::new),
        public: bind_one(settings.listen)?,
        admin: settings.admin_listen.map(bind_one).transpose()?,
        health: settings.health_listen.map(bind_one).transpose()?,
    })
}

impl Listeners {
    /// Where visitors really connect.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// Where the admin pages really are.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// Where the health pages really are.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().and_then(|l| l.local_addr().ok())
    }
}

fn bind_one(address: SocketAddr) -> Result<TcpListener, BindError> {
    listening(address).map_err(|source| BindError::Address { address, source })
}

fn listening(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // `[::]` means every address, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the old process's connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    // Set here and not at each accept: Linux hands these two on to the accepted sockets.
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    Ok(socket.into())
}
