//! Accepts the connections of one address and gives each to the worker with the fewest live streams.

use std::{io, net, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    slot::ConnectionSlot,
    worker::{AcceptedConnection, Worker},
};
use crate::telemetry::Metrics;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Short enough that accepting goes on within a second once file descriptors are free again.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The workers behind one address, and the counts over all of them.
#[derive(Clone)]
pub(super) struct WorkerPool {
    pub(super) workers: Arc<[Worker]>,
    /// One permit per open connection.
    pub(super) permits: Arc<Semaphore>,
    /// The open connections, tunnels included.
    pub(super) alive: TaskTracker,
    /// `None` for the admin and health addresses, whose connections are not counted.
    pub(super) metrics: Option<Arc<Metrics>>,
}

/// Accepts until `stop`; then takes the connections that the kernel has already completed, and closes the socket.
pub(super) async fn accept(listener: TcpListener, pool: WorkerPool, stop: CancellationToken) {
    let mut errors = AcceptErrors::default();
    loop {
        // The permit comes first: at the limit connections wait in the kernel's queue and take no memory here.
        let next = async {
            let permit = Arc::clone(&pool.permits).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                errors.end();
                pool.give_to_worker(stream, peer, permit);
            }
            Err(error) if is_caused_by_peer(&error) => {}
            Err(error) => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(errors.pause(&error)) => {}
                }
            }
        }
    }
    if let Err(error) = accept_queued(listener, &pool) {
        tracing::warn!(%error, "connections in the kernel's queue could not be accepted at shutdown; they are reset");
    }
}

/// Accepts what is in the kernel's queue: its peers see these connections as open, and closing the listener would
/// reset them.
fn accept_queued(listener: TcpListener, pool: &WorkerPool) -> io::Result<()> {
    let listener = listener.into_std()?;
    while let Ok(permit) = Arc::clone(&pool.permits).try_acquire_owned() {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                pool.give_to_worker(stream, peer, permit);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if is_caused_by_peer(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl WorkerPool {
    fn give_to_worker(&self, stream: net::TcpStream, peer: net::SocketAddr, permit: OwnedSemaphorePermit) {
        let worker = self.workers.iter().min_by_key(|worker| worker.load.streams());
        let Some(worker) = worker else { return };
        let slot = ConnectionSlot::new(worker.load.clone(), self.metrics.clone(), permit, self.alive.token());
        if worker.connections.send(AcceptedConnection { stream, peer, slot }).is_err() {
            tracing::error!("a worker thread has ended; the connection given to it is closed");
        }
    }
}

/// Whether the connection failed before it was accepted, so that this machine lacks no resource.
fn is_caused_by_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut)
}

/// Consecutive accept errors (no file descriptors, no memory): retried after growing pauses, logged once.
#[derive(Default)]
struct AcceptErrors {
    count: u32,
}

impl AcceptErrors {
    fn pause(&mut self, error: &io::Error) -> Duration {
        if self.count == 0 {
            tracing::error!(%error, "cannot accept connections; retrying until it works again");
        }
        self.count = self.count.saturating_add(1);
        FIRST_PAUSE.saturating_mul(1 << (self.count - 1).min(7)).min(LONGEST_PAUSE)
    }

    fn end(&mut self) {
        if self.count > 0 {
            tracing::info!(errors = self.count, "accepting connections again");
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_errors_are_retried_after_growing_bounded_pauses() {
        let mut errors = AcceptErrors::default();
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let pauses: Vec<_> = (0..50).map(|_| errors.pause(&error)).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[49]), (FIRST_PAUSE, LONGEST_PAUSE));
        errors.end();
        assert_eq!(errors.pause(&error), FIRST_PAUSE);
    }
}
