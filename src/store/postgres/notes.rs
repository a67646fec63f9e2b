//! Notes in `PostgreSQL`, with its clock.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{store::PostgresStore, values::lock_number};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Digest, Note, Notes, Replaced, StoreError},
        words,
    },
};

impl Notes for PostgresStore {
    fn read(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select answer, number, payload from t cross join lateral vestibule.read_note($1, t.now)";
            words::note(&mut self.row(sql, &[&key.0.as_slice()], now).await?)
        }
        .boxed()
    }

    fn replace(
        &self,
        key: Digest,
        before: Bytes,
        after: Bytes,
        keep: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        async move {
            let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select answer, number, payload \
                       from t cross join lateral vestibule.replace_note($1, $2, $3, $4, $5, t.now)";
            let (before, after) = (before.as_ref(), after.as_ref());
            let mut row =
                self.row(sql, &[&lock_number(&key.0), &key.0.as_slice(), &before, &after, &keep], now).await?;
            words::replaced(&mut row)
        }
        .boxed()
    }
}
