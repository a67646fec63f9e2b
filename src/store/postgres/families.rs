//! Families of refresh tokens in `PostgreSQL`.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{answer::RowAnswer, store::PostgresStore, values::moment};
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
        self.note_time(now);
        async move {
            let sql = "insert into vestibule.families (id, generation, advanced_at, record, ends_at) \
                       values ($1, 0, $2, $3, $4) on conflict (id) do update set generation = 0, \
                       advanced_at = excluded.advanced_at, record = excluded.record, ends_at = excluded.ends_at";
            let values = (family.0.as_slice(), moment(now), record.as_ref(), moment(until));
            self.rows(sql, &[&values.0, &values.1, &values.2, &values.3]).await.map(drop)
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
        self.note_time(now);
        async move {
            let sql = "select answer, number, payload from vestibule.advance($1, $2, $3, $4, $5, $6)";
            let row = self
                .row(
                    sql,
                    &[
                        &family.0.as_slice(),
                        &i64::from(shown),
                        &moment(now.minus(grace)),
                        &moment(until),
                        &i64::from(LAST_GENERATION),
                        &moment(now),
                    ],
                )
                .await?;
            words::advanced(&mut RowAnswer(&row))
        }
        .boxed()
    }

    fn end_family(&self, family: FamilyId, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note_time(now);
        async move { self.rows("delete from vestibule.families where id = $1", &[&family.0.as_slice()]).await.map(drop) }
            .boxed()
    }
}
