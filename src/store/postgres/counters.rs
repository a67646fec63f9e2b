//! Quotas in `PostgreSQL`. The database compares with the integer formula of `contract/quota.rs`; the time from which a
//! quota admits one more event is computed here.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    answer::column,
    store::PostgresStore,
    values::{lock_number, moment},
};
use crate::{
    clock::Timestamp,
    store::contract::{Counters, Quota, Spent, StoreError, quota::Counted},
};

impl Counters for PostgresStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        self.note_time(now);
        async move {
            let most: Vec<i64> = quotas.iter().map(|quota| i64::from(quota.most)).collect();
            let lengths: Vec<i64> = quotas.iter().map(Quota::millis).collect();
            let forgotten: Vec<_> = quotas.iter().map(|quota| moment(quota.forgotten_at(now))).collect();
            let sql = "select which, window_number, counted, before from vestibule.spend($1, $2, $3, $4, $5, $6, $7)";
            let row = self
                .row(
                    sql,
                    &[
                        &locks(&quotas),
                        &keys(&quotas),
                        &most,
                        &lengths,
                        &windows(&quotas, now),
                        &forgotten,
                        &now.as_millis(),
                    ],
                )
                .await?;
            let Some(which) = column::<Option<i32>>(&row, "which")? else { return Ok(Spent::Within) };
            let which = usize::try_from(which).unwrap_or_default();
            let counted = Counted {
                window: column(&row, "window_number")?,
                current: count(column(&row, "counted")?),
                previous: count(column(&row, "before")?),
            };
            let again_at = quotas.get(which).and_then(|quota| {
                // If an instance whose clock is ahead began the window, the time is at least the start of that window.
                let start = Timestamp::from_millis(counted.window.saturating_mul(quota.millis()));
                quota.refused_until(counted, now.max(start))
            });
            Ok(Spent::Over { which, again_at: again_at.unwrap_or(now.plus(Duration::from_millis(1))) })
        }
        .boxed()
    }

    fn refund(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.note_time(now);
        async move {
            let sql = "select vestibule.refund($1, $2, $3)";
            self.rows(sql, &[&locks(&quotas), &keys(&quotas), &windows(&quotas, now)]).await.map(drop)
        }
        .boxed()
    }
}

fn keys(quotas: &[Quota]) -> Vec<&[u8]> {
    quotas.iter().map(|quota| quota.key.0.as_slice()).collect()
}

fn windows(quotas: &[Quota], now: Timestamp) -> Vec<i64> {
    quotas.iter().map(|quota| quota.window_of(now)).collect()
}

/// Advisory locks in ascending order, so that two callers with the same keys cannot deadlock.
fn locks(quotas: &[Quota]) -> Vec<i64> {
    let mut locks: Vec<_> = quotas.iter().map(|quota| lock_number(&quota.key.0)).collect();
    locks.sort_unstable();
    locks.dedup();
    locks
}

fn count(counted: i64) -> u32 {
    u32::try_from(counted.max(0)).unwrap_or(u32::MAX)
}
