//! A Redis Cluster: which node has which slot, and a connection to each node. A call is sent again only if the node
//! said that it did not run.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::Value;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{address::Host, script::Call},
    connect::Connector,
    failure::CallFailure,
    kept::{FixedHost, KeptConnection},
};
use crate::{
    secret::Random,
    store::reconnect::{LONGEST_WAIT, Reconnect},
};

/// How long a node may take to answer with the map of slots.
const MAP_ANSWER: Duration = Duration::from_millis(300);
/// The map is read again after this time even if nothing says that it changed.
const READ_AGAIN: Duration = Duration::from_secs(30);
/// Nodes that one call is sent to.
const MOST_HOPS: usize = 4;

/// A Cluster.
pub(super) struct Cluster {
    nodes: Arc<Nodes>,
    _map_reader: AbortOnDropHandle<()>,
}

struct Nodes {
    connector: Arc<Connector>,
    seeds: Vec<Host>,
    runtime: Handle,
    random: Random,
    map: watch::Sender<Map>,
    /// One for each master that is talked to.
    connections: Mutex<HashMap<Host, Arc<KeptConnection>>>,
    /// Notified by a call that found the map to be wrong.
    is_stale: Notify,
}

#[derive(Clone, Default)]
struct Map {
    /// First slot, last slot, and the master that has them.
    ranges: Arc<[(u16, u16, Host)]>,
    /// How often it was read.
    read: u64,
    /// How often it had changed when it was read.
    changed: u64,
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Host> {
        self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(_, _, host)| host.clone())
    }
}

impl Cluster {
    /// Reads the map from one of `seeds`, and later from the nodes in it.
    pub(super) fn new(connector: Arc<Connector>, seeds: Vec<Host>, runtime: &Handle, random: &Random) -> Self {
        let nodes = Arc::new(Nodes {
            connector,
            seeds,
            runtime: runtime.clone(),
            random: random.clone(),
            map: watch::Sender::new(Map::default()),
            connections: Mutex::default(),
            is_stale: Notify::new(),
        });
        let reader = runtime.spawn(keep_reading(nodes.clone()));
        Self { nodes, _map_reader: AbortOnDropHandle::new(reader) }
    }

    /// Runs a script on the node that has its key.
    pub(super) async fn run(&self, call: &Call, deadline: Instant) -> Result<Value, CallFailure> {
        let (nodes, slot) = (&self.nodes, call.slot());
        let mut map = nodes.map_after(0, deadline).await?;
        let mut target = map.owner(slot);
        let mut asking = false;
        let mut failure = CallFailure::NotSent(format!("no node has slot {slot}").into());
        for _ in 0..MOST_HOPS {
            if let Some(host) = &target {
                failure = match nodes.connection(host).run(call, asking, deadline).await {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => failure,
                };
            }
            asking = matches!(failure, CallFailure::Ask(_));
            match &failure {
                CallFailure::Ask(host) => {
                    target = Some(host.clone());
                    continue;
                }
                CallFailure::Moved(host) => {
                    nodes.is_stale.notify_one();
                    target = Some(host.clone());
                    continue;
                }
                CallFailure::Full | CallFailure::NoScript => return Err(failure),
                CallFailure::Unknown(_) => {
                    nodes.is_stale.notify_one();
                    return Err(failure);
                }
                CallFailure::Refused(_) | CallFailure::NotSent(_) => {}
            }
            // It did not run. The next reading of the map says whether another node can run it.
            nodes.is_stale.notify_one();
            let Ok(newer) = nodes.map_after(map.read, deadline).await else { return Err(failure) };
            let owner = newer.owner(slot);
            if owner == target && matches!(failure, CallFailure::NotSent(_)) {
                return Err(failure);
            }
            (map, target) = (newer, owner);
        }
        Err(failure)
    }

