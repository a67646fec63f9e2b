//! Keys that can be taken once, in `PostgreSQL`.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{store::PostgresStore, values::distance};
use crate::{
    clock::Timestamp,
    store::contract::{Digest, OneTime, Owner, StoreError},
};

impl OneTime for PostgresStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            // The second taker waits for the row of the first, and then sees it.
            let sql = "insert into vestibule.taken as k (key, ends_at) \
                       values ($1, clock_timestamp() + $2::bigint * interval '1 millisecond') \
                       on conflict (key) do update set ends_at = excluded.ends_at \
                       where k.ends_at <= clock_timestamp() returning 1";
            let rows = self.rows(sql, &[&key.0.as_slice(), &distance(until, now)], now).await?;
            Ok(!rows.is_empty())
        }
        .boxed()
    }

    fn take_of(
        &self,
        owner: Owner,
        key: Digest,
        until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select vestibule.take_of($1, $2, $3, t.now + $4::bigint * interval '1 millisecond', t.now) \
                       as is_first from t";
            let values = (owner.key.0.as_slice(), i64::from(owner.most), key.0.as_slice(), distance(until, now));
            self.row(sql, &[&values.0, &values.1, &values.2, &values.3], now).await?.column("is_first")
        }
        .boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.rows("delete from vestibule.taken where key = $1", &[&key.0.as_slice()], now).await.map(drop)
        }
        .boxed()
    }
}
