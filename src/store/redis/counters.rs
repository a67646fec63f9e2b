//! Limits in Redis.
//!
//! Each key may be on another node of a Cluster, so several quotas are not one step. They are spent one after the
//! other; if a later one is used up, the earlier ones are refunded. Each step keeps its own quota, and in between a
//! count is only ever too high. At worst another caller is refused for a moment, or, if the refund is lost, one fewer
//! is admitted in that window. Never one more.

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;

use super::{
    instance::Instance,
    script::{Call, REFUND, SPEND},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Counters, Quota, Spent, StoreError},
        words::{Answer as _, unknown},
    },
};

impl Counters for RedisStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        async move {
            let deadline = self.instance.deadline();
            self.instance.local.note_time(now);
            for (which, quota) in quotas.iter().enumerate() {
                let Some(again_at) = spend(&self.instance, quota, now, deadline).await? else { continue };
                if let Err(error) = refund(&self.instance, &quotas[..which], now, deadline).await {
                    tracing::warn!(%error, "what was counted for a request that was refused was not given back");
                }
                return Ok(Spent::Over { which, again_at });
            }
            Ok(Spent::Within)
        }
        .boxed()
    }

    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { refund(&self.instance, &quotas, now, self.instance.deadline()).await }.boxed()
    }
}

/// `None` if one more was within the quota.
async fn spend(
    instance: &Instance,
    quota: &Quota,
    now: Timestamp,
    deadline: Instant,
) -> Result<Option<Timestamp>, StoreError> {
    let call = Call::new(&SPEND, instance.keys.count(quota.key))
        .number(quota.millis())
        .number(quota.most)
        .moment(now)
        .time_to_live(quota.forgotten_at(now), now);
    let mut answer = instance.ask_by(&call, deadline).await?;
    match answer.word()?.as_str() {
        "within" => Ok(None),
        "over" => answer.moment().map(Some),
        word => Err(unknown(word)),
    }
}

async fn refund(instance: &Instance, quotas: &[Quota], now: Timestamp, deadline: Instant) -> Result<(), StoreError> {
    for quota in quotas {
        let call = Call::new(&REFUND, instance.keys.count(quota.key)).number(quota.millis()).moment(now);
        instance.ask_by(&call, deadline).await?;
    }
    Ok(())
}
