//! The servers: one server, a master behind Sentinels, or a Cluster. They run scripts and deliver messages.
//!
//! `redis` has managers of its own. `tests/managers.rs` shows what they get wrong for this store.

use std::sync::Arc;

use redis::Value;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout},
};

use self::{
    cluster::Cluster,
    connect::{Connected, Connector, Push},
    failure::CallFailure,
    reconnecting::{CONNECT, Destination, FixedHost, ReconnectingConnection},
    sentinel::SentinelMaster,
};
use super::{
    address::{self, Address},
    script::ScriptCall,
};
use crate::{secret::Random, store::contract::OpenStoreError};

mod cluster;
pub(super) mod connect;
pub(super) mod failure;
pub(super) mod reconnecting;
mod sentinel;

/// The servers of one address.
pub(super) struct Servers(Topology);

enum Topology {
    Single { target: Arc<FixedHost>, connection: ReconnectingConnection },
    Sentinels { target: Arc<SentinelMaster>, connection: ReconnectingConnection },
    Cluster(Cluster),
}

impl Servers {
    /// Starts tasks on `runtime` that connect to the servers.
    pub(super) fn new(address: &Address, runtime: &Handle, random: &Random) -> Result<Self, OpenStoreError> {
        let tls = connect::tls(address)?;
        let connector = Arc::new(Connector::new(tls.clone(), &address.credentials));
        Ok(Self(match &address.topology {
            address::Topology::Single => {
                let target = Arc::new(FixedHost { connector, host: address.hosts[0].clone() });
                Topology::Single { connection: ReconnectingConnection::start(target.clone(), runtime, random), target }
            }
            address::Topology::Sentinels(service) => {
                let sentinel_connector = Arc::new(Connector::new(tls, &address.sentinel_credentials));
                let hosts = &address.hosts;
                let target =
                    SentinelMaster::new(hosts, &sentinel_connector, connector, service.clone(), runtime, random);
                let target = Arc::new(target);
                Topology::Sentinels {
                    connection: ReconnectingConnection::start(target.clone(), runtime, random),
                    target,
                }
            }
            address::Topology::Cluster => {
                Topology::Cluster(Cluster::new(connector, address.hosts.clone(), runtime, random))
            }
        }))
    }

    /// Runs a script on the server that has its key. It is sent again, on another connection, only if it certainly did
    /// not run.
    pub(super) async fn run(&self, call: &ScriptCall, deadline: Instant) -> Result<Value, CallFailure> {
        match &self.0 {
            Topology::Cluster(cluster) => cluster.run(call, deadline).await,
            Topology::Single { connection, .. } | Topology::Sentinels { connection, .. } => {
                match connection.run(call, false, deadline).await {
                    Err(CallFailure::Refused(_)) => connection.run(call, false, deadline).await,
                    answer => answer,
                }
            }
        }
    }

    /// A new connection that receives messages. `turn` is the number of the attempt: in a Cluster each uses another
    /// node.
    pub(super) async fn listen(&self, turn: usize, push: Push) -> Result<Connected, String> {
        let connected = match &self.0 {
            Topology::Single { target, .. } => timeout(CONNECT, target.connect(Some(push))).await,
            Topology::Sentinels { target, .. } => timeout(CONNECT, target.connect(Some(push))).await,
            Topology::Cluster(cluster) => timeout(CONNECT, cluster.some_node(turn).connect(Some(push))).await,
        };
        connected.unwrap_or_else(|_| Err("no connection in time".to_owned()))
    }

    /// A number that changes when another server may have become responsible, so that messages may have been missed. 0
    /// while no server is known.
    pub(super) fn epoch(&self) -> u64 {
        match &self.0 {
            Topology::Single { connection, .. } | Topology::Sentinels { connection, .. } => connection.number(),
            Topology::Cluster(cluster) => cluster.epoch(),
        }
    }
}
