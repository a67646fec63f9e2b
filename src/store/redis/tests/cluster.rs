//! The conformance suite in a Cluster, and calls while its slots are migrated.

use std::time::Duration;

use super::{
    faults::wait_until_reachable,
    real_servers::{Nodes, shared_cluster_url, store, wait_until},
};
use crate::{
    clock::Timestamp,
    secret::Random,
    store::{
        Digest, Holder, Lease, Sid, Store, conformance,
        redis::{
            keys::KeyNames,
            script::{PROBE, ScriptCall},
        },
    },
};

async fn shared_store() -> Store {
    let store = store(&shared_cluster_url());
    wait_until_reachable(&store).await;
    store
}

async fn one() -> Option<(Store, ())> {
    Some((shared_store().await, ()))
}

async fn two() -> Option<(Store, Store, ())> {
    Some((shared_store().await, shared_store().await, ()))
}

conformance::conformance!(one);
conformance::shared!(two);

const SID: Sid = Sid([7; 16]);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

fn holder() -> Holder {
    Holder(Random::system().bytes())
}

async fn lease(store: &Store, rt: u8) -> Lease {
    store.refreshes.lease(SID, Digest([rt; 32]), 0, holder(), Duration::from_secs(60), at(0)).await.unwrap()
}

/// The slot of the session's key, the index of the node that has it, and the index of another node.
fn slot_and_nodes(nodes: &Nodes) -> (u16, usize, usize) {
    let key = KeyNames::new("vestibule".to_owned()).session(SID);
    let slot = ScriptCall::new(&PROBE, key.clone()).slot();
    assert_eq!(nodes.0[0].run::<u16>(&format!("CLUSTER KEYSLOT {key}")), slot);
    let owner = (0..3).find(|node| nodes.0[*node].run::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}")) > 0).unwrap();
    (slot, owner, (owner + 1) % 3)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_follow_a_slot_as_it_moves_to_another_node() {
    let nodes = Nodes::start();
    let store = store(&nodes.url());
    assert!(matches!(lease(&store, 1).await, Lease::Granted(_)));
    let (slot, from, to) = slot_and_nodes(&nodes);
    let id = |node: usize| nodes.0[node].run::<String>("CLUSTER MYID");

    let _: () = nodes.0[to].run(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(from)));
    let _: () = nodes.0[from].run(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(to)));
    for key in nodes.0[from].run::<Vec<String>>(&format!("CLUSTER GETKEYSINSLOT {slot} 100")) {
        let _: () = nodes.0[from].run(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", nodes.0[to].port));
    }
    // For keys that it no longer has, the old owner redirects calls to the new one.
    assert!(matches!(lease(&store, 1).await, Lease::Held(_)));
    assert!(matches!(lease(&store, 2).await, Lease::Granted(_)));
    for node in [to, from] {
        let _: () = nodes.0[node].run(&format!("CLUSTER SETSLOT {slot} NODE {}", id(to)));
    }
    assert!(matches!(lease(&store, 2).await, Lease::Held(_)));
    assert!(matches!(lease(&store, 3).await, Lease::Granted(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_node_is_down_only_calls_for_its_keys_fail() {
    let mut nodes = Nodes::start();
    let url = nodes.url().replace("5000", "500");
    let store = store(&url);
    assert!(matches!(lease(&store, 1).await, Lease::Granted(_)));
    let (_, owner, _) = slot_and_nodes(&nodes);
    nodes.0[owner].kill();
    assert!(store.refreshes.lease(SID, Digest([1; 32]), 0, holder(), Duration::from_secs(60), at(0)).await.is_err());
    let mut answered = 0;
    for key in 0..30 {
        answered += usize::from(store.one_time.take(Digest([key; 32]), at(60), at(0)).await.is_ok());
    }
    assert!((1..30).contains(&answered), "{answered}");
    // It reads its slots from its disk.
    nodes.0[owner].restart();
    wait_until("the node has joined the others again", || {
        nodes.0.iter().all(|node| node.run::<String>("CLUSTER INFO").contains("cluster_state:ok"))
    });
    wait_until_reachable(&store).await;
    assert!(matches!(lease(&store, 1).await, Lease::Granted(_)));
}
