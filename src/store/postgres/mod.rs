//! The store in `PostgreSQL`, for a fleet that has no Redis. One call is one statement, mostly a function that the migrations made: at READ COMMITTED, under an advisory lock on
//! what it is about, it is one atomic step. Pooled connections carry the calls and are all alike; what other instances settle and end comes by a connection of its own
//! (`listen.rs`), which also brings the schema up to date before the first call gets through.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU8, Ordering},
    },
    time::Duration,
};

use deadpool_postgres::{Object, Pool};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};
use tokio_postgres::{Row, error::SqlState, types::FromSql, types::ToSql};

use super::{Health, OpenError, Store, StoreError, ended_sessions::Endings, waiters::Wakes};
use crate::{clock::Timestamp, secret::Secret};
use address::Address;

mod address;
mod codes;
mod counters;
mod families;
mod listen;
mod migrations;
mod one_time;
mod pool;
mod refreshes;

/// How long a call may take in all, waiting for a connection included.
const DEADLINE: Duration = Duration::from_secs(1);

/// What instances share, in `PostgreSQL`.
pub struct PostgresStore {
    pool: Pool,
    shared: Arc<Shared>,
    ready: watch::Receiver<Ready>,
    listener: AbortHandle,
    deadline: Duration,
}

/// What the calls and the listening connection have in common.
struct Shared {
    endings: Endings,
    wakes: Wakes,
    /// The latest moment that a call came with, in milliseconds: a store has no clock of its own.
    latest: AtomicI64,
    reached: AtomicU8,
}

/// Whether calls can get through.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Ready {
    /// The first connection is under way: worth waiting for.
    NotYet,
    /// The schema is there, and what ended before is known.
    Yes,
    /// Not now, and why.
    No(String),
}

/// The values of a statement, in the order of its `$n`.
type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

impl PostgresStore {
    /// Whether `url` makes sense, and its certificates can be read.
    pub(super) fn judge(url: &Secret) -> Result<(), OpenError> {
        Address::parse(url, DEADLINE).map(drop).map_err(|error| unusable(&error))
    }

    /// The store at `url`, which nothing is asked of yet; `runtime` carries its connections.
    pub fn open(url: &Secret, runtime: &Handle) -> Result<Store, OpenError> {
        Self::with_deadline(url, runtime, DEADLINE).map(|store| Store::of(Arc::new(store)))
    }

    fn with_deadline(url: &Secret, runtime: &Handle, deadline: Duration) -> Result<Self, OpenError> {
        let address = Arc::new(Address::parse(url, deadline).map_err(|error| unusable(&error))?);
        let pool = pool::of(address.clone(), runtime, deadline).map_err(|error| unusable(&error))?;
        let shared = Arc::new(Shared {
            endings: Endings::new(),
            wakes: Wakes::default(),
            latest: AtomicI64::new(0),
            reached: AtomicU8::new(Shared::UNTRIED),
        });
        let (told, ready) = watch::channel(Ready::NotYet);
        let listener = runtime.spawn(listen::keep_listening(address, shared.clone(), told)).abort_handle();
        Ok(Self { pool, shared, ready, listener, deadline })
    }

    /// The rows that `sql` brings, within the deadline.
    async fn rows(&self, sql: &str, values: Values<'_>) -> Result<Vec<Row>, StoreError> {
        let deadline = Instant::now() + self.deadline;
        let answer = match timeout_at(deadline, self.connection()).await {
            Ok(Ok(connection)) => exchange(connection, sql, values, deadline).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(late()),
        };
        self.shared.reached(!matches!(answer, Err(StoreError::Unavailable(_))));
        answer
    }

    /// The one row that a function brings.
    async fn row(&self, sql: &str, values: Values<'_>) -> Result<Row, StoreError> {
        self.rows(sql, values).await?.pop().ok_or_else(|| StoreError::Unavailable("no answer".to_owned()))
    }

