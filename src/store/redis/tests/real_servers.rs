//! Real servers for the tests. Each uses a free port of this machine and is killed when its value is dropped, at the
//! latest when the test process ends.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Handle,
    sync::watch,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    clock::Clock,
    secret::{Random, Secret},
    store::{Store, local::LocalState, redis::RedisStore},
};

/// Runs a command and kills it when standard input is closed, also if the tests are killed.
const UNTIL_STDIN_ENDS: &str = r#""$@" & server=$!; cat >/dev/null; kill -9 $server; wait $server"#;
/// Attempts to start a server: another process may have taken the free port meanwhile.
const ATTEMPTS: usize = 10;

/// A running `redis-server`.
pub(super) struct Server {
    pub(super) port: u16,
    /// The port on which the nodes of a Cluster talk to one another.
    bus: u16,
    process: Option<Child>,
    dir: TempDir,
    options: Vec<String>,
}

impl Server {
    /// A server that keeps nothing on disk, with further `options`.
    pub(super) fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { port: 0, bus: 0, process: None, dir, options };
        let started = (0..ATTEMPTS).any(|_| {
            (server.port, server.bus) = (free_port(), free_port());
            server.try_start()
        });
        assert!(
            started,
            "redis-server does not start: is it installed? (Debian: redis-server, redis-sentinel, redis-tools)"
        );
        server
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// Starts it again, empty, on the same port.
    pub(super) fn restart(&mut self) {
        self.kill();
        assert!((0..ATTEMPTS).any(|_| self.try_start()), "redis-server does not start again");
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?timeout_ms=5000", self.port)
    }

    /// Runs a command on it.
    pub(super) fn run<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }

    /// Sends it a signal (`-STOP`, `-CONT`); its connections stay.
    pub(super) fn signal(&self, signal: &str, pid: &str) {
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success(), "{}", self.port);
    }

    pub(super) fn pid(&self) -> String {
        let info: String = self.run("INFO server");
        info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().to_owned()
    }

    fn try_start(&mut self) -> bool {
        let mut words: Vec<String> =
            ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned).into();
        words.extend(["--repl-diskless-sync-delay".to_owned(), "0".to_owned()]);
        words.extend(["--dir".to_owned(), self.dir.path().display().to_string()]);
        let has_tls = self.options.iter().any(|option| option == "--tls-cert-file");
        words.extend([if has_tls { "--tls-port" } else { "--port" }.to_owned(), self.port.to_string()]);
        if has_tls {
            words.extend(["--port".to_owned(), "0".to_owned()]);
        }
        if self.options.iter().any(|option| option == "--cluster-enabled") {
            words.extend(["--cluster-port".to_owned(), self.bus.to_string()]);
        }
        words.extend(self.options.iter().cloned());
        self.process = run(&words, "Ready to accept connections");
        self.process.is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A master, its replica, and a Sentinel that monitors them.
pub(super) struct MasterAndReplica {
    pub(super) master: Server,
    pub(super) replica: Server,
    pub(super) sentinel: Sentinel,
}

impl MasterAndReplica {
    pub(super) fn start() -> Self {
        let master = Server::start(&[]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        wait_until("the replica follows", || {
            replica.run::<String>("INFO replication").contains("master_link_status:up")
        });
        let sentinel = Sentinel::start(master.port, 0);
        let watched = Self { master, replica, sentinel };
        wait_until("the Sentinel knows the replica", || {
            let client = redis::Client::open(("127.0.0.1", watched.sentinel.port)).unwrap();
            let replicas: Vec<redis::Value> = redis::cmd("SENTINEL")
                .arg("REPLICAS")
                .arg("main")
                .query(&mut client.get_connection().unwrap())
                .unwrap();
            !replicas.is_empty()
        });
        watched
    }

    pub(super) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}/main?timeout_ms=5000", self.sentinel.port)
    }
}

/// A Sentinel that monitors the service `main`.
pub(super) struct Sentinel {
    pub(super) port: u16,
    process: Child,
    _dir: TempDir,
}

impl Sentinel {
    /// Monitors the master on `master_port`, with a configuration of this epoch.
    pub(super) fn start(master_port: u16, epoch: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("sentinel.conf");
        let started = (0..ATTEMPTS).find_map(|_| {
            let port = free_port();
            let text = format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {master_port} 1\n\
                 sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n\
                 sentinel config-epoch main {epoch}\n"
            );
            std::fs::write(&config, text).unwrap();
            let words = ["redis-server", &config.display().to_string(), "--sentinel"].map(str::to_owned);
            run(&words, "+monitor master").map(|process| (port, process))
        });
        let (port, process) = started.expect("a Sentinel starts");
        Self { port, process, _dir: dir }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

/// Three masters that share the slots.
pub(super) struct Nodes(pub(super) Vec<Server>);

impl Nodes {
    pub(super) fn start() -> Self {
        let options =
            ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000"];
        let nodes: Vec<Server> = (0..3).map(|_| Server::start(&options)).collect();
        let hosts = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let created = Command::new("redis-cli").args(["--cluster", "create"]).args(hosts).arg("--cluster-yes").output();
        let created = created.expect("redis-cli is installed (Debian: redis-tools)");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
        wait_until("all nodes agree", || {
            nodes.iter().all(|node| node.run::<String>("CLUSTER INFO").contains("cluster_state:ok"))
        });
        Self(nodes)
    }

