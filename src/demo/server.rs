//! A small HTTP/1.1 server on loopback: one accept loop, one task per connection, and an end that leaves nothing running.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

/// What an answer's body is made of; an error in it cuts the connection.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub(super) type Reply = Response<Body>;

/// Enough for any test; a runaway client waits in the kernel's queue instead of in memory.
const MAX_CONNECTIONS: usize = 4096;
/// Connections that are not accepted yet: a gateway opens hundreds at once, and the usual 128 would make some of them wait a second.
const BACKLOG: u32 = 4096;
/// An idle connection is kept far longer than any gateway's pool keeps it, so that the gateway is the one to close.
const IDLE: Duration = Duration::from_secs(300);

/// The peer finds its connection closed instead of an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(super) struct Hangup;

/// What a server does with a request.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers, or hangs up.
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Result<Reply, Hangup>> + Send;
}

/// A running server; it stops when this is dropped.
pub(super) struct Server {
    stopped: CancellationToken,
    connections: Arc<AtomicU64>,
}

/// A socket on 127.0.0.1, at a port of the system's choice.
#[expect(clippy::unused_async, reason = "that it needs the runtime, and may wait one day, is its callers' business")]
pub(super) async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Server {
    /// Starts serving. `stopped` ends the server and whatever else waits for it (upgraded connections, held requests).
    pub(super) fn start<S: Service>(listener: TcpListener, service: Arc<S>, stopped: CancellationToken) -> Self {
        let connections = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, service, stopped.clone(), connections.clone()));
        Self { stopped, connections }
    }

    /// Closes the socket and every connection.
    pub(super) fn stop(&self) {
        self.stopped.cancel();
    }

    /// How many connections were accepted.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The data is plain values: a thread that panicked while it held the lock leaves nothing half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept<S: Service>(
    listener: TcpListener,
    service: Arc<S>,
    stopped: CancellationToken,
    connections: Arc<AtomicU64>,
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let accepting = async {
        while let Ok(permit) = permits.clone().acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    connections.fetch_add(1, Ordering::Relaxed);
                    tokio::spawn(connection(stream, service.clone(), stopped.clone(), permit));
                }
                // Out of descriptors: accepting again at once would spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    stopped.run_until_cancelled(accepting).await;
}

async fn connection<S: Service>(
    stream: TcpStream,
    service: Arc<S>,
    stopped: CancellationToken,
    _permit: OwnedSemaphorePermit,
) {
    // Without this small answers wait for the peer's delayed acknowledgement; where it fails the socket is gone anyway.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| service.clone().answer(request)))
        .with_upgrades();
    // A connection that breaks is the peer's affair: there is nobody to tell.
    let _ = stopped.run_until_cancelled(serving).await;
}
