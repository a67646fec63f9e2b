//! Why this store does not use the managers of the crate `redis`: each fault of a manager, and a test that the store
//! does not have it. If a test of a manager fails after an update of the crate, the manager may have become usable.

use std::time::Duration;

use redis::{
    Client, ErrorKind, RedisResult, ServerErrorKind, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    sentinel::{SentinelClient, SentinelServerType},
};

use super::{
    faults::wait_until_reachable,
    real_servers::{MasterAndReplica, Nodes, Proxy, Sentinel, Server, store, wait_until},
};
use crate::{
    clock::Timestamp,
    store::{Digest, Quota, Spent, Store, StoreError},
};

const TIMEOUT: Duration = Duration::from_millis(300);
/// The key of a quota, and a part of it that is unique in commands.
const COUNT_KEY: Digest = Digest([0xcd; 32]);
const COUNT_WORD: &str = "count:cdcdcdcd";

async fn manager(port: u16) -> ConnectionManager {
    let config =
        ConnectionManagerConfig::new().set_response_timeout(Some(TIMEOUT)).set_max_delay(Duration::from_millis(50));
    ConnectionManager::new_with_config(Client::open(("127.0.0.1", port)).unwrap(), config).await.unwrap()
}

async fn ping(connection: &mut impl ConnectionLike) -> RedisResult<Value> {
    redis::cmd("PING").query_async(connection).await
}

/// Spends one of the quota `COUNT_KEY`, which admits 3.
async fn count(store: &Store) -> Result<Spent, StoreError> {
    let quota = Quota { key: COUNT_KEY, most: 3, window: Duration::from_secs(3600) };
    store.counters.spend(vec![quota], Timestamp::from_secs(1_700_000_000)).await
}

/// How many more events `COUNT_KEY` admits.
async fn left(store: &Store) -> usize {
    let mut left = 0;
    while count(store).await.unwrap() == Spent::Within {
        left += 1;
    }
    left
}

/// A Cluster of one node, which announces a proxy as its address.
async fn cluster_behind_a_proxy() -> (Server, Proxy) {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    let proxy = Proxy::start(server.port).await;
    let _: () = server.run("CONFIG SET cluster-announce-ip 127.0.0.1");
    let _: () = server.run(&format!("CONFIG SET cluster-announce-port {}", proxy.port));
    let _: () = server.run("CLUSTER ADDSLOTSRANGE 0 16383");
    wait_until("the node has all slots", || server.run::<String>("CLUSTER INFO").contains("cluster_state:ok"));
    (server, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_manager_keeps_a_connection_that_gives_no_answers() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let mut manager = manager(proxy.port).await;
    ping(&mut manager).await.unwrap();
    proxy.drop_answers_on_open_connections();
    for _ in 0..5 {
        assert!(ping(&mut manager).await.unwrap_err().is_timeout());
    }
    // A new connection would work.
    assert_eq!(proxy.accepted(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_replaces_a_connection_that_gives_no_answers() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let store = store(&format!("redis://127.0.0.1:{}?timeout_ms=300", proxy.port));
    wait_until_reachable(&store).await;
    proxy.drop_answers_on_open_connections();
    assert!(store.health.probe().await.is_err());
    wait_until_reachable(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_manager_of_a_sentinel_client_stays_with_the_old_master_after_a_failover() {
    let mut servers = MasterAndReplica::start();
    let store = store(&servers.url());
    wait_until_reachable(&store).await;
    let sentinels = vec![("127.0.0.1", servers.sentinel.port)];
    let mut client = SentinelClient::build(sentinels, "main".to_owned(), None, SentinelServerType::Master).unwrap();
    let master = client.async_get_client().await.unwrap();
    let config = ConnectionManagerConfig::new().set_number_of_retries(0);
    let mut manager = ConnectionManager::new_with_config(master, config).await.unwrap();
    ping(&mut manager).await.unwrap();
    servers.master.kill();
    // The store follows the Sentinel to the new master.
    wait_until_reachable(&store).await;
    for _ in 0..5 {
        assert!(ping(&mut manager).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sentinel_client_uses_the_first_sentinels_master_although_another_has_a_newer_configuration() {
    let (old, new) = (Server::start(&[]), Server::start(&[]));
    let (behind, up_to_date) = (Sentinel::start(old.port, 1), Sentinel::start(new.port, 2));
    let sentinels = vec![("127.0.0.1", behind.port), ("127.0.0.1", up_to_date.port)];
    let mut client = SentinelClient::build(sentinels, "main".to_owned(), None, SentinelServerType::Master).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let _: () = redis::cmd("SET").arg("written").arg("by the client").query_async(&mut connection).await.unwrap();
    assert_eq!(old.run::<u64>("EXISTS written"), 1);

    let hosts = format!("127.0.0.1:{},127.0.0.1:{}", behind.port, up_to_date.port);
    let store = store(&format!("redis-sentinel://{hosts}/main?timeout_ms=5000"));
    wait_until_reachable(&store).await;
    assert_eq!(new.run::<u64>("EXISTS vestibule:probe"), 1);
    assert_eq!(old.run::<u64>("EXISTS vestibule:probe"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_connection_runs_a_command_twice_if_its_answer_is_lost() {
    let (_server, proxy) = cluster_behind_a_proxy().await;
    let client = ClusterClientBuilder::new([("127.0.0.1", proxy.port)]).build().unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    proxy.cut_answer_to("counted");
    let counted: u64 = redis::cmd("INCR").arg("counted").query_async(&mut connection).await.unwrap();
    assert_eq!(counted, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_connection_without_retries_follows_no_redirection() {
    let nodes = Nodes::start();
    let hosts: Vec<_> = nodes.0.iter().map(|node| ("127.0.0.1", node.port)).collect();
    let client = ClusterClientBuilder::new(hosts).retries(0).build().unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let slot: u16 = nodes.0[0].run("CLUSTER KEYSLOT counted");
    let _: () = redis::cmd("SET").arg("counted").arg(0).query_async(&mut connection).await.unwrap();
    let keys_at = |node: &usize| nodes.0[*node].run::<u64>(&format!("CLUSTER COUNTKEYSINSLOT {slot}"));
    let from = (0..3).find(|node| keys_at(node) > 0).unwrap();
    let to = (from + 1) % 3;
    let _: u64 = redis::cmd("DEL").arg("counted").query_async(&mut connection).await.unwrap();
    let id: String = nodes.0[to].run("CLUSTER MYID");
    for node in [to, from] {
        let _: () = nodes.0[node].run(&format!("CLUSTER SETSLOT {slot} NODE {id}"));
    }
    let counted: RedisResult<u64> = redis::cmd("INCR").arg("counted").query_async(&mut connection).await;
    assert_eq!(counted.unwrap_err().kind(), ErrorKind::Server(ServerErrorKind::Moved));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_store_runs_once_also_if_its_answer_is_lost() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.port).await;
    let single = store(&format!("redis://127.0.0.1:{}?timeout_ms=5000", proxy.port));
    let (_node, cluster_proxy) = cluster_behind_a_proxy().await;
    let cluster = store(&format!("redis-cluster://127.0.0.1:{}?timeout_ms=5000", cluster_proxy.port));
    for (store, proxy) in [(single, proxy), (cluster, cluster_proxy)] {
        wait_until_reachable(&store).await;
        // From here on the server has the script.
        assert_eq!(count(&store).await.unwrap(), Spent::Within);
        proxy.cut_answer_to(COUNT_WORD);
        assert!(matches!(count(&store).await, Err(StoreError::Unavailable(_))));
        wait_until_reachable(&store).await;
        assert_eq!(left(&store).await, 1);
    }
}
