//! Keys that can be taken once, in Redis.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    script::{GIVE_BACK, ScriptCall, TAKE},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Digest, OneTime, StoreError},
        words::AnswerReader as _,
    },
};

impl OneTime for RedisStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = ScriptCall::new(&TAKE, self.instance.keys.once(key)).moment(until, now).time_to_live(until, now);
        async move { Ok(self.instance.ask(call, now).await?.word()? == "first") }.boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = ScriptCall::new(&GIVE_BACK, self.instance.keys.once(key));
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }
}
