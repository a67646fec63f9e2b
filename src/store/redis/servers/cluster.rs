//! A Redis Cluster: the map of slots to nodes, and a connection to each node. A call is sent again only if the node
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
    super::{address::Host, script::ScriptCall},
    connect::Connector,
    failure::CallFailure,
    reconnecting::{FixedHost, ReconnectingConnection},
};
use crate::{
    secret::Random,
    store::reconnect::{LONGEST_WAIT, Reconnect},
};

/// How long a node may take to answer with the map of slots.
const MAP_ANSWER: Duration = Duration::from_millis(300);
/// The interval at which the map is read if no call found it to be wrong.
const READ_AGAIN: Duration = Duration::from_secs(30);
/// Most nodes that one call is sent to.
const MOST_NODES_PER_CALL: usize = 4;

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
    map: watch::Sender<SlotMap>,
    /// One for each master that calls were sent to.
    connections: Mutex<HashMap<Host, Arc<ReconnectingConnection>>>,
    /// Notified by a call that found the map to be out of date.
    is_stale: Notify,
}

#[derive(Clone, Default)]
struct SlotMap {
    /// First slot, last slot, and the master of this range.
    ranges: Arc<[(u16, u16, Host)]>,
    /// How many times the map was read.
    read: u64,
    /// How many readings differed from the one before.
    changed: u64,
}

impl SlotMap {
    fn owner(&self, slot: u16) -> Option<Host> {
        self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(_, _, host)| host.clone())
    }
}

impl Cluster {
    /// Starts a task on `runtime` that reads the map, first from one of `seeds`, later from the nodes in it.
    pub(super) fn new(connector: Arc<Connector>, seeds: Vec<Host>, runtime: &Handle, random: &Random) -> Self {
        let nodes = Arc::new(Nodes {
            connector,
            seeds,
            runtime: runtime.clone(),
            random: random.clone(),
            map: watch::Sender::new(SlotMap::default()),
            connections: Mutex::default(),
            is_stale: Notify::new(),
        });
        let reader = runtime.spawn(keep_reading(nodes.clone()));
        Self { nodes, _map_reader: AbortOnDropHandle::new(reader) }
    }

    /// Runs a script on the node that has its key.
    pub(super) async fn run(&self, call: &ScriptCall, deadline: Instant) -> Result<Value, CallFailure> {
        let (nodes, slot) = (&self.nodes, call.slot());
        let mut map = nodes.map_after(0, deadline).await?;
        let mut target = map.owner(slot);
        let mut asking = false;
        let mut failure = CallFailure::NotSent(format!("no node has slot {slot}").into());
        for _ in 0..MOST_NODES_PER_CALL {
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
            // The call did not run. The next reading of the map shows whether another node can run it.
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

    /// One of the nodes: number `turn`, modulo their number.
    pub(super) fn some_node(&self, turn: usize) -> FixedHost {
        let hosts = self.nodes.hosts();
        FixedHost { connector: self.nodes.connector.clone(), host: hosts[turn % hosts.len()].clone() }
    }

    /// A number that changes with the map: messages may have been missed.
    pub(super) fn epoch(&self) -> u64 {
        self.nodes.map.borrow().changed
    }
}

impl Nodes {
    /// Waits until the map was read more than `read` times, and returns it.
    async fn map_after(&self, read: u64, deadline: Instant) -> Result<SlotMap, CallFailure> {
        let mut map = self.map.subscribe();
        let known = timeout_at(deadline, map.wait_for(|map| map.read > read)).await;
        let Ok(Ok(map)) = known else {
            return Err(CallFailure::NotSent("no node answers with the map of slots".into()));
        };
        Ok(map.clone())
    }

    fn connection(&self, host: &Host) -> Arc<ReconnectingConnection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = connections.entry(host.clone()).or_insert_with(|| {
            let target = FixedHost { connector: self.connector.clone(), host: host.clone() };
            Arc::new(ReconnectingConnection::start(Arc::new(target), &self.runtime, &self.random))
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

    fn store_map(&self, ranges: Vec<(u16, u16, Host)>) {
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
            nodes.store_map(ranges);
            // The next reading is after this time or at the notification, whichever is first.
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

/// Decodes the answer to CLUSTER SLOTS: for each range its first and last slot, its master, and its replicas. Each node
/// is a list that begins with host name and port.
fn ranges(answer: Value, asked: &Host) -> Option<Vec<(u16, u16, Host)>> {
    let Value::Array(ranges) = answer else { return None };
    let mut known = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else { return None };
        let [name, Value::Int(port), ..] = master.as_slice() else { return None };
        let name = match name {
            Value::BulkString(name) if !name.is_empty() && name != b"?" => String::from_utf8(name.clone()).ok()?,
            // An empty or unknown name means the node that was asked.
            _ => asked.name.clone(),
        };
        let host = Host { name, port: u16::try_from(*port).ok()? };
        known.push((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, host));
    }
    // A node that was removed from the Cluster answers with no slots.
    (!known.is_empty()).then_some(known)
}