    /// One of the nodes; another one for each `turn`.
    pub(super) fn some_node(&self, turn: usize) -> FixedHost {
        let hosts = self.nodes.hosts();
        FixedHost { connector: self.nodes.connector.clone(), host: hosts[turn % hosts.len()].clone() }
    }

    /// Changes with each change of the map: messages may have been missed.
    pub(super) fn epoch(&self) -> u64 {
        self.nodes.map.borrow().changed
    }
}

impl Nodes {
    /// The map, once it was read more often than `read` times.
    async fn map_after(&self, read: u64, deadline: Instant) -> Result<Map, CallFailure> {
        let mut map = self.map.subscribe();
        let known = timeout_at(deadline, map.wait_for(|map| map.read > read)).await;
        let Ok(Ok(map)) = known else {
            return Err(CallFailure::NotSent("no node answers with the map of slots".into()));
        };
        Ok(map.clone())
    }

    fn connection(&self, host: &Host) -> Arc<KeptConnection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(host.clone()).or_insert_with(|| {
            let target = FixedHost { connector: self.connector.clone(), host: host.clone() };
            Arc::new(KeptConnection::keep(Arc::new(target), &self.runtime, &self.random))
        });
        connection.clone()
    }

    /// The masters, then the seeds; at least one.
    fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = Vec::new();
        let known = self.map.borrow().ranges.clone();
        for host in known.iter().map(|(_, _, host)| host).chain(&self.seeds) {
            if !hosts.contains(host) {
                hosts.push(host.clone());
            }
        }
        hosts
    }

    async fn read_map(&self, turn: usize) -> Option<Vec<(u16, u16, Host)>> {
        let hosts = self.hosts();
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        for step in 0..hosts.len() {
            let host = &hosts[(turn + step) % hosts.len()];
            let deadline = Instant::now() + MAP_ANSWER;
            if let Ok(answer) = self.connection(host).exchange(&command, false, deadline).await
                && let Some(ranges) = ranges(answer, host)
            {
                return Some(ranges);
            }
        }
        None
    }

    fn learn(&self, ranges: Vec<(u16, u16, Host)>) {
        self.map.send_modify(|map| {
            map.read += 1;
            if *map.ranges != *ranges {
                map.changed += 1;
                map.ranges = ranges.into();
            }
        });
        let masters = self.map.borrow().ranges.clone();
        let is_master = |host: &Host| masters.iter().any(|(_, _, master)| master == host);
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).retain(|host, _| is_master(host));
    }
}

async fn keep_reading(nodes: Arc<Nodes>) {
    let mut reconnect = Reconnect::up_to(LONGEST_WAIT / 4, nodes.random.clone());
    let mut turn = 0;
    loop {
        let begun = Instant::now();
        if let Some(ranges) = nodes.read_map(turn).await {
            nodes.learn(ranges);
            // It is read again after the time or the notification, whichever comes first.
            let _ = timeout(READ_AGAIN, nodes.is_stale.notified()).await;
        }
        turn += 1;
        if begun.elapsed() >= LONGEST_WAIT {
            reconnect.succeeded();
        } else {
            sleep(reconnect.wait()).await;
        }
    }
}

/// The answer to CLUSTER SLOTS: for each range its first and last slot, its master, and its replicas. A node is its
/// name, its port, and more.
fn ranges(answer: Value, asked: &Host) -> Option<Vec<(u16, u16, Host)>> {
    let Value::Array(ranges) = answer else { return None };
    let mut known = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else { return None };
        let [name, Value::Int(port), ..] = master.as_slice() else { return None };
        let name = match name {
            Value::BulkString(name) if !name.is_empty() && name != b"?" => String::from_utf8(name.clone()).ok()?,
            // A node that does not know its own name is the one that was asked.
            _ => asked.name.clone(),
        };
        let host = Host { name, port: u16::try_from(*port).ok()? };
        known.push((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, host));
    }
    // A node that the others have removed from the Cluster knows no slots.
    (!known.is_empty()).then_some(known)
}