    pub(super) fn url(&self) -> String {
        let mut url = "redis-cluster://".to_owned();
        for (number, node) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(url, "{comma}127.0.0.1:{}", node.port).unwrap();
        }
        url + "?timeout_ms=5000"
    }
}

/// The address of a server that all tests share: `VESTIBULE_TEST_REDIS`, or one that is started here.
pub(super) fn shared_url() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    std::env::var("VESTIBULE_TEST_REDIS").unwrap_or_else(|_| SERVER.get_or_init(|| Server::start(&[])).url())
}

/// The address of a Cluster that all tests share.
pub(super) fn shared_cluster_url() -> String {
    static NODES: OnceLock<Nodes> = OnceLock::new();
    NODES.get_or_init(Nodes::start).url()
}

/// A store at `url`, on this test's runtime.
pub(super) fn store(url: &str) -> Store {
    let local = LocalState::in_time_of_calls();
    RedisStore::with(&Secret::new(url), &Handle::current(), &Random::system(), local).unwrap()
}

/// A store as the gateway opens it: its server's clock decides.
pub(super) fn store_in_server_time(url: &str, clock: Clock) -> Store {
    RedisStore::open(&Secret::new(url), &Handle::current(), &Random::system(), clock).unwrap()
}

/// A self-signed certificate for 127.0.0.1, and its key.
pub(super) fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// Polls until `is_done` is true, for events in other processes that cannot be awaited.
pub(super) fn wait_until(what: &str, mut is_done: impl FnMut() -> bool) {
    let is = (0..2000).any(|_| {
        let is = is_done();
        if !is {
            std::thread::sleep(Duration::from_millis(10));
        }
        is
    });
    assert!(is, "not within 20 s: {what}");
}

/// Starts the command `words`; `None` if it ends before a line of its output contains `ready`.
fn run(words: &[String], ready: &str) -> Option<Child> {
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_STDIN_ENDS, "sh"]).args(words);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("a shell is installed");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    if !lines.by_ref().map_while(Result::ok).any(|line| line.contains(ready)) {
        drop(process.stdin.take());
        process.wait().unwrap();
        return None;
    }
    // Its output is read to the end, because a full pipe would block it.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(process)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The fault that a [`Proxy`] causes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Connections up to this number stay open, but pass no answers to the client.
    Silence(usize),
    /// The answer to the next command that contains this word is dropped, and the connection is closed.
    CutAnswerTo(&'static str),
}

/// A TCP proxy in front of a server that simulates failures of the network.
pub(super) struct Proxy {
    pub(super) port: u16,
    accepted: Arc<AtomicUsize>,
    fault: watch::Sender<Fault>,
    _accepts: AbortOnDropHandle<()>,
}

impl Proxy {
    /// Starts a proxy for the server on `server_port`.
    pub(super) async fn start(server_port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, fault) = (Arc::new(AtomicUsize::new(0)), watch::Sender::new(Fault::None));
        let accepts = {
            let (accepted, fault) = (accepted.clone(), fault.clone());
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
                    tokio::spawn(pass(client, server_port, number, fault.clone()));
                }
            })
        };
        Self { port, accepted, fault, _accepts: AbortOnDropHandle::new(accepts) }
    }

    /// The number of connections that were accepted.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections that are open now pass no more answers; new ones work.
    pub(super) fn drop_answers_on_open_connections(&self) {
        self.fault.send_replace(Fault::Silence(self.accepted()));
    }

    /// Drops the answer to the next command that contains `word`, and closes its connection.
    pub(super) fn cut_answer_to(&self, word: &'static str) {
        self.fault.send_replace(Fault::CutAnswerTo(word));
    }
}

async fn pass(mut client: TcpStream, server_port: u16, number: usize, fault: watch::Sender<Fault>) {
    let mut server = TcpStream::connect(("127.0.0.1", server_port)).await.unwrap();
    let (mut command, mut answer) = ([0; 16384], [0; 16384]);
    let mut cut = false;
    loop {
        tokio::select! {
            read = client.read(&mut command) => {
                let Ok(length @ 1..) = read else { return };
                if let Fault::CutAnswerTo(word) = *fault.borrow() {
                    cut = command[..length].windows(word.len()).any(|part| part == word.as_bytes());
                }
                server.write_all(&command[..length]).await.unwrap();
            }
            read = server.read(&mut answer) => {
                let Ok(length @ 1..) = read else { return };
                if cut {
                    fault.send_replace(Fault::None);
                    return;
                }
                let is_silent = matches!(*fault.borrow(), Fault::Silence(upto) if number <= upto);
                if !is_silent && client.write_all(&answer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
