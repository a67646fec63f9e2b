//! What may be used once.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{PostgresStore, moment};
use crate::{
    clock::Timestamp,
    store::{Digest, OneTime, StoreError},
};

impl OneTime for PostgresStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.shared.saw(now);
        async move {
            // Who comes second waits for the row of who came first, and looks at that.
            let sql = "insert into vestibule.taken as t (key, ends_at) values ($1, $2) \
                       on conflict (key) do update set ends_at = excluded.ends_at where t.ends_at <= $3 returning 1";
            let rows = self.rows(sql, &[&key.0.as_slice(), &moment(until), &moment(now)]).await?;
            Ok(!rows.is_empty())
        }
        .boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.shared.saw(now);
        async move { self.rows("delete from vestibule.taken where key = $1", &[&key.0.as_slice()]).await.map(drop) }
            .boxed()
    }
}
