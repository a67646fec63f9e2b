//! The one acceptor of an address: each connection is dealt, once, to the worker with the fewest live streams.

use std::{io, net, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::worker::{Dealt, Slot, Worker};
use crate::telemetry::Metrics;

const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Recovery from a lack of file descriptors is to show within a second.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The workers, and what is counted over all of them.
#[derive(Clone)]
pub(super) struct Table {
    pub(super) workers: Arc<[Worker]>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) alive: TaskTracker,
    /// Counted for visitors alone.
    pub(super) metrics: Option<Arc<Metrics>>,
}

/// Accepts until `stop`; then takes what the kernel had already completed, and closes the socket.
pub(super) async fn accept(listener: TcpListener, table: Table, stop: CancellationToken) {
    let mut lack = Lack::default();
    loop {
        // Taken first: at the limit connections wait in the kernel's queue, and cost nothing here.
        let next = async {
            let permit = Arc::clone(&table.permits).acquire_owned().await;
            (permit.expect("the semaphore is never closed"), listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            next = next => next,
        };
        match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
            Ok((stream, peer)) => {
                lack.over();
                table.deal(stream, peer, permit);
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(lack.pause(&error)) => {}
                }
            }
        }
    }
    if let Err(error) = finish(listener, &table) {
        tracing::warn!(%error, "the last connections could not be accepted");
    }
}

/// To the peers these connections are open, so closing the listener with them in its queue would reset them.
fn finish(listener: TcpListener, table: &Table) -> io::Result<()> {
    let listener = listener.into_std()?;
    while let Ok(permit) = Arc::clone(&table.permits).try_acquire_owned() {
        match listener.accept() {
            Ok((stream, peer)) => {
                stream.set_nonblocking(true)?;
                table.deal(stream, peer, permit);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if is_the_peers(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Table {
    fn deal(&self, stream: net::TcpStream, peer: net::SocketAddr, permit: OwnedSemaphorePermit) {
        let worker = self.workers.iter().min_by_key(|worker| worker.load.streams());
        let Some(worker) = worker else { return };
        let slot = Slot::new(worker.load.clone(), self.metrics.clone(), permit, self.alive.token());
        if worker.dealt.send(Dealt { stream, peer, slot }).is_err() {
            tracing::error!("a worker is gone; its connection is dropped");
        }
    }
}

/// The connection failed before we took it: nothing of ours is short.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted | TimedOut)
}

/// A burst of accept errors (no file descriptors, no memory): retried at a growing distance, told once.
#[derive(Default)]
struct Lack {
    errors: u32,
}

impl Lack {
    fn pause(&mut self, error: &io::Error) -> Duration {
        if self.errors == 0 {
            tracing::error!(%error, "cannot accept connections; trying on");
        }
        self.errors = self.errors.saturating_add(1);
        FIRST_PAUSE.saturating_mul(1 << (self.errors - 1).min(7)).min(LONGEST_PAUSE)
    }

    fn over(&mut self) {
        if self.errors > 0 {
            tracing::info!(errors = self.errors, "accepting connections again");
            self.errors = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_errors_are_retried_at_a_growing_bounded_distance() {
        let mut lack = Lack::default();
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let pauses: Vec<_> = (0..50).map(|_| lack.pause(&error)).collect();
        assert!(pauses.is_sorted());
        assert_eq!((pauses[0], pauses[49]), (FIRST_PAUSE, LONGEST_PAUSE));
        lack.over();
        assert_eq!(lack.pause(&error), FIRST_PAUSE);
    }
}
