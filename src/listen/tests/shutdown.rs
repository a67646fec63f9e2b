//! The stages of a shutdown, as peers see them.

use super::*;

#[tokio::test]
async fn shutdown_finishes_running_requests_and_refuses_new_connections() {
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
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
    assert!(TcpStream::connect(gateway.admin).await.is_err());
}

#[tokio::test]
async fn answers_say_connection_close_during_the_drain_delay() {
    let gateway = start(Settings { drain_delay: NEVER, ..settings() }, Limits::default());
    gateway.shutdown.begin();
    let answer = gateway.raw(GET).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer}");
    gateway.shutdown.cut();
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("a cut needs no delay");
}

#[tokio::test]
async fn a_request_to_an_idle_connection_is_answered_while_draining() {
    let gateway = start(settings(), Limits { idle_while_draining: NEVER, ..Limits::default() });
    let mut idle = gateway.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    until(&mut idle, "]").await;
    gateway.shutdown.begin();
    gateway.shutdown.draining().cancelled().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    assert!(rest(&mut idle).await.contains("connection: close"));
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_time_is_cut() {
    let mut gateway = start(Settings { drain: SHORT, ..settings() }, Limits::default());
    let mut running = gateway.connect().await;
    running.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    gateway.arrived.recv().await.unwrap();
    gateway.shutdown.begin();
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
    assert_eq!(rest(&mut running).await, "");
}

/// A server whose deadlines never end, so that only the drain closes connections.
fn patient(settings: Settings) -> TestServer {
    let limits = Limits {
        proxy_header: NEVER,
        handshake: NEVER,
        head: NEVER,
        idle: NEVER,
        linger: NEVER,
        idle_while_draining: SHORT,
        ..Limits::default()
    };
    start(settings, limits)
}

#[tokio::test]
async fn connections_that_have_begun_no_request_do_not_delay_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let tls = || Settings { tls: Some(tls::certificate_in(folder.path()).0), ..settings() };
    let proxied =
        || Settings { proxy_protocol: true, trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..settings() };
    // The beginning of a record of type handshake.
    let half_hello: &[u8] = &[22, 3, 1, 2, 0, 1, 0];
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (settings, sent) in [
        (settings(), &b""[..]),
        (settings(), b"PRI * HTTP/2.0"),
        (settings(), preface),
        (tls(), b""),
        (tls(), half_hello),
        (proxied(), b""),
        (proxied(), b"PROXY TCP4 192.0"),
        (proxied(), b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"),
    ] {
        let gateway = patient(settings);
        let mut silent = gateway.connect().await;
        silent.write_all(sent).await.unwrap();
        gateway.shutdown.begin();
        let ended = timeout(TEST_TIMEOUT, gateway.running.ended()).await;
        assert!(ended.is_ok(), "open after {:?}", String::from_utf8_lossy(sent));
    }
}

#[tokio::test]
async fn an_idle_connection_whose_peer_keeps_it_open_does_not_delay_the_end() {
    let gateway = patient(settings());
    let mut idle = gateway.connect().await;
    idle.write_all(GET.as_bytes()).await.unwrap();
    until(&mut idle, "]").await;
    gateway.shutdown.begin();
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
}

#[tokio::test]
async fn a_request_on_a_connection_that_was_silent_is_answered_while_draining() {
    let gateway = start(settings(), Limits { idle_while_draining: NEVER, ..Limits::default() });
    let mut silent = gateway.connect().await;
    gateway.shutdown.begin();
    gateway.shutdown.draining().cancelled().await;
    silent.write_all(GET.as_bytes()).await.unwrap();
    assert!(rest(&mut silent).await.contains("connection: close"));
    timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
}

#[tokio::test]
async fn a_head_that_was_begun_before_the_drain_may_be_completed() {
    for requests_before in [0, 1] {
        let gateway = patient(settings());
        let mut stream = gateway.connect().await;
        for _ in 0..requests_before {
            stream.write_all(GET.as_bytes()).await.unwrap();
            until(&mut stream, "]").await;
        }
        let (first, second) = GET.split_at(10);
        stream.write_all(first.as_bytes()).await.unwrap();
        gateway.shutdown.begin();
        gateway.shutdown.draining().cancelled().await;
        stream.write_all(second.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{answer:?}");
        drop(stream);
        timeout(TEST_TIMEOUT, gateway.running.ended()).await.expect("the server ends");
    }
}
