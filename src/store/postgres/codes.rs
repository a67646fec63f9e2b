//! One-time codes in `PostgreSQL`. Their rows are kept for 30 days for audits.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    answer::{RowAnswer, column},
    store::PostgresStore,
    values::{lock_number, moment},
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
        self.note_time(now);
        async move {
            let sql = "select answer, moment \
                       from vestibule.open_code($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&code.address.0),
                        &code.address.0.as_slice(),
                        &code.browser.0.as_slice(),
                        &code.mac.0.as_slice(),
                        &code.sealed.as_ref(),
                        &moment(code.expires),
                        &code.facts.channel.as_str(),
                        &code.facts.purpose,
                        &code.facts.masked,
                        &moment(now.minus(cooldown)),
                        &moment(now.plus(cooldown)),
                        &i64::try_from(most_live).unwrap_or(i64::MAX),
                        &moment(now),
                    ],
                )
                .await?;
            words::opened(&mut RowAnswer(&row), cooldown)
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
        self.note_time(now);
        async move {
            let sql = "select answer, moment, payload from vestibule.again_code($1, $2, $3, $4, $5)";
            let values = (lock_number(&address.0), address.0.as_slice(), browser.0.as_slice(), i64::from(most));
            let row = self.row(sql, &[&values.0, &values.1, &values.2, &values.3, &moment(now)]).await?;
            words::resent(&mut RowAnswer(&row))
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
        self.note_time(now);
        async move {
            let sql = "select answer, number from vestibule.try_code($1, $2, $3, $4, $5, $6, $7)";
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&address.0),
                        &address.0.as_slice(),
                        &browser.0.as_slice(),
                        &mac.0.as_slice(),
                        &i64::from(most_tries),
                        &moment(claim_until),
                        &moment(now),
                    ],
                )
                .await?;
            words::tried(&mut RowAnswer(&row))
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
        self.note_time(now);
        async move {
            let sql = "select vestibule.settle_code($1, $2, $3, $4, $5, $6) as settled";
            let row = self
                .row(
                    sql,
                    &[
                        &lock_number(&address.0),
                        &address.0.as_slice(),
                        &browser.0.as_slice(),
                        &claim.cast_signed(),
                        &spent,
                        &moment(now),
                    ],
                )
                .await?;
            column(&row, "settled")
        }
        .boxed()
    }
}
