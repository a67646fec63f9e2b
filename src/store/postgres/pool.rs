//! Connections that calls share.

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

use super::{StoreError, address::Address, reason};

/// Connections for calls; one more listens.
const MOST_CONNECTIONS: usize = 8;

/// A pool of connections to `address`, none of which is made yet.
pub(super) fn of(address: Arc<Address>, runtime: &Handle, limit: Duration) -> Result<Pool, BuildError> {
    let config = address.config();
    let connect = Dial { address, runtime: runtime.clone(), limit };
    // Connections are as they were made: nothing sets anything on them. So one that is open is as good as new.
    let manager = Manager::from_connect(config, connect, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let limit = Some(limit);
    Pool::builder(manager)
        .max_size(MOST_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
        .build()
}

/// Why the pool gave no connection.
pub(super) fn refused(error: &PoolError) -> StoreError {
    StoreError::Unavailable(match error {
        PoolError::Backend(error) => reason(error),
        PoolError::Timeout(_) => "no connection in time".to_owned(),
        other => other.to_string(),
    })
}

struct Dial {
    address: Arc<Address>,
    runtime: Handle,
    limit: Duration,
}

impl Connect for Dial {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        async move {
            let (client, mut messages) = self.address.connect().await?;
            let carried = self.runtime.spawn(async move {
                while let Some(message) = messages.next().await {
                    if let Err(error) = message {
                        tracing::debug!(error = reason(&error), "a connection to the store broke");
                        return;
                    }
                }
            });
            // What nobody waits for any more must not hold its locks for longer. And what stands after a lock must see what its last holder did, whatever the database's default.
            let limit = self.limit.mul_f32(0.9).as_millis();
            let settings =
                format!("set statement_timeout = {limit}; set default_transaction_isolation = 'read committed'");
            client.batch_execute(&settings).await?;
            Ok((client, carried))
        }
        .boxed()
    }
}
