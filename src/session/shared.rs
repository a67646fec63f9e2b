//! State that all sessions of the process share: settings, keys, cookie names, store, authority and caches.

use std::sync::Arc;

use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    cookies::Jar,
    forged_tokens::ForgedTokens,
    opened::OpenedCookies,
    refresh::{in_flight::InFlight, watch::Authorities},
    settings::Settings,
    state::SessionStates,
};
use crate::{
    authority::Authority,
    clock::{Clock, Timestamp},
    seal::KeyRing,
    secret::Random,
    store::Store,
    telemetry::Metrics,
};

/// The sessions of this process. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pub(super) shared: Arc<Shared>,
}

/// State that all sessions of this process share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) jar: Jar,
    pub(super) ring: KeyRing,
    pub(super) opened: OpenedCookies,
    pub(super) forged_tokens: ForgedTokens,
    pub(super) states: SessionStates,
    pub(super) in_flight: InFlight,
    pub(super) authorities: Authorities,
    pub(super) authority: Arc<Authority>,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) random: Random,
    /// A random id of this process, or of this configuration in it: part of what holds a lease.
    pub(super) process: [u8; 16],
    pub(super) metrics: Arc<Metrics>,
    /// One permit for each failed write to the store that is tried again.
    pub(super) pending_writes: Arc<Semaphore>,
    /// The runtime of refreshes, so that neither a busy core nor a client that disconnects delays them.
    pub(super) background: Handle,
    /// Cancelled when this is dropped, so that the task which follows the ends of sessions ends too.
    pub(super) _alive: tokio_util::sync::DropGuard,
}

impl Shared {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The time of the store's clock, for times that another instance judges.
    pub(super) fn store_time(&self) -> Timestamp {
        self.store.health.time_at(self.now())
    }

    /// True if the last call to the store failed.
    pub(super) fn is_store_unreachable(&self) -> bool {
        self.store.health.is_reachable() == Some(false)
    }
}
