//! A listener with a handler that describes each request in its answer, and peers that speak raw bytes.

mod http2;
mod limits;
mod proxy_protocol;
mod shutdown;
mod strictness;
mod tls;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{Handler, Limits, RunningServer, ServerParts, Settings, Shutdown, TlsFiles, bind};
use crate::{
    head_memory::{HeadGuard, HeadLimits},
    scheme::Scheme,
    telemetry::{AdminPages, DependencyStatus, Metrics, Readiness},
};

/// A test that waits for longer fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);
/// More bytes than the kernel buffers for a peer that does not read.
const LARGE: usize = 64 * 1024 * 1024;
const SHORT: Duration = Duration::from_millis(50);

/// Answers with the request's version and peer and its worker; waits, panics or upgrades for some paths.
#[derive(Clone)]
struct EchoHandler {
    worker: usize,
    arrived: mpsc::UnboundedSender<()>,
    release: Arc<Semaphore>,
    draining: tokio_util::sync::CancellationToken,
}

impl Handler for EchoHandler {
    type Peer = (IpAddr, bool);
    type Body = Full<Bytes>;

    fn peer(&self, address: IpAddr, scheme: Scheme) -> (IpAddr, bool) {
        (address, scheme == Scheme::Https)
    }

    async fn handle(
        &self,
        (address, tls): (IpAddr, bool),
        mut request: Request<Incoming>,
        _head: HeadGuard,
    ) -> Response<Self::Body> {
        match request.uri().path() {
            "/wait" => {
                self.arrived.send(()).unwrap();
                self.release.acquire().await.unwrap().forget();
            }
            "/large" => return Response::new(Full::from(vec![b'x'; LARGE])),
            "/panic" => panic!("asked to"),
            "/upgrade" => {
                let draining = self.draining.clone();
                tokio::spawn(async move {
                    let mut io = TokioIo::new(hyper::upgrade::on(&mut request).await.unwrap());
                    let mut four = [0; 4];
                    io.read_exact(&mut four).await.unwrap();
                    io.write_all(&four).await.unwrap();
                    draining.cancelled().await;
                    io.write_all(b"1001").await.unwrap();
                });
                let mut response = Response::new(Full::default());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("four"));
                return response;
            }
            _ => {}
        }
        let text = format!("[{:?} {address} tls={tls} worker={}]", request.version(), self.worker);
        Response::new(Full::from(text))
    }

    fn for_worker(&self, worker: usize) -> Self {
        Self { worker, ..self.clone() }
    }
}

struct TestServer {
    address: SocketAddr,
    admin: SocketAddr,
    shutdown: Shutdown,
    running: RunningServer,
    arrived: mpsc::UnboundedReceiver<()>,
    release: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

fn settings() -> Settings {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Settings {
        listen: any,
        tls: None,
        admin_listen: Some(any),
        health_listen: None,
        proxy_protocol: false,
        trusted_proxies: Vec::new(),
        drain: NEVER,
        drain_delay: Duration::ZERO,
        connections: 20_000,
        limits: Limits::default(),
        connections_per_client: 4096,
    }
}

fn start(settings: Settings, limits: Limits) -> TestServer {
    let listeners = bind(&settings).unwrap();
    let (address, admin) = (listeners.address().unwrap(), listeners.admin_address().unwrap());
    let (arrived_at, arrived) = mpsc::unbounded_channel();
    let (release, shutdown, metrics) = (Arc::new(Semaphore::new(0)), Shutdown::new(), Arc::new(Metrics::new()));
    let ending = shutdown.clone();
    let pages = AdminPages::new(Arc::clone(&metrics), move || Readiness {
        ready: !ending.has_begun(),
        providers: [].into(),
        authorities: [].into(),
        store: DependencyStatus::Ok,
        store_clock_difference: None,
    });
    let handler =
        EchoHandler { worker: 0, arrived: arrived_at, release: Arc::clone(&release), draining: shutdown.draining() };
    let parts = ServerParts {
        listeners,
        settings: Settings { limits, ..settings },
        workers: 2.try_into().unwrap(),
        handler,
        pages,
        metrics: Arc::clone(&metrics),
        shutdown: shutdown.clone(),
        background: Handle::current(),
    };
    let running = parts.serve().unwrap();
    TestServer { address, admin, shutdown, running, arrived, release, metrics }
}

fn defaults() -> TestServer {
    start(settings(), Limits::default())
}

impl TestServer {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and reads until the connection ends.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw(self.address, bytes).await
    }

    async fn end(self) {
        self.shutdown.begin();
        timeout(TEST_TIMEOUT, self.running.ended()).await.expect("the server ends");
    }
}

async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    timeout(TEST_TIMEOUT, stream.read_to_string(&mut text)).await.expect("the connection ends").unwrap();
    text
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    timeout(TEST_TIMEOUT, async {
        while !text.ends_with(end.as_bytes()) {
            text.push(stream.read_u8().await.unwrap());
        }
    })
    .await
    .expect("an answer comes");
    String::from_utf8(text).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST_GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_request_is_answered_and_the_connection_counted() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    for _ in 0..3 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        let answer = until(&mut stream, "]").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("[HTTP/1.1 127.0.0.1 tls=false"), "{answer}");
    }
    assert_eq!(gateway.metrics.connections.get(), 1);
    drop(stream);
    gateway.end().await;
}

#[tokio::test]
async fn connections_go_to_the_worker_with_the_fewest() {
    let gateway = defaults();
    let mut open = Vec::new();
    let mut of_worker = [0, 0];
    for _ in 0..6 {
        let mut stream = gateway.connect().await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        of_worker[usize::from(until(&mut stream, "]").await.contains("worker=1"))] += 1;
        open.push(stream);
    }
    assert_eq!(of_worker, [3, 3]);
}

#[tokio::test]
async fn a_panic_is_500_for_its_request_and_the_connection_stays_open() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    stream.write_all(LAST_GET.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_upgraded_connection_is_counted_and_shutdown_waits_for_it() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    let upgrade = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: four\r\n\r\nping";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "ping").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(gateway.metrics.connections.get(), 1, "a tunnel is a connection");
    gateway.shutdown.begin();
    assert_eq!(rest(&mut stream).await, "1001");
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
    assert_eq!(gateway.metrics.connections.get(), 0);
}

#[test]
fn errors_name_an_address_in_use_and_a_missing_certificate() {
    let taken = bind(&settings()).unwrap();
    let address = taken.address().unwrap();
    let error = bind(&Settings { listen: address, ..settings() }).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));

    let files = TlsFiles { cert: "nowhere/cert.pem".into(), key: "nowhere/key.pem".into() };
    let error = bind(&Settings { tls: Some(files), ..settings() }).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the certificate nowhere/cert.pem");
}
