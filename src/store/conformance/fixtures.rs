//! Helpers of the cases: times, random keys, concurrent calls, and waiting.

use std::{future::Future, time::Duration};

use tokio::{sync::broadcast, task::JoinSet};

use crate::{
    clock::Timestamp,
    secret::Random,
    store::contract::{Digest, FamilyId, Holder, Sid, Store},
};

/// How long an event may take before a case fails.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

pub(super) fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(super) fn sid() -> Sid {
    Sid(Random::system().bytes())
}

pub(super) fn digest() -> Digest {
    Digest(Random::system().bytes())
}

pub(super) fn holder() -> Holder {
    Holder(Random::system().bytes())
}

pub(super) fn family() -> FamilyId {
    FamilyId(Random::system().bytes())
}

/// The answers of `many` tasks that run `call` at once.
pub(super) async fn at_once<T, F>(many: usize, store: &Store, call: impl Fn(Store, usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for number in 0..many {
        tasks.spawn(call(store.clone(), number));
    }
    tasks.join_all().await
}

/// Waits until `store` has `sid` as ended; false if this takes longer than `at_most`.
pub(super) async fn receives_end(
    store: &Store,
    endings: &mut broadcast::Receiver<Sid>,
    sid: Sid,
    now: Timestamp,
    at_most: Duration,
) -> bool {
    let receiving = async {
        // The ends of other cases' sessions are received too; if the receiver lags behind them, that is no failure.
        while !store.refreshes.has_ended(sid, now) {
            if let Err(broadcast::error::RecvError::Closed) = endings.recv().await {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(at_most, receiving).await;
    store.refreshes.has_ended(sid, now)
}
