//! Leases, results and ended sessions.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::broadcast;
use tokio_postgres::Row;

use super::{PostgresStore, column, lock_number, moment, timestamp, unknown_answer};
use crate::{
    clock::Timestamp,
    store::{Digest, Generation, Lease, Refreshes, Settled, Sid, StoreError, StoredResult},
};

/// Results of one session: an unseen chain longer than this loses its oldest links.
const MOST_RESULTS: i64 = 16;

impl Refreshes for PostgresStore {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        self.shared.saw(now);
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
            match column(&row, "answer")? {
                "granted" => Ok(Lease::Granted(column::<i64>(&row, "number")?.unsigned_abs())),
                "held" => Ok(Lease::Held(timestamp(&row, "moment")?)),
                "result" => Ok(Lease::Result(stored(&row)?)),
                "ended" => {
                    self.shared.ended(sid, timestamp(&row, "moment")?);
                    Ok(Lease::Ended)
                }
                other => Err(unknown_answer(other)),
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
        self.shared.saw(now);
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
        self.shared.saw(now);
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
                        &MOST_RESULTS,
                        &moment(now),
                    ],
                )
                .await?;
            match column(&row, "answer")? {
                "stored" => {
                    self.shared.wakes.wake(sid);
                    Ok(Settled::Stored)
                }
                "lost" => Ok(Settled::Lost),
                "ended" => {
                    self.shared.ended(sid, timestamp(&row, "moment")?);
                    Ok(Settled::Ended)
                }
                other => Err(unknown_answer(other)),
            }
        }
        .boxed()
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        self.shared.saw(now);
        async move {
            let sql = "select generation as number, stored_at as moment, sealed as payload \
                       from vestibule.results where sid = $1 and rt = $2 and keep_until > $3";
            let rows = self.rows(sql, &[&sid.0.as_slice(), &rt.0.as_slice(), &moment(now)]).await?;
            rows.first().map(stored).transpose()
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
        self.shared.saw(now);
        async move {
            let sql = "select vestibule.acknowledge($1, $2, $3, $4)";
            let values = (lock_number(&sid.0), sid.0.as_slice(), i64::from(generation), moment(keep_until));
            self.rows(sql, &[&values.0, &values.1, &values.2, &values.3]).await.map(drop)
        }
        .boxed()
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.shared.saw(now);
        // Here it has ended even where the others cannot be told.
        self.shared.ended(sid, until);
        async move {
            let sql = "select vestibule.end_session($1, $2, $3)";
            self.rows(sql, &[&lock_number(&sid.0), &sid.0.as_slice(), &moment(until)]).await?;
            // Again: who began to wait in between saw what was there before.
            self.shared.wakes.wake(sid);
            Ok(())
        }
        .boxed()
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.shared.wakes.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.shared.endings.has(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.shared.endings.watch()
    }
}

fn stored(row: &Row) -> Result<StoredResult, StoreError> {
    Ok(StoredResult {
        generation: Generation::try_from(column::<i64>(row, "number")?).unwrap_or(Generation::MAX),
        sealed: Bytes::copy_from_slice(column(row, "payload")?),
        stored_at: timestamp(row, "moment")?,
    })
}
