//! Families of refresh tokens in Redis.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    RedisStore, millis,
    answer::other_than_expected,
    script::{ADVANCE_FAMILY, BEGIN_FAMILY, Call, END_FAMILY},
    span, time_to_live,
};
use crate::{
    clock::Timestamp,
    store::{Advanced, Families, FamilyId, Generation, StoreError},
};

impl Families for RedisStore {
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = Call::new(&BEGIN_FAMILY, self.shared.keys.family(family))
            .arg(record)
            .number(millis(until))
            .number(millis(now))
            .number(time_to_live(until, now));
        async move { self.shared.ask_at(&call, now).await.map(drop) }.boxed()
    }

    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        let call = Call::new(&ADVANCE_FAMILY, self.shared.keys.family(family))
            .number(shown)
            .number(span(grace))
            .number(millis(until))
            .number(millis(now))
            .number(time_to_live(until, now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "to" => Ok(Advanced::To { generation: reply.number()?, record: reply.bytes()? }),
                "reused" => Ok(Advanced::Reused),
                "unknown" => Ok(Advanced::Unknown),
                _ => Err(other_than_expected()),
            }
        }
        .boxed()
    }

    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = Call::new(&END_FAMILY, self.shared.keys.family(family));
        async move { self.shared.ask_at(&call, now).await.map(drop) }.boxed()
    }
}
