//! The master that Sentinels name (Redis documentation, "Guidelines for Redis clients with support for Redis
//! Sentinel").

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, interval},
};

use super::{
    super::address::Host,
    connect::{Connected, Connector, Push},
    reconnecting::{Destination, FixedHost, ReconnectingConnection},
};
use crate::secret::Random;

/// The deadline for a Sentinel's answer.
const SENTINEL_ANSWER: Duration = Duration::from_millis(300);
/// How often the Sentinels are asked whether the master is still the same.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The master of the service `service`, as the Sentinels name it.
pub(super) struct SentinelMaster {
    connector: Arc<Connector>,
    sentinels: Vec<ReconnectingConnection>,
    service: String,
}

impl SentinelMaster {
    /// Starts connections to the Sentinels at `hosts`, with `sentinel_connector`. `connector` is for the master.
    pub(super) fn new(
        hosts: &[Host],
        sentinel_connector: &Arc<Connector>,
        connector: Arc<Connector>,
        service: String,
        runtime: &Handle,
        random: &Random,
    ) -> Self {
        let to = |host: &Host| Arc::new(FixedHost { connector: sentinel_connector.clone(), host: host.clone() });
        let sentinels = hosts.iter().map(|host| ReconnectingConnection::start(to(host), runtime, random)).collect();
        Self { connector, sentinels, service }
    }

    /// Asks all Sentinels at once. If they name different masters, the one with the newest configuration is right.
    async fn current(&self) -> Option<Host> {
        let mut command = redis::cmd("SENTINEL");
        command.arg("MASTER").arg(&self.service);
        let deadline = Instant::now() + SENTINEL_ANSWER;
        let asked: FuturesUnordered<_> =
            self.sentinels.iter().map(|sentinel| sentinel.exchange(&command, false, deadline)).collect();
        let masters = asked.filter_map(|answer| async { master_in(answer.ok()?) }).collect::<Vec<_>>().await;
        masters.into_iter().max_by_key(|(epoch, _)| *epoch).map(|(_, host)| host)
    }
}

impl Destination for SentinelMaster {
    async fn connect(&self, push: Option<Push>) -> Result<Connected, String> {
        let host = self.current().await.ok_or("no Sentinel names a master")?;
        let mut connected = self.connector.connect(&host, push).await?;
        // The answers of Sentinels may be out of date; the server's own ROLE is not.
        let role = redis::cmd("ROLE").query_async::<Vec<Value>>(&mut connected.connection).await;
        match role.ok().and_then(|role| role.into_iter().next()) {
            Some(Value::BulkString(role)) if role == b"master" => Ok(connected),
            _ => Err(format!("{host}: the Sentinels name it as the master, but its role is another")),
        }
    }

    async fn has_moved_from(&self, host: &Host) {
        let mut times = interval(ASK_AGAIN);
        loop {
            times.tick().await;
            if self.current().await.is_some_and(|master| master != *host) {
                return;
            }
        }
    }
}

/// Decodes the answer to SENTINEL MASTER: the configuration epoch and the master.
fn master_in(answer: Value) -> Option<(u64, Host)> {
    let facts: HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    let epoch = facts.get("config-epoch")?.parse().ok()?;
    Some((epoch, Host { name: facts.get("ip")?.clone(), port: facts.get("port")?.parse().ok()? }))
}
