//! What an accepted connection counts as until it is dropped: in its worker's load, the metrics and the limits.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::clients::ClientSlot;
use crate::telemetry::Metrics;

/// A worker's live streams. A connection counts as its requests in flight, and as one while it has none, so that idle
/// connections are spread over the workers as well.
#[derive(Clone, Default, Debug)]
pub(super) struct WorkerLoad(Arc<AtomicUsize>);

impl WorkerLoad {
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

/// Counts one connection; the counts end when the connection, or the tunnel it was upgraded to, drops this.
#[derive(Debug)]
pub(super) struct ConnectionSlot {
    load: WorkerLoad,
    metrics: Option<Arc<Metrics>>,
    client: Option<ClientSlot>,
    _permit: OwnedSemaphorePermit,
    _alive: TaskTrackerToken,
}

impl ConnectionSlot {
    pub(super) fn new(
        load: WorkerLoad,
        metrics: Option<Arc<Metrics>>,
        permit: OwnedSemaphorePermit,
        alive: TaskTrackerToken,
    ) -> Self {
        load.add();
        if let Some(metrics) = &metrics {
            metrics.connections.inc();
        }
        Self { load, metrics, client: None, _permit: permit, _alive: alive }
    }

    /// Counts the connection for its client too, until this slot is dropped.
    pub(super) fn add_client_slot(&mut self, client: Option<ClientSlot>) {
        self.client = client;
    }

    pub(super) fn load(&self) -> WorkerLoad {
        self.load.clone()
    }

    /// Counts that the connection is closed because of its peer's flood.
    pub(super) fn count_flood(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.connections_flooded.inc();
        }
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.load.subtract();
        if let Some(metrics) = &self.metrics {
            metrics.connections.dec();
        }
    }
}
