use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Handle,
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;
use crate::telemetry::{Metrics, Pages, Reach, State};

/// For what must not last for ever; nothing is measured by it.
const FAR: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(3600);
/// More than the kernel takes for a peer that does not read.
const LARGE: usize = 64 * 1024 * 1024;
const SHORT: Duration = Duration::from_millis(50);

/// Tells what it saw; waits, panics or upgrades where the path says so.
#[derive(Clone)]
struct Told {
    worker: usize,
    arrived: mpsc::UnboundedSender<()>,
    release: Arc<Semaphore>,
    draining: tokio_util::sync::CancellationToken,
}

impl Handler for Told {
    type Body = Full<Bytes>;

    async fn handle(&self, peer: Peer, mut request: Request<Incoming>) -> Response<Self::Body> {
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
        let text = format!("[{:?} {} tls={} worker={}]", request.version(), peer.address, peer.tls, self.worker);
        Response::new(Full::from(text))
    }

    fn for_worker(&self, worker: usize) -> Self {
        Self { worker, ..self.clone() }
    }
}

struct Gateway {
    address: SocketAddr,
    admin: SocketAddr,
    shutdown: Shutdown,
    served: Served,
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

fn start(settings: Settings, limits: Limits) -> Gateway {
    let listeners = bind(&settings).unwrap();
    let (address, admin) = (listeners.address().unwrap(), listeners.admin_address().unwrap());
    let (arrived_at, arrived) = mpsc::unbounded_channel();
    let (release, shutdown, metrics) = (Arc::new(Semaphore::new(0)), Shutdown::new(), Arc::new(Metrics::new()));
    let ending = shutdown.clone();
    let pages = Pages::new(Arc::clone(&metrics), move || State {
        ready: !ending.has_begun(),
        providers: [].into(),
        store: Reach::Ok,
    });
    let handler = Told { worker: 0, arrived: arrived_at, release: Arc::clone(&release), draining: shutdown.draining() };
    let parts = Server {
        listeners,
        settings: Settings { limits, ..settings },
        workers: 2.try_into().unwrap(),
        handler,
        pages,
        metrics: Arc::clone(&metrics),
        shutdown: shutdown.clone(),
        background: Handle::current(),
    };
    let served = parts.serve().unwrap();
    Gateway { address, admin, shutdown, served, arrived, release, metrics }
}

fn defaults() -> Gateway {
    start(settings(), Limits::default())
}

impl Gateway {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` and reads until the connection ends.
    async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw(self.address, bytes).await
    }

    async fn end(self) {
        self.shutdown.begin();
        timeout(FAR, self.served.ended()).await.expect("the server ends");
    }
}

async fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_ref()).await.unwrap();
    rest(&mut stream).await
}

async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    timeout(FAR, stream.read_to_string(&mut text)).await.expect("the connection ends").unwrap();
    text
}

async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    timeout(FAR, async {
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
async fn connections_are_dealt_to_the_worker_with_the_fewest() {
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
async fn a_header_block_over_the_limits_is_431_also_while_the_peer_still_sends() {
    let gateway = defaults();
    let block = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(40 * 1024));
    assert!(gateway.raw(&block).await.starts_with("HTTP/1.1 431 "));
    let endless = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(300 * 1024));
    assert!(gateway.raw(&endless).await.starts_with("HTTP/1.1 431 "));
    let many = |fields: usize| {
        let fields: String = (0..fields).fold(String::new(), |all, n| all + &format!("x{n}: y\r\n"));
        format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{fields}\r\n")
    };
    assert!(gateway.raw(many(98)).await.starts_with("HTTP/1.1 200 "));
    assert!(gateway.raw(many(99)).await.starts_with("HTTP/1.1 431 "));
    let just_fits = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: {}\r\n\r\n", "y".repeat(32_000));
    assert!(gateway.raw(just_fits).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_slow_head_is_408_and_an_idle_connection_is_just_closed() {
    let gateway = start(settings(), Limits { head: SHORT, idle: NEVER, ..Limits::default() });
    assert_eq!(gateway.raw("").await, "", "nothing came, nothing to answer");
    let answer = gateway.raw("GET / HTTP/1.1\r\nho").await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close\r\n"), "{answer}");
    let mut again = gateway.connect().await;
    again.write_all(GET.as_bytes()).await.unwrap();
    until(&mut again, "]").await;
    again.write_all(b"G").await.unwrap();
    assert!(rest(&mut again).await.starts_with("HTTP/1.1 408 "));

    let gateway = start(settings(), Limits { head: NEVER, idle: SHORT, ..Limits::default() });
    let mut idle = gateway.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    until(&mut idle, "]").await;
    assert_eq!(rest(&mut idle).await, "");
}

#[tokio::test]
async fn a_running_request_has_no_deadline_here() {
    let mut gateway = start(settings(), Limits { head: SHORT, idle: SHORT, ..Limits::default() });
    let mut slow = gateway.connect().await;
    slow.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    gateway.arrived.recv().await.unwrap();
    // Another connection has met its deadline meanwhile.
    assert_eq!(gateway.raw("").await, "");
    gateway.release.add_permits(1);
    assert!(rest(&mut slow).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_answer_is_cut_off() {
    let gateway = start(settings(), Limits { stalled: SHORT, ..Limits::default() });
    let mut stream = gateway.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut some = [0; 1];
    stream.read_exact(&mut some).await.unwrap();
    let cut = async {
        while gateway.metrics.connections.get() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(FAR, cut).await.expect("the connection is cut");
    let mut answer = Vec::new();
    let _end_or_reset = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < LARGE);
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_on_the_same_port() {
    let gateway = defaults();
    let io = TokioIo::new(gateway.connect().await);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), io).await.unwrap();
    let driven = tokio::spawn(connection);
    let answer = client.send_request(Request::get("http://a/").body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, http::Version::HTTP_2));
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"[HTTP/2.0 127.0.0.1 tls=false"), "{body:?}");
    let large = Request::get("http://a/").header("x", "y".repeat(40 * 1024)).body(Empty::new()).unwrap();
    assert_eq!(client.send_request(large).await.unwrap().status(), 431);
    gateway.end().await;
    timeout(FAR, driven).await.expect("GOAWAY ended the connection").unwrap().unwrap();
}

#[tokio::test]
async fn an_http2_preface_in_pieces_and_its_look_alikes_are_told_apart() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    for piece in ["P", "R", "I * HTTP/2.0\r\n\r\nSM\r", "\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        stream.write_all(piece.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut frame = [0; 9];
    timeout(FAR, stream.read_exact(&mut frame)).await.unwrap().unwrap();
    assert_eq!(frame[3], 4, "SETTINGS");
    let answer = gateway.raw(LAST_GET.replace("GET", "PRIZE")).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// An HTTP/2 connection on which a request has been answered.
async fn http2_after_a_request(gateway: &Gateway) -> TcpStream {
    let mut stream = gateway.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    stream.write_all(b"\0\0\x06\x01\x05\0\0\0\x01\x82\x86\x84\x41\x01a").await.unwrap();
    let mut answer = Vec::new();
    while !answer.windows(7).any(|seven| seven == b"worker=") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {answer:?}");
    }
    stream
}

const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0 a ping ";

#[tokio::test]
async fn a_frame_of_which_only_a_part_comes_has_a_heads_time_after_requests_too() {
    let limits = Limits { head: Duration::from_millis(500), idle: NEVER, ..Limits::default() };
    let gateway = start(settings(), limits);
    let ended = |part: &'static [u8]| {
        let gateway = &gateway;
        async move {
            let mut stream = http2_after_a_request(gateway).await;
            stream.write_all(part).await.unwrap();
            let _end_or_reset = timeout(FAR, stream.read_to_end(&mut Vec::new())).await.expect("the connection ends");
        }
    };
    let open_block = b"\0\0\x01\x01\x01\0\0\0\x03\x82";
    tokio::join!(ended(open_block), ended(&PING[..3]), ended(&PING[..12]));
    assert_eq!(gateway.metrics.connections_flooded.get(), 0);
}

#[tokio::test]
async fn parts_of_frames_do_not_keep_an_idle_connection_open() {
    let gateway = start(settings(), Limits { idle: SHORT, parting: SHORT, ..Limits::default() });
    let mut stream = http2_after_a_request(&gateway).await;
    let ended = async {
        loop {
            let sent = [&PING[..12], &PING[12..]];
            for part in sent {
                if stream.write_all(part).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            if !matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {
                return;
            }
        }
    };
    timeout(FAR, ended).await.expect("the connection ends");
}

#[tokio::test]
async fn a_panic_costs_its_request_alone() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    stream.write_all(b"GET /panic HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let answer = until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    stream.write_all(LAST_GET.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_upgraded_connection_passes_bytes_and_is_told_of_the_end_and_waited_for() {
    let gateway = defaults();
    let mut stream = gateway.connect().await;
    let upgrade = "GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: four\r\n\r\nping";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let answer = until(&mut stream, "ping").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert_eq!(gateway.metrics.connections.get(), 1, "a tunnel is a connection");
    gateway.shutdown.begin();
    assert_eq!(rest(&mut stream).await, "1001");
    timeout(FAR, gateway.served.ended()).await.expect("the server ends");
    assert_eq!(gateway.metrics.connections.get(), 0);
}

#[tokio::test]
async fn a_head_with_two_readings_is_400_before_anyone_serves_it() {
    let mut gateway = defaults();
    for head in [
        "POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /wait HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "POST /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na",
        "GET /wait HTTP/1.1\nhost: a\r\n\r\n",
        "GET /wait HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "GET /wait HTTP/1.1\r\nhost: a\r\n\n",
        "GET /wait#frag HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /wait?x#y HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let smuggled = format!("{head}GET /wait HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = gateway.raw(&smuggled).await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{head:?} {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");

        let mut slow = gateway.connect().await;
        slow.set_nodelay(true).unwrap();
        for byte in head.as_bytes() {
            // The refusal may come before the last byte.
            let _ = slow.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        assert!(rest(&mut slow).await.starts_with("HTTP/1.1 400 "), "{head:?}");
    }
    assert!(gateway.arrived.try_recv().is_err(), "no handler was called");
}

#[tokio::test]
async fn a_faulty_request_does_not_disturb_the_answers_before_it() {
    let mut gateway = defaults();
    let faulty = "GET /wait#x HTTP/1.1\r\nhost: a\r\n\r\n";
    let answer = gateway.raw(format!("{GET}{GET}{faulty}{GET}")).await;
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").filter_map(|answer| answer.get(..4)).collect();
    // The text of a good answer names the version as well.
    assert_eq!(statuses.iter().filter(|s| **s == "200 ").count(), 2, "{answer}");
    assert_eq!(statuses.last(), Some(&"400 "), "{answer}");

    let mut stream = gateway.connect().await;
    stream.write_all(format!("GET /wait HTTP/1.1\r\nhost: a\r\n\r\n{faulty}").as_bytes()).await.unwrap();
    gateway.arrived.recv().await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    gateway.release.add_permits(1);
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 400 ").count(), 1, "{answer}");
    assert!(gateway.arrived.try_recv().is_err());
}

#[tokio::test]
async fn what_has_one_reading_is_served_as_before() {
    let gateway = defaults();
    let requests = [
        "\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n\n#\n",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;a=b\r\n\n#\n\r\n0\r\nx: y\r\n\r\n",
        "GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\nx",
        LAST_GET,
    ];
    let answer = gateway.raw(requests.concat()).await;
    assert_eq!(answer.matches(" 200 OK\r\n").count(), requests.len(), "{answer}");
}

#[tokio::test]
async fn bytes_behind_a_websocket_handshake_are_the_sockets_own_or_nobodys() {
    let mut gateway = defaults();
    let handshake =
        |path: &str| format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    let mut stream = gateway.connect().await;
    stream.write_all(format!("{GET}{}\n#\n\n", handshake("/upgrade")).as_bytes()).await.unwrap();
    let answer = until(&mut stream, "\n#\n\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("HTTP/1.1 101 "), "{answer}");

    let smuggled = "GET /wait HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n";
    let answer = gateway.raw(format!("{GET}{}{smuggled}", handshake("/"))).await;
    assert_eq!(answer.matches(" 200 OK\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
    assert!(gateway.arrived.try_recv().is_err());
    gateway.end().await;
}

#[tokio::test]
async fn shutdown_finishes_what_runs_and_refuses_what_is_new() {
    let mut gateway = defaults();
    let mut running = gateway.connect().await;
    running.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    gateway.arrived.recv().await.unwrap();
    let ready = "GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    assert!(raw(gateway.admin, ready).await.starts_with("HTTP/1.1 200 "));

    gateway.shutdown.begin();
    gateway.shutdown.draining().cancelled().await;
    assert!(TcpStream::connect(gateway.address).await.is_err(), "the listener is closed");
    assert!(raw(gateway.admin, ready).await.starts_with("HTTP/1.1 503 "), "the admin pages go on");

    gateway.release.add_permits(1);
    let answer = rest(&mut running).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    timeout(FAR, gateway.served.ended()).await.expect("the server ends");
    assert!(TcpStream::connect(gateway.admin).await.is_err());
}

#[tokio::test]
async fn while_still_accepting_answers_send_their_peers_away() {
    let gateway = start(Settings { drain_delay: NEVER, ..settings() }, Limits::default());
    gateway.shutdown.begin();
    let answer = gateway.raw(GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    gateway.shutdown.cut();
    timeout(FAR, gateway.served.ended()).await.expect("a cut needs no delay");
}

#[tokio::test]
async fn a_request_on_its_way_to_an_idle_connection_is_not_lost_at_the_end() {
    let gateway = start(settings(), Limits { parting: NEVER, ..Limits::default() });
    let mut idle = gateway.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    until(&mut idle, "]").await;
    gateway.shutdown.begin();
    gateway.shutdown.draining().cancelled().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    assert!(rest(&mut idle).await.contains("connection: close"));
    timeout(FAR, gateway.served.ended()).await.expect("the server ends");
}

#[tokio::test]
async fn what_outlasts_the_drain_time_is_cut() {
    let mut gateway = start(Settings { drain: SHORT, ..settings() }, Limits::default());
    let mut running = gateway.connect().await;
    running.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    gateway.arrived.recv().await.unwrap();
    gateway.shutdown.begin();
    timeout(FAR, gateway.served.ended()).await.expect("the server ends");
    assert_eq!(rest(&mut running).await, "");
}

#[tokio::test]
async fn the_proxy_protocol_is_read_from_trusted_proxies_alone() {
    let trusting = |net: &str| {
        let trusted_proxies = vec![net.parse().unwrap()];
        start(Settings { proxy_protocol: true, trusted_proxies, ..settings() }, Limits::default())
    };
    let gateway = trusting("127.0.0.0/8");
    let v1 = |line: &str| format!("PROXY {line}\r\n{LAST_GET}");
    let seen = gateway.raw(v1("TCP4 192.0.2.7 192.0.2.1 4711 443")).await;
    assert!(seen.contains("[HTTP/1.1 192.0.2.7 "), "{seen}");
    let seen = gateway.raw(v1("TCP6 2001:db8::7 2001:db8::1 4711 443")).await;
    assert!(seen.contains("[HTTP/1.1 2001:db8::7 "), "{seen}");
    assert!(gateway.raw(v1("UNKNOWN")).await.contains("[HTTP/1.1 127.0.0.1 "));
    assert!(gateway.raw(v2(1, &[192, 0, 2, 9])).await.contains("[HTTP/1.1 192.0.2.9 "));
    assert!(gateway.raw(v2(0, &[192, 0, 2, 9])).await.contains("[HTTP/1.1 127.0.0.1 "), "LOCAL");
    let mut mapped = [0; 16];
    mapped[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 9]);
    assert!(gateway.raw(v2(1, &mapped)).await.contains("[HTTP/1.1 192.0.2.9 "), "mapped");

    for none in [LAST_GET.to_owned(), v1("TCP4 nonsense"), v1(&"x".repeat(200))] {
        let mut stream = gateway.connect().await;
        stream.write_all(none.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The connection is dropped with its bytes unread: a reset is as good as an end.
        let _ = timeout(FAR, stream.read_to_end(&mut answer)).await.expect("the connection ends");
        assert!(answer.is_empty());
    }

    let gateway = trusting("192.0.2.0/24");
    assert!(gateway.raw(v1("TCP4 192.0.2.7 192.0.2.1 4711 443")).await.starts_with("HTTP/1.1 400 "));
    assert!(gateway.raw(v2(1, &[192, 0, 2, 9])).await.starts_with("HTTP/1.1 400 "));
    assert!(gateway.raw(LAST_GET).await.contains("[HTTP/1.1 127.0.0.1 "));
}

/// A version 2 header with `source` and a TLV after it, and a request.
fn v2(command: u8, source: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let family = if source.len() == 4 { 0x11 } else { 0x21 };
    let length = u8::try_from(source.len() * 2 + 4 + 4).unwrap();
    header.extend([0x20 | command, family, 0, length]);
    header.extend(source);
    header.extend(source);
    header.extend([0x12, 0x67, 0x01, 0xbb, 4, 0, 1, 42]);
    [&header, LAST_GET.as_bytes()].concat()
}

#[tokio::test]
async fn a_proxy_header_that_does_not_come_has_a_deadline() {
    let settings =
        Settings { proxy_protocol: true, trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..settings() };
    let gateway = start(settings, Limits { proxy_header: SHORT, ..Limits::default() });
    assert_eq!(gateway.raw("PROXY TCP4 192.0").await, "");
}

#[test]
fn nothing_is_taken_before_a_handshake_is_through() {
    // RFC 8446 section 8: what comes as early data can be sent again by whoever recorded it.
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&files.cert, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let acceptor = tls::Certificate::load(files).unwrap().acceptor().unwrap();
    assert_eq!(acceptor.config().max_early_data_size, 0);
    assert!(!acceptor.config().send_half_rtt_data);
}

#[tokio::test]
async fn tls_serves_both_versions_and_takes_up_a_renewed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let write = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(&files.cert, pair.cert.pem()).unwrap();
        std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    };
    let [first, second] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap());
    write(&first);
    let gateway =
        start(Settings { tls: Some(files.clone()), ..settings() }, Limits { handshake: NEVER, ..Limits::default() });

    let mut stream = handshake(gateway.address, &first, b"http/1.1").await.unwrap();
    stream.write_all(LAST_GET.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.contains("[HTTP/1.1 127.0.0.1 tls=true"));

    let stream = handshake(gateway.address, &first, b"h2").await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://a.example/").body(Empty::new()).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().version(), http::Version::HTTP_2);

    // Half a renewal: the old pair stays in use.
    std::fs::write(&files.cert, second.cert.pem()).unwrap();
    assert!(handshake(gateway.address, &first, b"http/1.1").await.is_ok());
    write(&second);
    let renewed = async { while handshake(gateway.address, &second, b"http/1.1").await.is_err() {} };
    timeout(FAR, renewed).await.expect("the new certificate is taken up");
}

/// A handshake that accepts nothing but `pair`'s certificate.
async fn handshake(
    address: SocketAddr,
    pair: &rcgen::CertifiedKey<rcgen::KeyPair>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("a.example").unwrap();
    TlsConnector::from(Arc::new(trusting(pair, alpn))).connect(name, stream).await
}

fn trusting(pair: &rcgen::CertifiedKey<rcgen::KeyPair>, alpn: &[u8]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(pair.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_has_a_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&files.cert, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let gateway = start(Settings { tls: Some(files), ..settings() }, Limits { handshake: SHORT, ..Limits::default() });
    assert_eq!(gateway.raw("").await, "");
}

/// Also RUSTSEC-2024-0399; Traefik CVE-2026-22045, CVE-2026-26999,
/// CVE-2026-32305.
#[tokio::test]
async fn rustls_rustsec_2024_0336_handshakes_that_stop_half_way_or_come_byte_by_byte_end() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&files.cert, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let gateway = start(Settings { tls: Some(files), ..settings() }, limits);

    let name = ServerName::try_from("a.example").unwrap();
    let mut hello = Vec::new();
    let client = rustls::ClientConnection::new(Arc::new(trusting(&pair, b"http/1.1")), name);
    client.unwrap().write_tls(&mut hello).unwrap();
    let mut halves = Vec::new();
    for share in 1..=200 {
        let mut stream = gateway.connect().await;
        stream.write_all(&hello[..hello.len() * share / 201]).await.unwrap();
        halves.push(stream);
    }
    let mut bytewise = gateway.connect().await;
    bytewise.set_nodelay(true).unwrap();
    let ended = async {
        // A record of 16 KiB, with the first part of a ClientHello of 64 KiB.
        for byte in [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat(1)) {
            if bytewise.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        for stream in &mut halves {
            let _end_or_reset = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    timeout(FAR, ended).await.expect("the connections end");
    // As soon as the machine has the time for a whole one.
    let alive = async { while handshake(gateway.address, &pair, b"http/1.1").await.is_err() {} };
    timeout(FAR, alive).await.expect("others are served");
}

#[test]
fn a_taken_address_and_a_missing_certificate_are_named() {
    let taken = bind(&settings()).unwrap();
    let address = taken.address().unwrap();
    let error = bind(&Settings { listen: address, ..settings() }).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot listen on {address}"));

    let files = TlsFiles { cert: "nowhere/cert.pem".into(), key: "nowhere/key.pem".into() };
    let error = bind(&Settings { tls: Some(files), ..settings() }).unwrap_err();
    assert_eq!(error.to_string(), "cannot use the certificate nowhere/cert.pem");
}

#[test]
fn a_peer_mapped_into_ipv6_is_given_as_ipv4() {
    let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
    assert_eq!(Peer::new(mapped, false).address, "192.0.2.1".parse::<IpAddr>().unwrap());
}
