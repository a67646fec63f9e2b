//! Opens the store, runs its statements, and checks whether it can be reached.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Object, Pool};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::AbortHandle,
    time::{Instant, timeout_at},
};
use tokio_postgres::Row;

use super::{
    address::Address,
    answer::RowAnswer,
    listen::{self, Readiness},
    pool,
    reason::{failed, late},
    values::Values,
};
use crate::{
    alarm,
    clock::{Clock, Timestamp},
    secret::{Random, Secret},
    store::{
        contract::{Health, OpenStoreError, Store, StoreError},
        local::LocalState,
    },
};

/// How long a call may take, including waiting for a connection.
const DEADLINE: Duration = Duration::from_secs(1);

/// The store in `PostgreSQL`.
pub(in crate::store) struct PostgresStore {
    pub(super) local: Arc<LocalState>,
    pool: Pool,
    ready: watch::Receiver<Readiness>,
    listener: AbortHandle,
    deadline: Duration,
}

impl PostgresStore {
    /// Checks that `url` can be parsed and the certificates that it names can be read.
    pub(in crate::store) fn check(url: &Secret) -> Result<(), OpenStoreError> {
        Address::parse(url, DEADLINE).map(drop).map_err(|error| unusable(&error))
    }

    /// Opens the store at `url`. Tasks on `runtime` connect to it and receive notifications.
    pub(in crate::store) fn open(
        url: &Secret,
        runtime: &Handle,
        random: &Random,
        clock: Clock,
    ) -> Result<Store, OpenStoreError> {
        Self::with(url, runtime, random, LocalState::new(clock), DEADLINE).map(|store| Store::of(Arc::new(store)))
    }

    pub(super) fn with(
        url: &Secret,
        runtime: &Handle,
        random: &Random,
        local: LocalState,
        deadline: Duration,
    ) -> Result<Self, OpenStoreError> {
        let address = Arc::new(Address::parse(url, deadline).map_err(|error| unusable(&error))?);
        let pool = pool::of(address.clone(), runtime, deadline).map_err(|error| unusable(&error))?;
        let local = Arc::new(local);
        let (readiness, ready) = watch::channel(Readiness::Connecting);
        let listener = runtime.spawn(listen::keep_listening(address, local.clone(), readiness, random.clone()));
        Ok(Self { pool, local, ready, listener: listener.abort_handle(), deadline })
    }

    /// Runs `sql` within the deadline, for a caller whose clock shows `now`, and returns its rows.
    pub(super) async fn rows(
        &self,
        sql: &str,
        values: Values<'_>,
        now: Timestamp,
    ) -> Result<Vec<RowAnswer>, StoreError> {
        #[cfg(test)]
        let sql = &super::values::at_time(sql, self.local.server_time(now));
        let deadline = alarm::after(Instant::now(), self.deadline);
        let answer = match timeout_at(deadline, self.connection()).await {
            Ok(Ok(connection)) => exchange(connection, sql, values, deadline).await,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(late()),
        };
        self.local.note_reachable(!matches!(answer, Err(StoreError::Unavailable(_))));
        Ok(answer?.into_iter().map(|row| RowAnswer { row, now }).collect())
    }

    /// Runs `sql` and returns its only row.
    pub(super) async fn row(&self, sql: &str, values: Values<'_>, now: Timestamp) -> Result<RowAnswer, StoreError> {
        self.rows(sql, values, now).await?.pop().ok_or_else(|| StoreError::Unavailable("no answer".to_owned()))
    }

    async fn connection(&self) -> Result<Object, StoreError> {
        let mut ready = self.ready.clone();
        let state = ready.wait_for(|ready| *ready != Readiness::Connecting).await.map(|ready| ready.clone());
        match state {
            Ok(Readiness::Ready) => self.pool.get().await.map_err(|error| pool::refused(&error)),
            Ok(Readiness::Failed(reason)) => Err(StoreError::Unavailable(reason)),
            Ok(Readiness::Connecting) | Err(_) => Err(StoreError::Unavailable("the gateway is stopping".to_owned())),
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Health for PostgresStore {
    fn is_reachable(&self) -> Option<bool> {
        self.local.is_reachable()
    }

    fn clock_difference(&self) -> Option<i64> {
        self.local.clock_difference()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let sql = "insert into vestibule.probes (id, probed_at) values (1, clock_timestamp()) \
                       on conflict (id) do update set probed_at = excluded.probed_at";
            self.rows(sql, &[], self.local.now()).await.map(drop)
        }
        .boxed()
    }
}

/// Runs a statement. The connection returns to the pool after an answer; after an error or a timeout it is closed.
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

fn unusable(error: &dyn std::error::Error) -> OpenStoreError {
    OpenStoreError(error.to_string())
}
