//! The pool of connections for calls.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{
    BuildError, Connect, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use futures_util::{
    StreamExt as _,
    future::{BoxFuture, FutureExt as _},
};
use tokio::{runtime::Handle, task::JoinHandle};
use tokio_postgres::{Client, Config, Error};

use super::{address::Address, reason::reason};
use crate::store::contract::StoreError;

/// Connections for calls, per instance. One more connection receives notifications.
const MOST_CONNECTIONS: usize = 8;

/// A pool of connections to `address`. Each is made when it is first needed, within `limit`, and is driven by a task on
/// `runtime`.
pub(super) fn of(address: Arc<Address>, runtime: &Handle, limit: Duration) -> Result<Pool, BuildError> {
    let config = address.config();
    let connect = PoolConnector { address, runtime: runtime.clone(), limit };
    // Calls change no setting of a connection, so an open one can be used again without a reset.
    let manager = Manager::from_connect(config, connect, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let limit = Some(limit);
    Pool::builder(manager)
        .max_size(MOST_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
        .build()
}

/// The error of a call that got no connection from the pool.
pub(super) fn refused(error: &PoolError) -> StoreError {
    StoreError::Unavailable(match error {
        PoolError::Backend(error) => reason(error),
        PoolError::Timeout(_) => "no connection in time".to_owned(),
        other => other.to_string(),
    })
}

struct PoolConnector {
    address: Arc<Address>,
    runtime: Handle,
    limit: Duration,
}

impl Connect for PoolConnector {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async move {
            let (client, mut messages) = self.address.connect().await?;
            let driver = self.runtime.spawn(async move {
                while let Some(message) = messages.next().await {
                    if let Err(error) = message {
                        tracing::debug!(error = reason(&error), "a connection to the store broke");
                        return;
                    }
                }
            });
            // The timeout ends a statement whose caller no longer waits, so that it releases its locks. READ COMMITTED
            // lets a statement see what the previous holder of a lock wrote, whatever the database's default isolation
            // is.
            let limit = self.limit.mul_f32(0.9).as_millis();
            let settings =
                format!("set statement_timeout = {limit}; set default_transaction_isolation = 'read committed'");
            client.batch_execute(&settings).await?;
            Ok((client, driver))
        }
        .boxed()
    }
}
