//! Where a connection leads to: a host that stays the same, or the one that Sentinels say is the master now.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use redis::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, interval},
};

use super::{
    super::address::Host,
    connect::{Connected, Dialer, Push},
    kept::Line,
};

/// A Sentinel that has not answered by then is left out.
const SENTINEL_ANSWER: Duration = Duration::from_millis(300);
/// How often Sentinels are asked whether the master is still the same.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whom to connect to.
pub(in crate::store::redis) enum Source {
    Fixed { dialer: Arc<Dialer>, host: Host },
    Sentinels { dialer: Arc<Dialer>, sentinels: Vec<Line>, service: String },
}

impl Source {
    /// The master called `service`, as the Sentinels at `hosts` know it.
    pub(in crate::store::redis) fn behind(
        hosts: &[Host],
        sentinel_dialer: &Arc<Dialer>,
        dialer: Arc<Dialer>,
        service: String,
        runtime: &Handle,
    ) -> Self {
        let to = |host: &Host| Arc::new(Self::Fixed { dialer: sentinel_dialer.clone(), host: host.clone() });
        let sentinels = hosts.iter().map(|host| Line::keep(to(host), runtime)).collect();
        Self::Sentinels { dialer, sentinels, service }
    }

    /// Connects once. The caller sets the deadline.
    pub(in crate::store::redis) async fn connect(&self, push: Option<Push>) -> Result<Connected, String> {
        match self {
            Self::Fixed { dialer, host } => dialer.dial(host, push).await,
            Self::Sentinels { dialer, sentinels, service } => {
                let host = master(sentinels, service).await.ok_or("no Sentinel names a master")?;
                let mut connected = dialer.dial(&host, push).await?;
                // Sentinels may be behind the times; the server itself knows what it is.
                let role = redis::cmd("ROLE").query_async::<Vec<Value>>(&mut connected.connection).await;
                match role.ok().and_then(|role| role.into_iter().next()) {
                    Some(Value::BulkString(role)) if role == b"master" => Ok(connected),
                    _ => Err(format!("{host}: the Sentinels' master is none")),
                }
            }
        }
    }

    /// Resolves when `host` is no longer the one to talk to.
    pub(in crate::store::redis) async fn is_elsewhere(&self, host: &Host) {
        match self {
            Self::Fixed { .. } => std::future::pending().await,
            Self::Sentinels { sentinels, service, .. } => {
                let mut times = interval(LOOK_AGAIN);
                loop {
                    times.tick().await;
                    if master(sentinels, service).await.is_some_and(|master| master != *host) {
                        return;
                    }
                }
            }
        }
    }
}

/// The master that the Sentinels name; where they differ, the one with the newest configuration.
async fn master(sentinels: &[Line], service: &str) -> Option<Host> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("MASTER").arg(service);
    let deadline = Instant::now() + SENTINEL_ANSWER;
    let asked: FuturesUnordered<_> = sentinels.iter().map(|line| line.exchange(&command, false, deadline)).collect();
    let named = asked.filter_map(|answer| async { named(answer.ok()?) }).collect::<Vec<_>>().await;
    named.into_iter().max_by_key(|(epoch, _)| *epoch).map(|(_, host)| host)
}

fn named(answer: Value) -> Option<(u64, Host)> {
    let facts: std::collections::HashMap<String, String> = redis::from_redis_value(answer).ok()?;
    let epoch = facts.get("config-epoch")?.parse().ok()?;
    Some((epoch, Host { name: facts.get("ip")?.clone(), port: facts.get("port")?.parse().ok()? }))
}
