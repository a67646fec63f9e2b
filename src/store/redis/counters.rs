//! Quotas in Redis.
//!
//! Each key may be on another node of a Cluster, so several quotas cannot be spent in one step. They are spent one
//! after the other; if a later one is used up, the earlier ones are refunded. Until then their counts are too high by
//! one: another caller may be refused, and if the refund is lost, one event fewer is admitted in that window. A quota
//! is never exceeded.

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;

use super::{
    instance::Instance,
    script::{REFUND, SPEND, ScriptCall},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Counters, Quota, Spent, StoreError},
        words::{AnswerReader as _, unknown},
    },
};

impl Counters for RedisStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        async move {
            let deadline = self.instance.deadline();
            for (which, quota) in quotas.iter().enumerate() {
                let Some(again_at) = spend(&self.instance, quota, now, deadline).await? else { continue };
                if let Err(error) = refund(&self.instance, &quotas[..which], now, now, deadline).await {
                    tracing::warn!(%error, "the quotas that were spent for a refused request could not be refunded");
                }
                return Ok(Spent::Over { which, again_at });
            }
            Ok(Spent::Within)
        }
        .boxed()
    }

    fn refund(
        &self,
        quotas: Vec<Quota>,
        counted_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { refund(&self.instance, &quotas, counted_at, now, self.instance.deadline()).await }.boxed()
    }
}

/// Spends one quota. `None` if one more event was within it, otherwise the time from which it admits one.
async fn spend(
    instance: &Instance,
    quota: &Quota,
    now: Timestamp,
    deadline: Instant,
) -> Result<Option<Timestamp>, StoreError> {
    let call = ScriptCall::new(&SPEND, instance.keys.count(quota.key))
        .number(quota.millis())
        .number(quota.most)
        // The count has no effect two windows after the start of its window.
        .time_to_live(now.plus(quota.window.saturating_mul(2)), now);
    let mut answer = instance.ask_by(call, now, deadline).await?;
    match answer.word()?.as_str() {
        "within" => Ok(None),
        "over" => answer.moment().map(Some),
        word => Err(unknown(word)),
    }
}

async fn refund(
    instance: &Instance,
    quotas: &[Quota],
    counted_at: Timestamp,
    now: Timestamp,
    deadline: Instant,
) -> Result<(), StoreError> {
    for quota in quotas {
        let call =
            ScriptCall::new(&REFUND, instance.keys.count(quota.key)).number(quota.millis()).moment(counted_at, now);
        instance.ask_by(call, now, deadline).await?;
    }
    Ok(())
}
