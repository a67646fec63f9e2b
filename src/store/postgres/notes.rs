//! Notes in `PostgreSQL`, with its clock.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{answer::RowAnswer, store::PostgresStore, values::lock_number};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Digest, Note, Notes, Replaced, StoreError},
        words,
    },
};

impl Notes for PostgresStore {
    fn read(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>> {
        self.note_time(now);
        async move {
            let sql = "select answer, moment, payload from vestibule.read_note($1)";
            words::note(&mut RowAnswer(&self.row(sql, &[&key.0.as_slice()]).await?))
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
        self.note_time(now);
        async move {
            let keep = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
            let sql = "select answer, moment, payload from vestibule.replace_note($1, $2, $3, $4, $5)";
            let (before, after) = (before.as_ref(), after.as_ref());
            let row = self.row(sql, &[&lock_number(&key.0), &key.0.as_slice(), &before, &after, &keep]).await?;
            words::replaced(&mut RowAnswer(&row))
        }
        .boxed()
    }
}
