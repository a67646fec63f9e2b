//! What serving a connection needs besides its bytes; the same for HTTP/1.1 and HTTP/2.

use std::{net::IpAddr, pin::Pin, sync::Arc, task::Context};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{activity::Activity, deadline::ConnectionDeadlines, settings::Limits, shutdown::Shutdown};

/// One connection without its bytes. `P` is the handler's own peer type.
pub(super) struct ConnectionContext<H, P> {
    pub(super) handler: H,
    pub(super) peer: P,
    /// The client's address, for the log.
    pub(super) address: IpAddr,
    pub(super) activity: Arc<Activity>,
    pub(super) deadlines: ConnectionDeadlines,
    pub(super) draining: DrainSignal,
    pub(super) shutdown: Shutdown,
    pub(super) limits: Arc<Limits>,
}

/// Notifies the task of one connection when draining begins.
pub(super) struct DrainSignal {
    token: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    is_registered: bool,
    shutdown: Shutdown,
}

impl DrainSignal {
    pub(super) fn new(token: CancellationToken, shutdown: Shutdown) -> Self {
        Self { token: Some(Box::pin(token.cancelled_owned())), is_registered: false, shutdown }
    }

    /// True once: at the first poll after draining began. To be polled by one task only: its waker is registered at
    /// the first poll, so that no later poll takes the token's lock.
    pub(super) fn just_begun(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(token) = &mut self.token else { return false };
        let was_registered = std::mem::replace(&mut self.is_registered, true);
        let has_begun = if was_registered { self.shutdown.is_draining() } else { token.as_mut().poll(cx).is_ready() };
        if has_begun {
            self.token = None;
        }
        has_begun
    }
}
