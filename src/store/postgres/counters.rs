//! Quotas in `PostgreSQL`. The database compares with the integer formula of `contract/quota.rs`; the time from which a
//! quota admits one more event is computed here.

use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    store::PostgresStore,
    values::{distance, lock_number},
};
use crate::{
    clock::Timestamp,
    store::contract::{Counters, Quota, Spent, StoreError, quota::Counted},
};

impl Counters for PostgresStore {
    fn spend(&self, quotas: Vec<Quota>, now: Timestamp) -> BoxFuture<'_, Result<Spent, StoreError>> {
        async move {
            let most: Vec<i64> = quotas.iter().map(|quota| i64::from(quota.most)).collect();
            // Windows are numbered by the server's clock. A count has no effect two windows after its start.
            let sql = "with t as materialized (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now) \
                       select t.now, f.which, f.window_number, f.counted, f.before \
                       from t cross join lateral vestibule.spend($1, $2, $3, $4, \
                           array(select t.now / length from unnest($4::bigint[]) with ordinality as l (length, place) \
                               order by place), \
                           array(select timestamptz 'epoch' + (t.now / length + 2) * length * interval '1 millisecond' \
                               from unnest($4::bigint[]) with ordinality as l (length, place) order by place), \
                           t.now) f";
            let row = self.row(sql, &[&locks(&quotas), &keys(&quotas), &most, &lengths(&quotas)], now).await?;
            let Some(which) = row.column::<Option<i32>>("which")? else { return Ok(Spent::Within) };
            let which = usize::try_from(which).unwrap_or_default();
            let counted = Counted {
                window: row.column("window_number")?,
                current: count(row.column("counted")?),
                previous: count(row.column("before")?),
            };
            let at_server = Timestamp::from_millis(row.column("now")?);
            let again_at = quotas.get(which).and_then(|quota| {
                // If an instance of the previous version, whose clock is ahead, began the window, the time is at least
                // the start of that window.
                let start = Timestamp::from_millis(counted.window.saturating_mul(quota.millis()));
                quota.refused_until(counted, at_server.max(start))
            });
            let wait = again_at.map_or(1, |again_at| distance(again_at, at_server).max(1));
            Ok(Spent::Over { which, again_at: row.by_callers_clock(wait) })
        }
        .boxed()
    }

    fn refund(
        &self,
        quotas: Vec<Quota>,
        counted_at: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let sql = "with t as materialized ( \
                           select (extract(epoch from clock_timestamp()) * 1000)::bigint + $4::bigint as counted_at) \
                       select vestibule.give_back($1, $2, \
                           array(select t.counted_at / length \
                               from unnest($3::bigint[]) with ordinality as l (length, place) order by place)) from t";
            let values = (locks(&quotas), keys(&quotas), lengths(&quotas), distance(counted_at, now));
            self.rows(sql, &[&values.0, &values.1, &values.2, &values.3], now).await.map(drop)
        }
        .boxed()
    }
}

fn keys(quotas: &[Quota]) -> Vec<&[u8]> {
    quotas.iter().map(|quota| quota.key.0.as_slice()).collect()
}

fn lengths(quotas: &[Quota]) -> Vec<i64> {
    quotas.iter().map(Quota::millis).collect()
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
