//! Leases, results and endings in Redis.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast;

use super::{
    RedisStore, follow, millis,
    answer::{Reply, other_than_expected},
    script::{ACKNOWLEDGE, Call, END, LEASE, RENEW, RESULT, SETTLE},
    time_to_live,
};
use crate::{
    clock::Timestamp,
    store::{Digest, Generation, Lease, Refreshes, Settled, Sid, StoreError, StoredResult},
};

/// Results of one session: an unseen chain longer than this loses its oldest links.
const MOST_RESULTS: i64 = 16;

impl Refreshes for RedisStore {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        let call = Call::new(&LEASE, self.shared.keys.session(sid))
            .arg(rt.0)
            .number(known)
            .number(millis(until))
            .number(millis(now))
            .number(self.shared.fresh_number(now))
            .number(time_to_live(until, now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "granted" => Ok(Lease::Granted(reply.number()?)),
                "held" => Ok(Lease::Held(reply.moment()?)),
                "result" => Ok(Lease::Result(stored_result(&mut reply)?)),
                "ended" => Ok(Lease::Ended),
                _ => Err(other_than_expected()),
            }
        }
        .boxed()
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = Call::new(&RENEW, self.shared.keys.session(sid))
            .arg(rt.0)
            .arg(fence.to_string())
            .number(millis(until))
            .number(time_to_live(until, now));
        async move { Ok(self.shared.ask_at(&call, now).await?.word()? == "held") }.boxed()
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
        let mut call = Call::new(&SETTLE, self.shared.keys.session(sid))
            .arg(rt.0)
            .arg(fence.to_string())
            .number(millis(now))
            .arg(self.shared.keys.channel())
            .arg(follow::settled(sid));
        if let Some((generation, sealed)) = result {
            call = call
                .number(MOST_RESULTS)
                .number(generation)
                .number(millis(keep_until))
                .arg(sealed)
                .number(time_to_live(keep_until, now));
        }
        async move {
            let settled = match self.shared.ask_at(&call, now).await?.word()?.as_str() {
                "stored" => Settled::Stored,
                "ended" => Settled::Ended,
                "lost" => Settled::Lost,
                _ => return Err(other_than_expected()),
            };
            if settled == Settled::Stored {
                self.shared.wakes.wake(sid);
            }
            Ok(settled)
        }
        .boxed()
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        let call = Call::new(&RESULT, self.shared.keys.session(sid)).arg(rt.0).number(millis(now));
        async move {
            let mut reply = self.shared.ask_at(&call, now).await?;
            match reply.word()?.as_str() {
                "result" => stored_result(&mut reply).map(Some),
                "none" => Ok(None),
                _ => Err(other_than_expected()),
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
        let call = Call::new(&ACKNOWLEDGE, self.shared.keys.session(sid)).number(generation).number(millis(keep_until));
        async move { self.shared.ask_at(&call, now).await.map(drop) }.boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        // Here it has ended whether or not the store can be told just now.
        self.shared.learn_ending(sid, until);
        async move {
            let ended = self.shared.say_ending(sid, until, now).await;
            if ended.is_err() {
                self.shared.say_later(sid, until);
            }
            ended
        }
        .boxed()
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.shared.wakes.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.shared.saw(now);
        self.shared.endings.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.shared.endings.watch()
    }
}

impl super::Shared {
    /// Ends the session in its own record first: from there on no result is stored and no lease granted, wherever it is asked for. The list that tells the others is
    /// elsewhere in a Cluster, so that is a step of its own.
    pub(super) async fn say_ending(&self, sid: Sid, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let deadline = self.deadline();
        let end = Call::new(&END, self.keys.session(sid)).number(millis(until)).number(time_to_live(until, now));
        self.saw(now);
        self.ask_by(&end, deadline).await?;
        self.ask_by(&follow::announce(self, sid, until, now), deadline).await?;
        Ok(())
    }
}

fn stored_result(reply: &mut Reply) -> Result<StoredResult, StoreError> {
    Ok(StoredResult { generation: reply.number()?, stored_at: reply.moment()?, sealed: reply.bytes()? })
}
