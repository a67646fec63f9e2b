//! Deposits in `PostgreSQL`.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio_postgres::Row;

use super::{
    answer::column,
    store::PostgresStore,
    values::{lock_number, moment},
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
        self.note_time(now);
        async move {
            let sql = "select vestibule.deposit($1, $2, $3, $4, $5, $6, $7)";
            self.rows(
                sql,
                &[
                    &place.owner.0.as_slice(),
                    &lock_number(&place.owner.0),
                    &place.key.0.as_slice(),
                    &value.as_ref(),
                    &moment(until),
                    &i64::try_from(most).unwrap_or(i64::MAX),
                    &moment(now),
                ],
            )
            .await
            .map(drop)
        }
        .boxed()
    }

    fn deposited(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.note_time(now);
        async move {
            let sql = "select value from vestibule.deposits where owner = $1 and key = $2 and ends_at > $3";
            let rows = self.rows(sql, &[&place.owner.0.as_slice(), &place.key.0.as_slice(), &moment(now)]).await?;
            value(&rows)
        }
        .boxed()
    }

    fn withdraw(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.note_time(now);
        async move {
            let sql = "delete from vestibule.deposits where owner = $1 and key = $2 and ends_at > $3 returning value";
            let rows = self.rows(sql, &[&place.owner.0.as_slice(), &place.key.0.as_slice(), &moment(now)]).await?;
            value(&rows)
        }
        .boxed()
    }
}

fn value(rows: &[Row]) -> Result<Option<Bytes>, StoreError> {
    rows.first().map(|row| column(row, "value").map(Bytes::copy_from_slice)).transpose()
}
