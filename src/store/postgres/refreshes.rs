//! Leases, results and ended sessions in `PostgreSQL`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast;

use super::{
    answer::RowAnswer,
    store::PostgresStore,
    values::{lock_number, moment},
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{
            Digest, Generation, Lease, Refreshes, Settled, Sid, StoreError, StoredResult, refreshes::MOST_RESULTS,
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
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.note_time(now);
        async move {
            let sql = "select answer, number, moment, payload from vestibule.lease($1, $2, $3, $4, $5, $6)";
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&sid.0),
                        &sid.0.as_slice(),
                        &rt.0.as_slice(),
                        &i64::from(known),
                        &moment(until),
                        &moment(now),
                    ],
                )
                .await?;
            let mut answer = RowAnswer(&row);
            let lease = words::lease(&mut answer)?;
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
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.note_time(now);
        async move {
            let sql = "update vestibule.leases set ends_at = $4 where sid = $1 and rt = $2 and fence = $3 returning 1";
            let values = (sid.0.as_slice(), rt.0.as_slice(), fence.cast_signed(), moment(until));
            let rows = self.rows(sql, &[&values.0, &values.1, &values.2, &values.3]).await?;
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
        self.note_time(now);
        async move {
            let sql = "select answer, moment from vestibule.settle($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            let generation = result.as_ref().map(|(generation, _)| i64::from(*generation));
            let sealed = result.as_ref().map(|(_, sealed)| sealed.as_ref());
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&sid.0),
                        &sid.0.as_slice(),
                        &rt.0.as_slice(),
                        &fence.cast_signed(),
                        &generation,
                        &sealed,
                        &moment(keep_until),
                        &i64::from(MOST_RESULTS),
                        &moment(now),
                    ],
                )
                .await?;
            let mut answer = RowAnswer(&row);
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
        self.note_time(now);
        async move {
            let sql = "select generation as number, stored_at as moment, sealed as payload \
                       from vestibule.results where sid = $1 and rt = $2 and keep_until > $3";
            let rows = self.rows(sql, &[&sid.0.as_slice(), &rt.0.as_slice(), &moment(now)]).await?;
            rows.first().map(|row| words::stored_result(&mut RowAnswer(row))).transpose()
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
        self.note_time(now);
        async move {
            let sql = "select vestibule.acknowledge($1, $2, $3, $4)";
            let values = (lock_number(&sid.0), sid.0.as_slice(), i64::from(generation), moment(keep_until));
            self.rows(sql, &[&values.0, &values.1, &values.2, &values.3]).await.map(drop)
        }
        .boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note_time(now);
        // On this instance the session has ended even if the server cannot be reached.
        self.local.note_end(sid, until);
        async move {
            let sql = "select vestibule.end_session($1, $2, $3)";
            self.rows(sql, &[&lock_number(&sid.0), &sid.0.as_slice(), &moment(until)]).await?;
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
