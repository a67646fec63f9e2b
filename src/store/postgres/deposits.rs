//! Deposits in `PostgreSQL`.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    answer::RowAnswer,
    store::PostgresStore,
    values::{distance, lock_number},
};
use crate::{
    clock::Timestamp,
    store::contract::{DepositPlace, Deposits, StoreError},
};

impl Deposits for PostgresStore {
    fn deposit(
        &self,
        place: DepositPlace,
        value: Bytes,
        until: Timestamp,
        most: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select vestibule.deposit($1, $2, $3, $4, t.now + $5::bigint * interval '1 millisecond', $6, t.now) \
                       from t";
            self.rows(
                sql,
                &[
                    &place.owner.0.as_slice(),
                    &lock_number(&place.owner.0),
                    &place.key.0.as_slice(),
                    &value.as_ref(),
                    &distance(until, now),
                    &i64::try_from(most).unwrap_or(i64::MAX),
                ],
                now,
            )
            .await
            .map(drop)
        }
        .boxed()
    }

    fn deposited(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        async move {
            let sql =
                "select value from vestibule.deposits where owner = $1 and key = $2 and ends_at > clock_timestamp()";
            let rows = self.rows(sql, &[&place.owner.0.as_slice(), &place.key.0.as_slice()], now).await?;
            value(&rows)
        }
        .boxed()
    }

    fn withdraw(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        async move {
            let sql = "delete from vestibule.deposits where owner = $1 and key = $2 and ends_at > clock_timestamp() returning value";
            let rows = self.rows(sql, &[&place.owner.0.as_slice(), &place.key.0.as_slice()], now).await?;
            value(&rows)
        }
        .boxed()
    }
}

fn value(rows: &[RowAnswer]) -> Result<Option<Bytes>, StoreError> {
    rows.first().map(|row| row.column("value").map(Bytes::copy_from_slice)).transpose()
}
