//! Leases, results and ended sessions in Redis.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast;

use super::{
    keys::hex,
    message::InstanceMessage,
    script::{ACKNOWLEDGE, LEASE, RENEW, RESULT, SETTLE, ScriptCall},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{
            Digest, Generation, Holder, Lease, Refreshes, Settled, Sid, StoreError, StoredResult,
            refreshes::{HOLDER_MAY_ANSWER, MOST_LEASES, MOST_RESULTS},
        },
        words::{self, AnswerReader as _, unknown},
    },
};

/// Number of fields in a session's record above which expired leases are removed: one field for each lease, two for
/// each result.
const MOST_FIELDS: u16 = MOST_LEASES + 2 * MOST_RESULTS;

impl Refreshes for RedisStore {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        holder: Holder,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let call = ScriptCall::new(&LEASE, self.instance.keys.session(sid))
            .arg(rt.0)
            .number(known)
            .arg(hex(&holder.0))
            .span(lasting)
            .number(self.instance.fresh_number())
            .time_to_live(now.plus(lasting), now)
            .number(MOST_FIELDS)
            .span(HOLDER_MAY_ANSWER);
        async move { words::lease(&mut self.instance.ask(call, now).await?, now) }.boxed()
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = ScriptCall::new(&RENEW, self.instance.keys.session(sid))
            .arg(rt.0)
            .arg(fence.to_string())
            .span(lasting)
            .time_to_live(now.plus(lasting), now);
        async move { Ok(self.instance.ask(call, now).await?.word()? == "held") }.boxed()
    }

    fn settle(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Settled, StoreError>> {
        let mut call = ScriptCall::new(&SETTLE, self.instance.keys.session(sid))
            .arg(rt.0)
            .arg(fence.to_string())
            .arg(self.instance.keys.channel())
            .arg(InstanceMessage::settled(sid));
        if let Some((generation, sealed)) = result {
            call = call
                .number(MOST_RESULTS)
                .number(generation)
                .moment(keep_until, now)
                .arg(sealed)
                .time_to_live(keep_until, now);
        }
        async move {
            let settled = words::settled(&mut self.instance.ask(call, now).await?)?;
            if settled == Settled::Stored {
                self.instance.local.waiters.wake(sid);
            }
            Ok(settled)
        }
        .boxed()
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        let call = ScriptCall::new(&RESULT, self.instance.keys.session(sid)).arg(rt.0);
        async move {
            let mut answer = self.instance.ask(call, now).await?;
            match answer.word()?.as_str() {
                "result" => words::stored_result(&mut answer).map(Some),
                "none" => Ok(None),
                word => Err(unknown(word)),
            }
        }
        .boxed()
    }

    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let call =
            ScriptCall::new(&ACKNOWLEDGE, self.instance.keys.session(sid)).number(generation).moment(keep_until, now);
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        // On this instance the session has ended even if the store cannot be reached.
        self.instance.note_end(sid, until);
        async move {
            let ended = self.instance.end(sid, until, now).await;
            if ended.is_err() {
                self.instance.announce_later(sid, until);
            }
            ended
        }
        .boxed()
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.instance.local.waiters.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        #[cfg(test)]
        self.instance.local.note_time(now);
        self.instance.local.ended.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.instance.local.ended.subscribe()
    }
}