    async fn connection(&self) -> Result<Object, StoreError> {
        let mut ready = self.ready.clone();
        let state = ready.wait_for(|ready| *ready != Ready::NotYet).await.map(|ready| ready.clone());
        match state {
            Ok(Ready::Yes) => self.pool.get().await.map_err(|error| pool::refused(&error)),
            Ok(Ready::No(reason)) => Err(StoreError::Unavailable(reason)),
            Ok(Ready::NotYet) | Err(_) => Err(StoreError::Unavailable("the gateway is stopping".to_owned())),
        }
    }
}

fn unusable(error: &dyn std::error::Error) -> OpenError {
    OpenError::Unusable(error.to_string())
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Health for PostgresStore {
    fn is_reachable(&self) -> Option<bool> {
        match self.shared.reached.load(Ordering::Relaxed) {
            Shared::UNTRIED => None,
            reached => Some(reached == Shared::REACHED),
        }
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            // Written, because a standby and a full disk answer reads.
            let sql = "insert into vestibule.probes (id, probed_at) values (1, clock_timestamp()) \
                       on conflict (id) do update set probed_at = excluded.probed_at";
            self.rows(sql, &[]).await.map(drop)
        }
        .boxed()
    }
}

impl Shared {
    const UNTRIED: u8 = 0;
    const REACHED: u8 = 1;
    const LOST: u8 = 2;

    fn reached(&self, reached: bool) {
        self.reached.store(if reached { Self::REACHED } else { Self::LOST }, Ordering::Relaxed);
    }

    /// Takes note of the time that a call came with.
    fn saw(&self, now: Timestamp) {
        self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
    }

    fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Relaxed))
    }
}

/// Asks, and gives the connection back to the pool where it answered. One that failed, or still owes an answer, is closed.
async fn exchange(
    connection: Object,
    sql: &str,
    values: Values<'_>,
    deadline: Instant,
) -> Result<Vec<Row>, StoreError> {
    let answer = timeout_at(deadline, async {
        let statement = connection.prepare_cached(sql).await?;
        connection.query(&statement, values).await
    })
    .await;
    let error = match answer {
        Ok(Ok(rows)) => return Ok(rows),
        Ok(Err(error)) => failed(&error),
        Err(_) => late(),
    };
    drop(Object::take(connection));
    Err(error)
}

fn failed(error: &tokio_postgres::Error) -> StoreError {
    if error.code() == Some(&SqlState::DISK_FULL) { StoreError::Full } else { StoreError::Unavailable(reason(error)) }
}

fn late() -> StoreError {
    StoreError::Unavailable("no answer in time".to_owned())
}

/// What went wrong, in a line. The server's own messages name users and databases, never a password.
fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(error) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", error.message(), error.code().code());
    }
    let mut line = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        line = format!("{line}: {cause}");
        source = cause.source();
    }
    line
}

/// A column of an answer.
fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(|error| failed(&error))
}

/// An answer that this version's functions do not give.
fn unknown_answer(answer: &str) -> StoreError {
    StoreError::Unavailable(format!("the schema answers {answer:?}"))
}

/// The number of the advisory lock on what `key` names. Two keys that share a number wait for each other, and that is all.
fn lock_number(key: &[u8]) -> i64 {
    let mut start = [0; 8];
    for (to, from) in start.iter_mut().zip(key) {
        *to = *from;
    }
    i64::from_be_bytes(start)
}

/// A moment as the database keeps it.
fn moment(at: Timestamp) -> std::time::SystemTime {
    // The years 1 to 9999: what saturated is beyond what timestamptz can say.
    Timestamp::from_millis(at.as_millis().clamp(-62_135_596_800_000, 253_402_300_799_999)).system_time()
}

/// A moment in a column of an answer.
fn timestamp(row: &Row, name: &str) -> Result<Timestamp, StoreError> {
    let time: std::time::SystemTime = column(row, name)?;
    Ok(match time.duration_since(std::time::UNIX_EPOCH) {
        Ok(after) => Timestamp::default().plus(after),
        Err(before) => Timestamp::default().minus(before.duration()),
    })
}

#[cfg(test)]
mod tests;
