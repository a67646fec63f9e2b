//! The order of an end: begun (not ready, still accepting) → draining (accepting no more) → cut.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A handle on the end of the server. Clones belong together.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Stages>);

#[derive(Default)]
struct Stages {
    begun: CancellationToken,
    draining: CancellationToken,
    cut: CancellationToken,
    /// `begun` and `draining` once more: requests ask, and the tokens would take a lock to tell.
    has_begun: AtomicBool,
    is_draining: AtomicBool,
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins it: from now on not ready; after `drain_delay` no more connections, after `drain` none at all.
    pub fn begin(&self) {
        self.0.has_begun.store(true, Ordering::Relaxed);
        self.0.begun.cancel();
    }

    /// Cuts every connection now.
    pub fn cut(&self) {
        self.begin();
        self.drain();
        self.0.cut.cancel();
    }

    /// Whether it has begun (`/readyz` is 503 then).
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Cancelled when it begins.
    pub fn begun(&self) -> CancellationToken {
        self.0.begun.clone()
    }

    /// Cancelled when no more connections are accepted: the moment to end streams (WebSocket 1001).
    pub fn draining(&self) -> CancellationToken {
        self.0.draining.clone()
    }

    /// Cancelled when what is left is cut.
    pub(super) fn cutting(&self) -> CancellationToken {
        self.0.cut.clone()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }

    pub(super) fn drain(&self) {
        // Before the token, whose waking makes others look here.
        self.0.is_draining.store(true, Ordering::Release);
        self.0.draining.cancel();
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("begun", &self.has_begun()).finish_non_exhaustive()
    }
}

/// Waits for SIGTERM or SIGINT and begins the shutdown; a second signal cuts at once, and this
/// returns.
pub async fn on_signal(shutdown: &Shutdown) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    for _ in 0..2 {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if shutdown.has_begun() {
            tracing::warn!("second signal: cutting what still runs");
            shutdown.cut();
        } else {
            tracing::info!("signal received: shutting down");
            shutdown.begin();
        }
    }
    Ok(())
}
