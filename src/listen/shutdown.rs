//! The stages of a shutdown: begun (not ready, still accepting) → draining (no longer accepting) → cut.

use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A handle on the shutdown of the server. Clones are handles on the same shutdown.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Stages>);

#[derive(Default)]
struct Stages {
    begun: CancellationToken,
    draining: CancellationToken,
    cut: CancellationToken,
    /// The same as `begun` and `draining`, for checks on every request, because the tokens take a lock.
    has_begun: AtomicBool,
    is_draining: AtomicBool,
}

impl Shutdown {
    /// A shutdown that has not begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the shutdown: from now on `/readyz` is 503; after `drain_delay` no connections are accepted, and after
    /// `drain` the open ones are cut.
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

    /// Whether the shutdown has begun (`/readyz` is 503 then).
    pub fn has_begun(&self) -> bool {
        self.0.has_begun.load(Ordering::Relaxed)
    }

    /// Cancelled when the shutdown begins.
    pub fn begun(&self) -> CancellationToken {
        self.0.begun.clone()
    }

    /// Cancelled when no more connections are accepted: the moment to end streams (WebSocket close code 1001).
    pub fn draining(&self) -> CancellationToken {
        self.0.draining.clone()
    }

    /// Cancelled when the open connections are cut.
    pub(super) fn cutting(&self) -> CancellationToken {
        self.0.cut.clone()
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }

    pub(super) fn drain(&self) {
        // Before the token: the tasks that it wakes read this flag.
        self.0.is_draining.store(true, Ordering::Release);
        self.0.draining.cancel();
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown").field("begun", &self.has_begun()).finish_non_exhaustive()
    }
}

/// SIGTERM and SIGINT, received from the moment that this is made: one that comes before anything can be shut down
/// waits.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// To be called inside a tokio runtime, which must run when the signals are waited for.
    pub fn receive() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one of them and begins the shutdown; a second one cuts all connections at once.
    pub async fn stop(mut self, shutdown: Shutdown) {
        for _ in 0..2 {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
            if shutdown.has_begun() {
                tracing::warn!("second signal: cutting open connections");
                shutdown.cut();
            } else {
                tracing::info!("signal received: shutting down");
                shutdown.begin();
            }
        }
    }
}
