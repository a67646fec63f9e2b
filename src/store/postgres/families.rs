//! Families of refresh tokens in `PostgreSQL`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    store::PostgresStore,
    values::{distance, span},
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Advanced, Families, FamilyId, Generation, StoreError, families::LAST_GENERATION},
        words,
    },
};

impl Families for PostgresStore {
    fn begin(
        &self,
        family: FamilyId,
        record: Bytes,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let sql = "insert into vestibule.families (id, generation, advanced_at, record, ends_at) values \
                       ($1, 0, clock_timestamp(), $2, clock_timestamp() + $3::bigint * interval '1 millisecond') \
                       on conflict (id) do update set generation = 0, \
                       advanced_at = excluded.advanced_at, record = excluded.record, ends_at = excluded.ends_at";
            let values = (family.0.as_slice(), record.as_ref(), distance(until, now));
            self.rows(sql, &[&values.0, &values.1, &values.2], now).await.map(drop)
        }
        .boxed()
    }

    fn advance(
        &self,
        family: FamilyId,
        shown: Generation,
        grace: Duration,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Advanced, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, f.number, f.payload from t cross join lateral vestibule.advance( \
                           $1, $2, t.now - $3::bigint * interval '1 millisecond', \
                           t.now + $4::bigint * interval '1 millisecond', $5, t.now) f";
            let mut row = self
                .row(
                    sql,
                    &[
                        &family.0.as_slice(),
                        &i64::from(shown),
                        &span(grace),
                        &distance(until, now),
                        &i64::from(LAST_GENERATION),
                    ],
                    now,
                )
                .await?;
            words::advanced(&mut row)
        }
        .boxed()
    }

    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.rows("delete from vestibule.families where id = $1", &[&family.0.as_slice()], now).await.map(drop)
        }
        .boxed()
    }
}
