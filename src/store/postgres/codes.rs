//! One-time codes in `PostgreSQL`. Their rows are kept for 30 days for audits.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    store::PostgresStore,
    values::{distance, lock_number, span},
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{Codes, Digest, NewCode, Opened, Resent, StoreError, Tried},
        words,
    },
};

impl Codes for PostgresStore {
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, (extract(epoch from f.moment - t.now) * 1000)::bigint as distance \
                       from t cross join lateral vestibule.open_code( \
                           $1, $2, $3, $4, $5, t.now + $6::bigint * interval '1 millisecond', $7, $8, $9, \
                           t.now - $10::bigint * interval '1 millisecond', \
                           t.now + $10::bigint * interval '1 millisecond', $11, t.now) f";
            let mut row = self
                .row(
                    sql,
                    &[
                        &lock_number(&code.address.0),
                        &code.address.0.as_slice(),
                        &code.browser.0.as_slice(),
                        &code.mac.0.as_slice(),
                        &code.sealed.as_ref(),
                        &distance(code.expires, now),
                        &code.facts.channel.as_str(),
                        &code.facts.purpose,
                        &code.facts.masked,
                        &span(cooldown),
                        &i64::try_from(most_live).unwrap_or(i64::MAX),
                    ],
                    now,
                )
                .await?;
            words::opened(&mut row, cooldown)
        }
        .boxed()
    }

    fn resend(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, f.payload, (extract(epoch from f.moment - t.now) * 1000)::bigint as distance \
                       from t cross join lateral vestibule.again_code($1, $2, $3, $4, t.now) f";
            let values = (lock_number(&address.0), address.0.as_slice(), browser.0.as_slice(), i64::from(most));
            words::resent(&mut self.row(sql, &[&values.0, &values.1, &values.2, &values.3], now).await?)
        }
        .boxed()
    }

    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>> {
        async move {
            let sql = "with t as materialized (select clock_timestamp() as now) \
                       select f.answer, f.number from t cross join lateral vestibule.try_code( \
                           $1, $2, $3, $4, $5, t.now + $6::bigint * interval '1 millisecond', t.now) f";
            let mut row = self
                .row(
                    sql,
                    &[
                        &lock_number(&address.0),
                        &address.0.as_slice(),
                        &browser.0.as_slice(),
                        &mac.0.as_slice(),
                        &i64::from(most_tries),
                        &distance(claim_until, now),
                    ],
                    now,
                )
                .await?;
            words::tried(&mut row)
        }
        .boxed()
    }

    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        async move {
            let sql = "select vestibule.settle_code($1, $2, $3, $4, $5, clock_timestamp()) as settled";
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&address.0),
                        &address.0.as_slice(),
                        &browser.0.as_slice(),
                        &claim.cast_signed(),
                        &spent,
                    ],
                    now,
                )
                .await?;
            row.column("settled")
        }
        .boxed()
    }
}
