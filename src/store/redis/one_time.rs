//! Keys that can be taken once, in Redis.

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::Instant;

use super::{
    script::{GIVE_BACK, OWN, ScriptCall, TAKE},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Digest, OneTime, Owner, StoreError},
        words::{AnswerReader as _, incomplete, unknown},
    },
};

impl OneTime for RedisStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = ScriptCall::new(&TAKE, self.instance.keys.once(key)).moment(until, now).time_to_live(until, now);
        async move { Ok(self.instance.ask(call, now).await?.word()? == "first") }.boxed()
    }

    fn take_of(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let deadline = self.instance.deadline();
            let take = ScriptCall::new(&TAKE, self.instance.keys.once(key)).moment(until, now).time_to_live(until, now);
            if self.instance.ask_by(take, now, deadline).await?.word()? != "first" {
                return Ok(false);
            }
            // The list may be on another node of a Cluster. If one of these calls fails, a key stays until it expires.
            if let Err(error) = self.forget_oldest(owner, key, until, now, deadline).await {
                tracing::warn!(%error, "the oldest keys of a client could not be forgotten; they expire");
            }
            Ok(true)
        }
        .boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = ScriptCall::new(&GIVE_BACK, self.instance.keys.once(key));
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }
}

impl RedisStore {
    /// Adds `key` to the keys of `owner`, and removes those that are too many.
    async fn forget_oldest(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let own = ScriptCall::new(&OWN, self.instance.keys.owned(owner.key))
            .arg(key.0)
            .number(owner.most)
            .time_to_live(until, now);
        let mut answer = self.instance.ask_by(own, now, deadline).await?;
        let word = answer.word()?;
        if word != "excess" {
            return Err(unknown(&word));
        }
        while !answer.is_at_end() {
            let oldest = Digest(answer.bytes()?.as_ref().try_into().map_err(|_| incomplete())?);
            let forget = ScriptCall::new(&GIVE_BACK, self.instance.keys.once(oldest));
            self.instance.ask_by(forget, now, deadline).await?;
        }
        Ok(())
    }
}
