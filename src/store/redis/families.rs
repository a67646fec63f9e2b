//! Families of refresh tokens in Redis.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    script::{ADVANCE_FAMILY, BEGIN_FAMILY, END_FAMILY, ScriptCall},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Advanced, Families, FamilyId, Generation, StoreError, families::LAST_GENERATION},
        words,
    },
};

impl Families for RedisStore {
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = ScriptCall::new(&BEGIN_FAMILY, self.instance.keys.family(family))
            .arg(record)
            .moment(until, now)
            .time_to_live(until, now);
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }

    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        let call = ScriptCall::new(&ADVANCE_FAMILY, self.instance.keys.family(family))
            .number(shown)
            .span(grace)
            .moment(until, now)
            .time_to_live(until, now)
            .number(LAST_GENERATION);
        async move { words::advanced(&mut self.instance.ask(call, now).await?) }.boxed()
    }

    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = ScriptCall::new(&END_FAMILY, self.instance.keys.family(family));
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }
}
