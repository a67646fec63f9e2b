//! A worker: one thread, one runtime, and the connections dealt to it.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{
    runtime,
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
};
use tokio_util::{sync::CancellationToken, task::task_tracker::TaskTrackerToken};

use super::{Handler, clients::Place, connection::Front};
use crate::telemetry::Metrics;

/// A worker's live streams. A connection counts as its requests in flight, and as one while it has none, so that idle
/// connections are spread as well.
#[derive(Clone, Default, Debug)]
pub(super) struct Load(Arc<AtomicUsize>);

impl Load {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn subtract(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(super) fn streams(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A connection's place; it is given back when the connection, or the tunnel it was upgraded to, is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    load: Load,
    metrics: Option<Arc<Metrics>>,
    /// Among its client's.
    place: Option<Place>,
    _permit: OwnedSemaphorePermit,
    _alive: TaskTrackerToken,
}

impl Slot {
    pub(super) fn new(
        load: Load,
        metrics: Option<Arc<Metrics>>,
        permit: OwnedSemaphorePermit,
        alive: TaskTrackerToken,
    ) -> Self {
        load.add();
        if let Some(metrics) = &metrics {
            metrics.connections.inc();
        }
        Self { load, metrics, place: None, _permit: permit, _alive: alive }
    }

    /// Gives `place` back when it is given back itself.
    pub(super) fn hold(&mut self, place: Option<Place>) {
        self.place = place;
    }

    pub(super) fn load(&self) -> Load {
        self.load.clone()
    }

    /// Counts that the connection is closed for its peer's flood.
    pub(super) fn count_flood(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.connections_flooded.inc();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.load.subtract();
        if let Some(metrics) = &self.metrics {
            metrics.connections.dec();
        }
    }
}

/// An accepted connection on its way to a worker; it belongs to no runtime yet.
pub(super) struct Dealt {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: Slot,
}

/// The accepting side's handle on a worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) load: Load,
    /// Bounded by the connections' permits.
    pub(super) dealt: mpsc::UnboundedSender<Dealt>,
}

/// Starts worker `index`. What comes back beside its handle is the news of its end.
pub(super) fn start<H: Handler>(
    index: usize,
    front: impl FnOnce(usize) -> Front<H> + Send + 'static,
    cut: CancellationToken,
) -> io::Result<(Worker, oneshot::Receiver<()>)> {
    let (dealt, mut hand) = mpsc::unbounded_channel::<Dealt>();
    let (ended, end) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        runtime.block_on(async {
            let front = Arc::new(front(index));
            let serve = async {
                while let Some(Dealt { stream, peer, slot }) = hand.recv().await {
                    match tokio::net::TcpStream::from_std(stream) {
                        Ok(stream) => drop(tokio::spawn(Arc::clone(&front).serve(stream, peer, slot))),
                        Err(error) => tracing::error!(%error, "an accepted connection cannot be served"),
                    }
                }
                // No more will come; those that are here go on until they end or are cut.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = cut.cancelled() => {}
                () = serve => {}
            }
        });
        // Here everything that still ran is dropped, and its sockets closed.
        drop(runtime);
        let _ = ended.send(());
    })?;
    Ok((Worker { load: Load::default(), dealt }, end))
}
