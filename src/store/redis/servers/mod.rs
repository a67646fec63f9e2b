//! The servers, however many they are, as what runs scripts and can be listened to.

use std::sync::Arc;

use redis::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use self::{
    cluster::Cluster,
    connect::{Connected, Dialer, Push},
    failure::Fault,
    kept::{CONNECT, Line},
    sentinel::Source,
};
use super::{
    address::{Address, Kind},
    script::Call,
};
use crate::store::OpenError;

mod cluster;
pub(super) mod connect;
pub(super) mod failure;
pub(super) mod kept;
mod sentinel;

/// One server that takes all calls, or a Cluster.
pub(in crate::store::redis) enum Servers {
    One { source: Arc<Source>, line: Line },
    Cluster(Cluster),
}

impl Servers {
    /// Connects from now on, on `runtime`.
    pub(in crate::store::redis) fn new(address: &Address, runtime: &Handle) -> Result<Self, OpenError> {
        let tls = connect::tls(address)?;
        let dialer = Arc::new(Dialer::new(tls.clone(), &address.login));
        let source = match &address.kind {
            Kind::Cluster => return Ok(Self::Cluster(Cluster::new(dialer, address.hosts.clone(), runtime))),
            Kind::Sentinels(service) => {
                let to_sentinels = Arc::new(Dialer::new(tls, &address.sentinel_login));
                Source::behind(&address.hosts, &to_sentinels, dialer, service.clone(), runtime)
            }
            Kind::One => Source::Fixed { dialer, host: address.hosts[0].clone() },
        };
        let source = Arc::new(source);
        Ok(Self::One { line: Line::keep(source.clone(), runtime), source })
    }

    /// Runs a script where its keys are. It is sent again, once a better connection is there, only where it certainly did not run.
    pub(in crate::store::redis) async fn run(&self, call: &Call, deadline: Instant) -> Result<Value, Fault> {
        match self {
            Self::Cluster(cluster) => cluster.run(call, deadline).await,
            Self::One { line, .. } => match line.run(call, false, deadline).await {
                Err(Fault::Stale(_)) => line.run(call, false, deadline).await,
                answer => answer,
            },
        }
    }

    /// A connection of its own to hear what is published; `turn` counts the attempts.
    pub(in crate::store::redis) async fn listen(&self, turn: usize, push: Push) -> Result<Connected, String> {
        let connected = match self {
            Self::One { source, .. } => timeout(CONNECT, source.connect(Some(push))).await,
            Self::Cluster(cluster) => timeout(CONNECT, cluster.some_node(turn).connect(Some(push))).await,
        };
        connected.unwrap_or_else(|_| Err("no connection in time".to_owned()))
    }

    /// Changes whenever another server may have taken over: what was heard so far may then not be all there is. 0 while there is none.
    pub(in crate::store::redis) fn epoch(&self) -> u64 {
        match self {
            Self::One { line, .. } => line.number(),
            Self::Cluster(cluster) => cluster.epoch(),
        }
    }
}
