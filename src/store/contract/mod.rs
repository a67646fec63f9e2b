//! What several requests, and several instances of the gateway, must agree on: one file per trait, with the numbers
//! that every store shares. Four rules hold for every implementation:
//!
//! 1. every call can fail, and a failure never lets anyone in;
//! 2. absence is an `Option` or a variant, not an error;
//! 3. time is passed in: the caller's `now` decides what is valid, a server's own expiry only removes what is not;
//! 4. one call is one atomic step.
//!
//! The conformance suite (`../conformance/`) holds all of them to it.

use std::sync::Arc;

mod codes;
mod counters;
mod errors;
pub(super) mod families;
mod health;
mod ids;
mod one_time;
pub(super) mod quota;
pub(super) mod refreshes;

pub use codes::{CodeFacts, Codes, NewCode, Opened, Resent, Tried};
pub use counters::{Counters, Quota, Spent};
pub use errors::{OpenStoreError, StoreError};
pub use families::{Advanced, Families};
pub use health::Health;
pub use ids::{Digest, FamilyId, Generation, Sid};
pub use one_time::OneTime;
pub use refreshes::{Lease, Refreshes, Settled, StoredResult};

/// A store as the parts of the gateway share it: one implementation, behind its traits.
#[derive(Clone)]
pub struct Store {
    /// Leases, results, ended sessions.
    pub refreshes: Arc<dyn Refreshes>,
    /// Keys that can be taken once.
    pub one_time: Arc<dyn OneTime>,
    /// One-time codes.
    pub codes: Arc<dyn Codes>,
    /// Limits.
    pub counters: Arc<dyn Counters>,
    /// The gateway's own refresh tokens.
    pub families: Arc<dyn Families>,
    /// Whether it can be reached.
    pub health: Arc<dyn Health>,
}

impl Store {
    /// The same implementation behind all traits.
    pub fn of<S: Refreshes + OneTime + Codes + Counters + Families + Health + 'static>(store: Arc<S>) -> Self {
        Self {
            refreshes: store.clone(),
            one_time: store.clone(),
            codes: store.clone(),
            counters: store.clone(),
            families: store.clone(),
            health: store,
        }
    }
}
