//! The contract of every store: one file per trait, with the limits that all implementations share. Four rules:
//!
//! 1. every call can fail, and a failure never grants access;
//! 2. absence is an `Option` or a variant, not an error;
//! 3. time is an argument: the caller's `now` decides what is valid; a server's own expiry only removes records that
//!    are no longer valid;
//! 4. one call is one atomic step.
//!
//! The conformance suite (`../conformance/`) tests every implementation against this contract.

use std::sync::Arc;

mod codes;
mod counters;
mod errors;
pub(super) mod families;
mod health;
mod ids;
mod notes;
mod one_time;
pub(super) mod quota;
pub(super) mod refreshes;

pub use codes::{CodeFacts, Codes, NewCode, Opened, Resent, Tried};
pub use counters::{Counters, Quota, Spent};
pub use errors::{OpenStoreError, StoreError};
pub use families::{Advanced, Families};
pub use health::Health;
pub use ids::{Digest, FamilyId, Generation, Sid};
pub use notes::{Note, Notes, Replaced};
pub use one_time::OneTime;
pub use refreshes::{Lease, Refreshes, Settled, StoredResult};

/// One store behind its traits. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    /// Leases of refresh tokens, results of refreshes, ended sessions.
    pub refreshes: Arc<dyn Refreshes>,
    /// Keys that can be taken once.
    pub one_time: Arc<dyn OneTime>,
    /// One-time codes.
    pub codes: Arc<dyn Codes>,
    /// Counts of quotas.
    pub counters: Arc<dyn Counters>,
    /// The refresh tokens that the gateway itself issues.
    pub families: Arc<dyn Families>,
    /// Notes that all instances read and replace.
    pub notes: Arc<dyn Notes>,
    /// Whether it can be reached.
    pub health: Arc<dyn Health>,
}

impl Store {
    /// Puts one implementation behind all traits.
    pub fn of<S: Refreshes + OneTime + Codes + Counters + Families + Notes + Health + 'static>(store: Arc<S>) -> Self {
        Self {
            refreshes: store.clone(),
            one_time: store.clone(),
            codes: store.clone(),
            counters: store.clone(),
            families: store.clone(),
            notes: store.clone(),
            health: store,
        }
    }
}
