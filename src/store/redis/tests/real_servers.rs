//! Real servers for the tests: each begins on a free port of this machine and ends with the value that stands for it, at the latest with the process.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::{
    secret::Secret,
    store::{RedisStore, Store},
};

/// Ends the server when its own standard input does: also where the tests are killed.
const UNTIL_STDIN_ENDS: &str = r#""$@" & server=$!; cat >/dev/null; kill -9 $server; wait $server"#;
/// How often somebody else may take a port that was free a moment ago.
const ATTEMPTS: usize = 10;

/// A running `redis-server`.
pub(super) struct Server {
    pub(super) port: u16,
    /// Where the nodes of a Cluster speak to one another.
    bus: u16,
    process: Option<Child>,
    dir: TempDir,
    options: Vec<String>,
}

impl Server {
    /// One that keeps nothing on disk, with `options` beside.
    pub(super) fn start(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { port: 0, bus: 0, process: None, dir, options };
        let begun = (0..ATTEMPTS).any(|_| {
            (server.port, server.bus) = (free_port(), free_port());
            server.begin()
        });
        assert!(
            begun,
            "redis-server does not start: is it installed? (Debian: redis-server, redis-sentinel, redis-tools)"
        );
        server
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// Begins again, empty, on the same port.
    pub(super) fn restart(&mut self) {
        self.kill();
        assert!((0..ATTEMPTS).any(|_| self.begin()), "redis-server does not start again");
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?timeout_ms=5000", self.port)
    }

    /// Says something to it.
    pub(super) fn says<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let client = redis::Client::open(("127.0.0.1", self.port)).unwrap();
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command.query(&mut client.get_connection().unwrap()).unwrap()
    }

    /// Stops it, or lets it go on, without its connections ending.
    pub(super) fn signal(&self, signal: &str, pid: &str) {
        assert!(Command::new("kill").args([signal, pid]).status().unwrap().success(), "{}", self.port);
    }

    pub(super) fn pid(&self) -> String {
        let info: String = self.says("INFO server");
        info.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().to_owned()
    }

    fn begin(&mut self) -> bool {
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

/// A master, its replica, and the Sentinel that watches them.
pub(super) struct Watched {
    pub(super) master: Server,
    pub(super) replica: Server,
    pub(super) sentinel_port: u16,
    sentinel: Option<Child>,
    _dir: TempDir,
}

impl Watched {
    pub(super) fn start() -> Self {
        let master = Server::start(&[]);
        let replica = Server::start(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
        until("the replica follows", || replica.says::<String>("INFO replication").contains("master_link_status:up"));
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("sentinel.conf");
        let mut started = (0, None);
        for _ in 0..ATTEMPTS {
            let port = free_port();
            let mut text = format!("port {port}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {} 1\n", master.port);
            text.push_str("sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n");
            std::fs::write(&config, text).unwrap();
            let words = ["redis-server", &config.display().to_string(), "--sentinel"].map(str::to_owned);
            started = (port, run(&words, "+monitor master"));
            if started.1.is_some() {
                break;
            }
        }
        assert!(started.1.is_some(), "no Sentinel starts");
        let watched = Self { master, replica, sentinel_port: started.0, sentinel: started.1, _dir: dir };
        until("the Sentinel knows the replica", || {
            let client = redis::Client::open(("127.0.0.1", watched.sentinel_port)).unwrap();
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
        format!("redis-sentinel://127.0.0.1:{}/main?timeout_ms=5000", self.sentinel_port)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(mut sentinel) = self.sentinel.take() {
            drop(sentinel.stdin.take());
            sentinel.wait().unwrap();
        }
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
        until("all nodes agree", || {
            nodes.iter().all(|node| node.says::<String>("CLUSTER INFO").contains("cluster_state:ok"))
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

/// The address of the server that all tests may share: the one the environment names, or one of our own.
pub(super) fn shared_url() -> String {
    static SERVER: OnceLock<Server> = OnceLock::new();
    std::env::var("VESTIBULE_TEST_REDIS").unwrap_or_else(|_| SERVER.get_or_init(|| Server::start(&[])).url())
}

/// The address of the Cluster that all tests may share.
pub(super) fn shared_cluster_url() -> String {
    static NODES: OnceLock<Nodes> = OnceLock::new();
    NODES.get_or_init(Nodes::start).url()
}

/// A store at `url`, on this test's runtime.
pub(super) fn store(url: &str) -> Store {
    RedisStore::open(&Secret::new(url), &Handle::current()).unwrap()
}

/// A certificate for 127.0.0.1 that speaks for itself, and its key.
pub(super) fn certificate(dir: &Path) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// Waits for another process, which tells nobody when it is done.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let is = (0..2000).any(|_| {
        let is = is_so();
        if !is {
            std::thread::sleep(Duration::from_millis(10));
        }
        is
    });
    assert!(is, "not within 20 s: {what}");
}

/// Runs `words` until its standard input ends; `None` where it ends before it says `ready`.
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
    // What it says further must go somewhere, or it waits.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    Some(process)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
