//! Keys that can be taken once, in `PostgreSQL`.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{store::PostgresStore, values::moment};
use crate::{
    clock::Timestamp,
    store::contract::{Digest, OneTime, StoreError},
};

impl OneTime for PostgresStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.note_time(now);
        async move {
            // The second taker waits for the row of the first, and then sees it.
            let sql = "insert into vestibule.taken as t (key, ends_at) values ($1, $2) \
                       on conflict (key) do update set ends_at = excluded.ends_at where t.ends_at <= $3 returning 1";
            let rows = self.rows(sql, &[&key.0.as_slice(), &moment(until), &moment(now)]).await?;
            Ok(!rows.is_empty())
        }
        .boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note_time(now);
        async move { self.rows("delete from vestibule.taken where key = $1", &[&key.0.as_slice()]).await.map(drop) }
            .boxed()
    }
}
