//! The contract of every store: one file per trait, with the limits that all implementations share. Four rules:
//!
//! 1. every call can fail, and a failure never grants access;
//! 2. absence is an `Option` or a variant, not an error;
//! 3. the store's own clock decides what is valid. A call's `now` is the caller's clock, and all other times of the
//!    call and of its answer are by that clock too; the store uses only their distance from `now`. So instances whose
//!    clocks differ judge alike. For `memory` and `file` both clocks are the same one. A server's own expiry only
//!    removes records that are no longer valid;
//! 4. one call is one atomic step.
//!
//! The conformance suite (`../conformance/`) tests every implementation against this contract.

use std::sync::Arc;

mod codes;
mod counters;
mod deposits;
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
pub use deposits::{DepositPlace, Deposits};
pub use errors::{OpenStoreError, StoreError};
pub use families::{Advanced, Families};
pub use health::{Health, clocks_agree};
pub use ids::{Digest, FamilyId, Generation, Holder, Sid};
pub use notes::{Note, Notes, Replaced};
pub use one_time::{OneTime, Owner};
pub use refreshes::{Grant, Lease, Refreshes, Settled, StoredResult};

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
    /// Values that are kept for minutes, for one browser.
    pub deposits: Arc<dyn Deposits>,
    /// Notes that all instances read and replace.
    pub notes: Arc<dyn Notes>,
    /// Whether it can be reached.
    pub health: Arc<dyn Health>,
}

impl Store {
    /// Puts one implementation behind all traits.
    pub fn of<S: Refreshes + OneTime + Codes + Counters + Families + Deposits + Notes + Health + 'static>(
        store: Arc<S>,
    ) -> Self {
        Self {
            refreshes: store.clone(),
            one_time: store.clone(),
            codes: store.clone(),
            counters: store.clone(),
            families: store.clone(),
            deposits: store.clone(),
            notes: store.clone(),
            health: store,
        }
    }
}
