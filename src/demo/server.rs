//! A small HTTP/1.1 server on loopback: one accept loop, and one task per connection. Stopping it ends all connections.

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

/// The body of an answer; an error in it closes the connection.
pub(super) type ReplyBody = UnsyncBoxBody<Bytes, io::Error>;
/// An answer.
pub(super) type Reply = Response<ReplyBody>;

/// Most open connections; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 4096;
/// Length of the kernel's queue of connections. A gateway opens hundreds at the same time; with the usual 128 the
/// kernel would drop some, and they would be retried after a second.
const BACKLOG: u32 = 4096;
/// Deadline for a request's head, idle time included. It is longer than the idle timeout of a gateway's pool, so that
/// the gateway closes first.
const IDLE: Duration = Duration::from_secs(300);

/// The connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
pub(super) struct Hangup;

/// Answers the requests of a server.
pub(super) trait Service: Send + Sync + 'static {
    /// The answer to a request, or [`Hangup`] to close the connection.
    fn answer(self: Arc<Self>, request: Request<Incoming>) -> impl Future<Output = Result<Reply, Hangup>> + Send;
}

/// A running server; dropping it stops the server.
pub(super) struct LoopbackServer {
    stopped: CancellationToken,
    connections: Arc<AtomicU64>,
}

/// A listening socket on 127.0.0.1, at a port of the system's choice.
#[expect(clippy::unused_async, reason = "it must be called within a tokio runtime")]
pub(super) async fn bind() -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl LoopbackServer {
    /// Starts serving. `stopped` ends the server and its connections, upgraded ones included.
    pub(super) fn start<S: Service>(listener: TcpListener, service: Arc<S>, stopped: CancellationToken) -> Self {
        let connections = Arc::new(AtomicU64::new(0));
        tokio::spawn(accept(listener, service, stopped.clone(), connections.clone()));
        Self { stopped, connections }
    }

    /// Closes the listening socket and every connection.
    pub(super) fn stop(&self) {
        self.stopped.cancel();
    }

    /// Number of accepted connections.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for LoopbackServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Locks a mutex, also a poisoned one: the demo's mutexes have plain values, which a panic does not leave inconsistent.
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
                // For example no file descriptors left: without a pause this would be a busy loop.
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
    // Without TCP_NODELAY small answers wait for the peer's delayed acknowledgement. It fails only on a closed socket.
    let _ = stream.set_nodelay(true);
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), service_fn(move |request| service.clone().answer(request)))
        .with_upgrades();
    // A broken connection needs no report.
    let _ = stopped.run_until_cancelled(serving).await;
}
