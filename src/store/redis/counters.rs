//! Limits in Redis.
//!
//! Each key is a hash slot of its own in a Cluster, so several quotas are not one step: they are spent one after the other, and where a later one is used up, the earlier
//! ones are given back. Each of these steps keeps its own quota, and in between a count is only ever too high: at worst somebody else is refused for a moment, or, where the
//! giving back is lost, one fewer is admitted in that window. Never one more.

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;

use super::{
    RedisStore, Shared, millis,
    answer::other_than_expected,
    script::{Call, REFUND, SPEND},
    time_to_live,
};
use crate::{
    clock::Timestamp,
    store::{Counters, Quota, Spent, StoreError},
};

impl Counters for RedisStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        async move {
            let deadline = self.shared.deadline();
            self.shared.saw(now);
            for (which, quota) in quotas.iter().enumerate() {
                let Some(again_at) = spend(&self.shared, quota, now, deadline).await? else { continue };
                if let Err(error) = refund(&self.shared, &quotas[..which], now, deadline).await {
                    tracing::warn!(%error, "what was counted for a request that was refused was not given back");
                }
                return Ok(Spent::Over { which, again_at });
            }
            Ok(Spent::Within)
        }
        .boxed()
    }

    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { refund(&self.shared, &quotas, now, self.shared.deadline()).await }.boxed()
    }
}

/// `None` where one more was within the quota.
async fn spend(
    shared: &Shared,
    quota: &Quota,
    now: Timestamp,
    deadline: Instant,
) -> Result<Option<Timestamp>, StoreError> {
    let call = Call::new(&SPEND, shared.keys.count(quota.key))
        .number(super::span(quota.window).max(1))
        .number(quota.most)
        .number(millis(now))
        .number(time_to_live(quota.forgotten_at(now), now));
    let mut reply = shared.ask_by(&call, deadline).await?;
    match reply.word()?.as_str() {
        "within" => Ok(None),
        "over" => reply.moment().map(Some),
        _ => Err(other_than_expected()),
    }
}

async fn refund(shared: &Shared, quotas: &[Quota], now: Timestamp, deadline: Instant) -> Result<(), StoreError> {
    for quota in quotas {
        let call = Call::new(&REFUND, shared.keys.count(quota.key))
            .number(super::span(quota.window).max(1))
            .number(millis(now));
        shared.ask_by(&call, deadline).await?;
    }
    Ok(())
}
