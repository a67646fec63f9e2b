//! Leases, results and ended sessions in `PostgreSQL`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast;

use super::{
    store::PostgresStore,
    values::{distance, lock_number, span},
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{
            Digest, Generation, Holder, Lease, Refreshes, Settled, Sid, StoreError, StoredResult,
            refreshes::{HOLDER_MAY_ANSWER, MOST_RESULTS},
        },
        words::{self, AnswerReader as _},
    },
};

impl Refreshes for PostgresStore {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        holder: Holder,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, f.number, f.payload, \
                       (extract(epoch from f.moment - t.now) * 1000)::bigint as distance \
                       from t cross join lateral vestibule.lease_to($1, $2, $3, $4, $5, $6, $7, t.now) f";
            let mut answer = self
                .row(
                    sql,
                    &[
                        &lock_number(&sid.0),
                        &sid.0.as_slice(),
                        &rt.0.as_slice(),
                        &i64::from(known),
                        &holder.0.as_slice(),
                        &span(lasting),
                        &span(HOLDER_MAY_ANSWER),
                    ],
                    now,
                )
                .await?;
            let lease = words::lease(&mut answer, now)?;
            if matches!(lease, Lease::Ended) {
                self.local.note_end(sid, answer.moment()?);
            }
            Ok(lease)
        }
        .boxed()
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let sql = "update vestibule.leases set ends_at = clock_timestamp() + $4::bigint * interval '1 millisecond' \
                       where sid = $1 and rt = $2 and fence = $3 returning 1";
            let values = (sid.0.as_slice(), rt.0.as_slice(), fence.cast_signed(), span(lasting));
            let rows = self.rows(sql, &[&values.0, &values.1, &values.2, &values.3], now).await?;
            Ok(!rows.is_empty())
        }
        .boxed()
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
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, (extract(epoch from f.moment - t.now) * 1000)::bigint as distance \
                       from t cross join lateral vestibule.settle_by( \
                           $1, $2, $3, $4, $5, $6, t.now + $7::bigint * interval '1 millisecond', $8, t.now) f";
            let generation = result.as_ref().map(|(generation, _)| i64::from(*generation));
            let sealed = result.as_ref().map(|(_, sealed)| sealed.as_ref());
            let mut answer = self
                .row(
                    sql,
                    &[
                        &lock_number(&sid.0),
                        &sid.0.as_slice(),
                        &rt.0.as_slice(),
                        &fence.cast_signed(),
                        &generation,
                        &sealed,
                        &distance(keep_until, now),
                        &i64::from(MOST_RESULTS),
                    ],
                    now,
                )
                .await?;
            let settled = words::settled(&mut answer)?;
            match settled {
                Settled::Stored => self.local.waiters.wake(sid),
                Settled::Ended => self.local.note_end(sid, answer.moment()?),
                Settled::Lost => {}
            }
            Ok(settled)
        }
        .boxed()
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select generation as number, sealed as payload, \
                       (extract(epoch from stored_at - t.now) * 1000)::bigint as distance \
                       from t cross join vestibule.results where sid = $1 and rt = $2 and keep_until > t.now";
            let rows = self.rows(sql, &[&sid.0.as_slice(), &rt.0.as_slice()], now).await?;
            rows.into_iter().next().map(|mut row| words::stored_result(&mut row)).transpose()
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
        async move {
            let sql = "select vestibule.acknowledge( \
                           $1, $2, $3, clock_timestamp() + $4::bigint * interval '1 millisecond')";
            let values = (lock_number(&sid.0), sid.0.as_slice(), i64::from(generation), distance(keep_until, now));
            self.rows(sql, &[&values.0, &values.1, &values.2, &values.3], now).await.map(drop)
        }
        .boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        // On this instance the session has ended even if the server cannot be reached.
        self.local.note_end(sid, until);
        async move {
            let sql = "select vestibule.end_session($1, $2, clock_timestamp() + $3::bigint * interval '1 millisecond')";
            self.rows(sql, &[&lock_number(&sid.0), &sid.0.as_slice(), &distance(until, now)], now).await?;
            // Again: a task that began to wait during the call has read the state before the end.
            self.local.waiters.wake(sid);
            Ok(())
        }
        .boxed()
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.local.waiters.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.local.ended.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.local.ended.subscribe()
    }
}
