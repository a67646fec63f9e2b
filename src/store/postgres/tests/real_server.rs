//! A real server for the tests: one per process, started by the first test that needs it, with a new database for each
//! test that asks for one, and a proxy that simulates failures.
//!
//! If `VESTIBULE_TEST_POSTGRES` is set (the URL of a superuser on a disposable server), that server is used instead.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use futures_util::future;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OnceCell, watch},
    task::JoinHandle,
};
use tokio_postgres::{Client, NoTls};
use url::Url;

use crate::secret::{Random, Secret};

/// Runs a server until standard input is closed, which also happens if the tests are killed.
const SERVER: &str = r#"
cd /
data=$(mktemp -d) || exit 1
"$1/initdb" -D "$data" -A trust -U postgres -E UTF8 --locale=C --no-sync >"$data.log" 2>&1 || { cat "$data.log" >&2; exit 1; }
(umask 077; printf %s "$CERTIFICATE" >"$data/server.crt"; printf %s "$KEY" >"$data/server.key")
"$1/postgres" -D "$data" -p "$2" -c ssl=on -c listen_addresses=127.0.0.1 -c unix_socket_directories="$data" \
  -c fsync=off -c max_connections=400 </dev/null >"$data.log" 2>&1 & pid=$!
until "$1/pg_isready" -q -h 127.0.0.1 -p "$2"; do
  kill -0 $pid 2>/dev/null || { cat "$data.log" >&2; exit 1; }
  sleep 0.1
done
echo ready
cat >/dev/null
kill -QUIT $pid
wait $pid
rm -rf "$data" "$data.log"
"#;

/// Creates an empty database.
pub(super) async fn database() -> Url {
    let name = format!("vestibule_{}", Random::system().uuid().simple());
    let (client, connection) =
        tokio_postgres::connect(server().as_str(), NoTls).await.expect("the test server is there");
    let task = tokio::spawn(connection);
    client.batch_execute(&format!("create database {name}")).await.expect("a superuser creates databases");
    task.abort();
    let mut url = server().clone();
    url.set_path(&name);
    url
}

/// A database for all tests that use random keys.
pub(super) async fn shared_database() -> Url {
    static SHARED: OnceCell<Url> = OnceCell::const_new();
    SHARED.get_or_init(database).await.clone()
}

/// A connection to inspect what the store wrote.
pub(super) async fn client(database: &Url) -> Client {
    let (client, connection) = tokio_postgres::connect(database.as_str(), NoTls).await.expect("the database is there");
    tokio::spawn(connection);
    client
}

pub(super) fn secret(url: &Url) -> Secret {
    Secret::new(url.as_str())
}

/// The server's certificate for `localhost`; `None` for a server that these tests did not start.
pub(super) fn certificate() -> Option<&'static str> {
    started().own.as_ref().map(|own| own.certificate.as_str())
}

fn server() -> &'static Url {
    &started().url
}

struct Started {
    url: Url,
    own: Option<OwnServer>,
}

struct OwnServer {
    certificate: String,
    /// The server runs as long as this handle keeps its standard input open.
    _server: Child,
}

fn started() -> &'static Started {
    static STARTED: OnceLock<Started> = OnceLock::new();
    STARTED.get_or_init(|| {
        if let Ok(url) = std::env::var("VESTIBULE_TEST_POSTGRES") {
            return Started { url: url.parse().expect("VESTIBULE_TEST_POSTGRES is a URL"), own: None };
        }
        let (port, own) = start();
        let url = format!("postgres://postgres@127.0.0.1:{port}/postgres");
        Started { url: url.parse().expect("a URL"), own: Some(own) }
    })
}

fn start() -> (u16, OwnServer) {
    let programs = programs().expect(
        "PostgreSQL is not installed: the tests of the postgres store need its server (apt-get install postgresql), \
         or VESTIBULE_TEST_POSTGRES",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let user = Command::new("id").arg("-u").output().expect("id says who runs the tests");
    // PostgreSQL refuses to run as root; its package has created the user `postgres`.
    let mut command = if user.stdout.starts_with(b"0\n") {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", SERVER, "sh"]).arg(programs).arg(free.port().to_string()).env_remove("TMPDIR");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name to sign");
    let certificate = signed.cert.pem();
    command.env("CERTIFICATE", &certificate).env("KEY", signed.signing_key.serialize_pem());
    let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut line).expect("it can be read");
    assert_eq!(line, "ready\n", "PostgreSQL did not start");
    (free.port(), OwnServer { certificate, _server: server })
}

/// The folder with `initdb` of the newest version in Debian's layout, else the one in `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|version| Some((version.file_name().to_str()?.parse::<u32>().ok()?, version.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let anywhere = || std::env::split_paths(&path).find(|folder| folder.join("initdb").exists());
    newest.map(|(_, folder)| folder).or_else(anywhere)
}

/// What the proxy does with connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ProxyMode {
    /// Forwards them to the server.
    Forwarding,
    /// Closes them, and refuses new ones.
    Refusing,
    /// Keeps them open and accepts new ones, but forwards nothing.
    Silent,
}

/// A TCP proxy in front of a server.
pub(super) struct Proxy {
    pub(super) url: Url,
    wanted: watch::Sender<ProxyMode>,
    applied: watch::Receiver<ProxyMode>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub(super) async fn at(database: &Url, first: ProxyMode) -> Self {
        let host = database.host_str().expect("the server has a host");
        let server = format!("{host}:{}", database.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let mut url = database.clone();
        url.set_ip_host([127, 0, 0, 1].into()).expect("a URL with a host");
        url.set_port(Some(port)).expect("a URL with a port");
        drop(listener);
        let (wanted, wanted_mode) = watch::channel(first);
        let (report, applied) = watch::channel(ProxyMode::Refusing);
        let proxy = Self { url, wanted, applied, task: tokio::spawn(run_proxy(server, port, wanted_mode, report)) };
        proxy.wait_for(first).await;
        proxy
    }

    pub(super) async fn set_mode(&self, mode: ProxyMode) {
        self.wanted.send_replace(mode);
        self.wait_for(mode).await;
    }

    async fn wait_for(&self, mode: ProxyMode) {
        self.applied.clone().wait_for(|applied| *applied == mode).await.expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run_proxy(
    server: String,
    port: u16,
    mut wanted_mode: watch::Receiver<ProxyMode>,
    report: watch::Sender<ProxyMode>,
) {
    let mut listener = None;
    loop {
        let wanted = *wanted_mode.borrow_and_update();
        if wanted == ProxyMode::Refusing {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free"));
        }
        report.send_replace(wanted);
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            changed = wanted_mode.changed() => if changed.is_err() { return },
            accepted = accepted => {
                let (socket, _) = accepted.expect("a connection");
                tokio::spawn(run_connection(socket, server.clone(), wanted_mode.clone()));
            }
        }
    }
}

async fn run_connection(mut socket: TcpStream, server: String, mut wanted_mode: watch::Receiver<ProxyMode>) {
    if *wanted_mode.borrow_and_update() == ProxyMode::Forwarding {
        let mut server = TcpStream::connect(server).await.expect("the test server is there");
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut socket, &mut server) => return,
            _ = wanted_mode.changed() => {}
        }
    }
    // A connection that stopped forwarding does not start again; it is closed when the mode is `Refusing`.
    let _ = wanted_mode.wait_for(|wanted| *wanted == ProxyMode::Refusing).await;
}
