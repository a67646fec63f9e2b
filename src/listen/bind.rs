//! Binds every listening socket and reads the certificate, before anything is served.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::{settings::Settings, tls};

/// Completed connections in the kernel's queue while all workers are busy; the kernel may lower this to `somaxconn`.
const BACKLOG: i32 = 4096;
/// Idle time after which the kernel probes whether the peer is still there; tunnels have no other check for that.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// Bound sockets, ready to accept.
#[derive(Debug)]
pub struct Listeners {
    pub(super) public: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) health: Option<TcpListener>,
    pub(super) certificate: Option<Arc<tls::Certificate>>,
}

/// Why the server has no sockets or no certificate.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// An address is not of this machine, is in use, or may not be used.
    #[error("cannot listen on {address}")]
    Address {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("cannot use the certificate {}", path.display())]
    Certificate {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong with the certificate or with its key.
        source: tls::CertificateError,
    },
}

/// Binds the addresses in `settings`. Port 0 takes a free port.
pub fn bind(settings: &Settings) -> Result<Listeners, BindError> {
    let certificate = settings.tls.as_ref().map(|files| {
        tls::Certificate::load(files.clone())
            .map_err(|source| BindError::Certificate { path: files.cert.clone(), source })
    });
    Ok(Listeners {
        certificate: certificate.transpose()?.map(Arc::new),
        public: bind_address(settings.listen)?,
        admin: settings.admin_listen.map(bind_address).transpose()?,
        health: settings.health_listen.map(bind_address).transpose()?,
    })
}

impl Listeners {
    /// The address of visitors' connections as bound, with the port that port 0 became.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.public.local_addr()
    }

    /// The address of the admin pages as bound.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().and_then(|l| l.local_addr().ok())
    }

    /// The address of the health pages as bound.
    pub fn health_address(&self) -> Option<SocketAddr> {
        self.health.as_ref().and_then(|l| l.local_addr().ok())
    }
}

fn bind_address(address: SocketAddr) -> Result<TcpListener, BindError> {
    listen_on(address).map_err(|source| BindError::Address { address, source })
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // `[::]` means IPv4 too, whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    // Without this a restart fails while connections of the old process are in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    // Set on the listening socket and not at each accept: accepted sockets inherit both on Linux.
    let options = SockRef::from(&socket);
    options.set_tcp_nodelay(true)?;
    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE))?;
    Ok(socket.into())
}
