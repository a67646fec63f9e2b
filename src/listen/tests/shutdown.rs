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
