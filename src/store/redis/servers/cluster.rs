//! A Redis Cluster: which node has which slot, and a connection to each node. A call is sent again only where the node said that it did not run.

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
    super::address::Host,
    connect::Dialer,
    failure::Fault,
    kept::{FIRST_PAUSE, LONGEST_PAUSE, Line},
    super::script::Call,
    sentinel::Source,
};

/// How long a node may think about the map.
const MAP_ANSWER: Duration = Duration::from_millis(300);
/// The map is looked at again after so long, without an occasion.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How often one call is sent on.
const MOST_HOPS: usize = 4;

/// A Cluster.
pub(in crate::store::redis) struct Cluster {
    nodes: Arc<Nodes>,
    _keeper: AbortOnDropHandle<()>,
}

struct Nodes {
    dialer: Arc<Dialer>,
    seeds: Vec<Host>,
    runtime: Handle,
    map: watch::Sender<Map>,
    /// One for each master that is talked to.
    lines: Mutex<HashMap<Host, Arc<Line>>>,
    /// The map is wrong, as far as somebody saw.
    is_stale: Notify,
}

#[derive(Clone, Default)]
struct Map {
    /// First slot, last slot, and who has them.
    ranges: Arc<[(u16, u16, Host)]>,
    /// How often it was read.
    read: u64,
    /// How often it had changed.
    changed: u64,
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Host> {
        self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(_, _, host)| host.clone())
    }
}

impl Cluster {
    /// Reads the map from one of `seeds`, and from the nodes it names later on.
    pub(in crate::store::redis) fn new(dialer: Arc<Dialer>, seeds: Vec<Host>, runtime: &Handle) -> Self {
        let nodes = Arc::new(Nodes {
            dialer,
            seeds,
            runtime: runtime.clone(),
            map: watch::Sender::new(Map::default()),
            lines: Mutex::default(),
            is_stale: Notify::new(),
        });
        let keeper = runtime.spawn(keep(nodes.clone()));
        Self { nodes, _keeper: AbortOnDropHandle::new(keeper) }
    }

    pub(in crate::store::redis) async fn run(&self, call: &Call, deadline: Instant) -> Result<Value, Fault> {
        let (nodes, slot) = (&self.nodes, call.slot());
        let mut map = nodes.map_after(0, deadline).await?;
        let mut target = map.owner(slot);
        let mut asks = false;
        let mut fault = Fault::NotSent(format!("no node has slot {slot}").into());
        for _ in 0..MOST_HOPS {
            if let Some(host) = &target {
                fault = match nodes.line(host).run(call, asks, deadline).await {
                    Ok(answer) => return Ok(answer),
                    Err(fault) => fault,
                };
            }
            asks = matches!(fault, Fault::Ask(_));
            match &fault {
                Fault::Ask(host) => {
                    target = Some(host.clone());
                    continue;
                }
                Fault::Moved(host) => {
                    nodes.is_stale.notify_one();
                    target = Some(host.clone());
                    continue;
                }
                Fault::Full | Fault::NoScript => return Err(fault),
                Fault::Unsure(_) => {
                    nodes.is_stale.notify_one();
                    return Err(fault);
                }
                Fault::Stale(_) | Fault::NotSent(_) => {}
            }
            // It did not run; whether it can elsewhere the next reading of the map shows.
            nodes.is_stale.notify_one();
            let Ok(newer) = nodes.map_after(map.read, deadline).await else { return Err(fault) };
            let owner = newer.owner(slot);
            if owner == target && matches!(fault, Fault::NotSent(_)) {
                return Err(fault);
            }
            (map, target) = (newer, owner);
        }
        Err(fault)
    }

    /// One of the nodes, another each `turn`.
    pub(in crate::store::redis) fn some_node(&self, turn: usize) -> Source {
        let hosts = self.nodes.hosts();
        Source::Fixed { dialer: self.nodes.dialer.clone(), host: hosts[turn % hosts.len()].clone() }
    }

    /// Changes when what was heard so far may not be all there was.
    pub(in crate::store::redis) fn epoch(&self) -> u64 {
        self.nodes.map.borrow().changed
    }
}

impl Nodes {
    /// The map, read more often than `read` times.
    async fn map_after(&self, read: u64, deadline: Instant) -> Result<Map, Fault> {
        let mut map = self.map.subscribe();
        let known = timeout_at(deadline, map.wait_for(|map| map.read > read)).await;
        let Ok(Ok(map)) = known else { return Err(Fault::NotSent("no node says who has which slots".into())) };
        Ok(map.clone())
    }

    fn line(&self, host: &Host) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(host.clone()).or_insert_with(|| {
            let source = Source::Fixed { dialer: self.dialer.clone(), host: host.clone() };
            Arc::new(Line::keep(Arc::new(source), &self.runtime))
        });
        line.clone()
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
            if let Ok(answer) = self.line(host).exchange(&command, false, deadline).await
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
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).retain(|host, _| is_master(host));
    }
}

async fn keep(nodes: Arc<Nodes>) {
    let (mut turn, mut pause) = (0, FIRST_PAUSE);
    loop {
        let begun = Instant::now();
        if let Some(ranges) = nodes.read_map(turn).await {
            nodes.learn(ranges);
            // Out of time or called: it is read again either way.
            let _ = timeout(LOOK_AGAIN, nodes.is_stale.notified()).await;
        }
        turn += 1;
        if begun.elapsed() >= LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE / 4);
        }
    }
}

/// The answer to CLUSTER SLOTS: for each range its first and last slot, its master, its replicas; a node is its name, its port, and more.
fn ranges(answer: Value, asked: &Host) -> Option<Vec<(u16, u16, Host)>> {
    let Value::Array(ranges) = answer else { return None };
    let mut known = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = range.as_slice() else { return None };
        let [name, Value::Int(port), ..] = master.as_slice() else { return None };
        let name = match name {
            Value::BulkString(name) if !name.is_empty() && name != b"?" => String::from_utf8(name.clone()).ok()?,
            // It does not know how it is called: as we called it.
            _ => asked.name.clone(),
        };
        let host = Host { name, port: u16::try_from(*port).ok()? };
        known.push((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, host));
    }
    // A node that has been forgotten by the others knows of no slots.
    (!known.is_empty()).then_some(known)
}
