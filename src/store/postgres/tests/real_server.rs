//! A real server for the tests: one for the whole process, started when the first test needs it; a database for each
//! test that needs one of its own; and a gate in front of it that can be shut.
//!
//! `VESTIBULE_TEST_POSTGRES`, the URL of a superuser on a server to throw away, is used instead where it is set.

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

/// Runs a server and ends it, however the tests end: then their end of its standard input is closed.
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

/// An empty database of a test's own.
pub(super) async fn database() -> Url {
    let name = format!("vestibule_{}", Random::system().uuid().simple());
    let (client, connection) =
        tokio_postgres::connect(server().as_str(), NoTls).await.expect("the test server is there");
    let carried = tokio::spawn(connection);
    client.batch_execute(&format!("create database {name}")).await.expect("a superuser creates databases");
    carried.abort();
    let mut url = server().clone();
    url.set_path(&name);
    url
}

/// The database that tests share which make up their own keys.
pub(super) async fn shared_database() -> Url {
    static SHARED: OnceCell<Url> = OnceCell::const_new();
    SHARED.get_or_init(database).await.clone()
}

/// A connection that looks at what the store left.
pub(super) async fn client(database: &Url) -> Client {
    let (client, connection) = tokio_postgres::connect(database.as_str(), NoTls).await.expect("the database is there");
    tokio::spawn(connection);
    client
}

pub(super) fn secret(url: &Url) -> Secret {
    Secret::new(url.as_str())
}

/// The certificate of `localhost` that the server shows; that of a server which these tests did not start is not known.
pub(super) fn certificate() -> Option<&'static str> {
    started().own.as_ref().map(|own| own.certificate.as_str())
}

fn server() -> &'static Url {
    &started().url
}

struct Started {
    url: Url,
    own: Option<Own>,
}

struct Own {
    certificate: String,
    /// Its standard input is open for as long as this process lives.
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

fn start() -> (u16, Own) {
    let programs = programs().expect(
        "PostgreSQL is not installed: the tests of the postgres store need its server (apt-get install postgresql), \
         or VESTIBULE_TEST_POSTGRES",
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let user = Command::new("id").arg("-u").output().expect("id says who runs the tests");
    // It does not run as root; the package made a user for it.
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
    let mut said = String::new();
    BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut said).expect("it can be read");
    assert_eq!(said, "ready\n", "PostgreSQL did not start");
    (free.port(), Own { certificate, _server: server })
}

/// The folder of the newest server's programs, as Debian lays them out; else where `initdb` is found.
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

/// What a gate does with connections.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// Carries them to the server.
    Open,
    /// Cuts them, and refuses new ones.
    Shut,
    /// Keeps them and accepts new ones, but passes nothing on.
    Silent,
}

/// A gate in front of a server.
pub(super) struct Gated {
    pub(super) url: Url,
    wanted: watch::Sender<Gate>,
    stands: watch::Receiver<Gate>,
    carried: JoinHandle<()>,
}

impl Gated {
    pub(super) async fn at(database: &Url, first: Gate) -> Self {
        let host = database.host_str().expect("the server has a host");
        let server = format!("{host}:{}", database.port().unwrap_or(5432));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it has an address").port();
        let mut url = database.clone();
        url.set_ip_host([127, 0, 0, 1].into()).expect("a URL with a host");
        url.set_port(Some(port)).expect("a URL with a port");
        drop(listener);
        let (wanted, wants) = watch::channel(first);
        let (tells, stands) = watch::channel(Gate::Shut);
        let gated = Self { url, wanted, stands, carried: tokio::spawn(carry(server, port, wants, tells)) };
        gated.is(first).await;
        gated
    }

    pub(super) async fn turn(&self, gate: Gate) {
        self.wanted.send_replace(gate);
        self.is(gate).await;
    }

    async fn is(&self, gate: Gate) {
        self.stands.clone().wait_for(|stands| *stands == gate).await.expect("the gate stands");
    }
}

impl Drop for Gated {
    fn drop(&mut self) {
        self.carried.abort();
    }
}

async fn carry(server: String, port: u16, mut wants: watch::Receiver<Gate>, tells: watch::Sender<Gate>) {
    let mut listener = None;
    loop {
        let wanted = *wants.borrow_and_update();
        if wanted == Gate::Shut {
            listener = None;
        } else if listener.is_none() {
            listener = Some(TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free"));
        }
        tells.send_replace(wanted);
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            changed = wants.changed() => if changed.is_err() { return },
            accepted = accepted => {
                let (socket, _) = accepted.expect("a connection");
                tokio::spawn(carry_one(socket, server.clone(), wants.clone()));
            }
        }
    }
}

async fn carry_one(mut socket: TcpStream, server: String, mut wants: watch::Receiver<Gate>) {
    if *wants.borrow_and_update() == Gate::Open {
        let mut server = TcpStream::connect(server).await.expect("the test server is there");
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut socket, &mut server) => return,
            _ = wants.changed() => {}
        }
    }
    // What fell silent stays so, until it is cut.
    let _ = wants.wait_for(|wanted| *wanted == Gate::Shut).await;
}
