//! The end of the process: requests in progress are finished, and the exit code is 0.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Process, Raw, TestStack, Upstream, WebSocket, free_port, raw, within_time_limit};

#[tokio::test]
async fn requests_in_progress_are_finished_and_the_exit_code_is_0() {
    let stack = TestStack::start().await;
    let port = free_port();
    let mut process = Process::run(&stack.file(port, "")).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    let slow = tokio::spawn(browser.fetch("/api/slow?ms=700").into_future());
    within_time_limit("the request", stack.backend.until(|seen| seen.requests.contains_key("/api/slow"))).await;
    process.signal("TERM");
    slow.await.unwrap().is(200);
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_websocket_gets_close_code_1001_when_the_gateway_stops() {
    let stack = TestStack::start().await;
    let port = free_port();
    let mut process = Process::run(&stack.file(port, "")).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    socket.echo("hello").await;
    process.signal("TERM");
    assert_eq!(socket.closed().await.expect("a close frame").code, CloseCode::Away);
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_draining_gateway_is_not_ready_and_still_answers() {
    let stack = TestStack::start().await;
    let (port, admin) = (free_port(), free_port());
    let drain = format!("[server]\nadmin_listen = \"127.0.0.1:{admin}\"\ndrain_delay = \"5s\"");
    let mut process = Process::run(&stack.file(port, &drain)).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], admin));
    let ready =
        || Raw::exchange(address, format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"));
    let first = ready().await;
    assert_eq!(raw::status(&first), 200, "{first}\n{}", process.output());
    process.signal("TERM");
    within_time_limit("the end of readiness", async { while raw::status(&ready().await) == 200 {} }).await;
    stack.browser_at(port).fetch("/public/ping").await.is(200);
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn an_event_stream_is_ended_cleanly_when_the_gateway_stops_and_another_answer_goes_on() {
    let (port, host) = (free_port(), "127.0.0.1");
    let events_ended = Arc::new(Notify::new());
    let upstream = {
        let events_ended = Arc::clone(&events_ended);
        Upstream::start(move |mut wire| {
            let events_ended = Arc::clone(&events_ended);
            async move {
                let Some(heard) = wire.request().await else { return };
                let kind =
                    if heard.line().contains("/events") { "Text/Event-Stream;charset=utf-8" } else { "text/plain" };
                wire.send(format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n6\r\ndata:1\r\n"
                ))
                .await;
                if heard.line().contains("/events") {
                    wire.until_closed().await;
                } else {
                    events_ended.notified().await;
                    wire.send("4\r\nlast\r\n0\r\n\r\n").await;
                }
            }
        })
        .await
    };
    let toml = format!(
        r#"
        server = {{ listen = "{host}:{port}", public_url = "http://{host}:{port}" }}
        upstreams.x.targets = ["{}"]
        routes = [{{ path = "/{{*rest}}", upstream = "x", access = "public" }}]
        [authority]
        kind = "backend"
        upstream = "x"
        credentials = {{ path = "/login", json = {{ email = "{{email}}", password = "{{password}}" }} }}
        refresh = {{ path = "/refresh", json = {{ refresh_token = "{{refresh_token}}" }} }}
        "#,
        upstream.target()
    );
    let mut process = Process::run(&toml).await;
    let address = ([127, 0, 0, 1], port).into();
    let mut answers = Vec::new();
    for path in ["/events", "/long"] {
        let head = format!("GET {path} HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n");
        let mut raw = Raw::connect(address).await;
        raw.send(&head).await;
        raw.until(b"data:1").await;
        answers.push(raw);
    }
    process.signal("TERM");
    let mut answers = answers.into_iter();
    let events = answers.next().unwrap().rest().await;
    assert!(events.ends_with("0\r\n\r\n"), "a clean end: {events:?}");
    events_ended.notify_one();
    let long = answers.next().unwrap().rest().await;
    assert!(long.ends_with("last\r\n0\r\n\r\n"), "{long:?}");
    assert_eq!(process.ended().await.code(), Some(0));
}

#[tokio::test]
async fn signals_that_come_before_the_gateway_listens_end_it_by_a_drain_or_reload_it() {
    let stack = TestStack::start().await;
    for _ in 0..5 {
        let mut process = Process::start(&stack.file(free_port(), ""), &["run"]);
        // The first thing that the process does is to receive its signals; the file is read after that.
        process.until_receives_signals().await;
        process.signal("HUP");
        process.until_said("configuration reloaded").await;
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.output());
        let mut process = Process::start(&stack.file(free_port(), ""), &["run"]);
        process.until_receives_signals().await;
        process.signal("TERM");
        assert_eq!(process.ended().await.code(), Some(0), "{}", process.output());
    }
}

#[tokio::test]
async fn systemd_is_told_when_the_gateway_is_ready_reloads_and_stops() {
    let stack = TestStack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = tokio::net::UnixDatagram::bind(&path).unwrap();
    let told = async || {
        let mut message = [0; 200];
        let length = within_time_limit("a message", socket.recv(&mut message)).await.unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let notify = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let mut process = Process::start_with(&stack.file(free_port(), ""), &["run"], &notify);
    assert_eq!(told().await, "READY=1");
    process.signal("HUP");
    assert!(told().await.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told().await, "READY=1");
    // A file with errors: the service goes on.
    std::fs::write(process.file(), "nonsense").unwrap();
    assert!(told().await.starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told().await, "READY=1");
    process.signal("TERM");
    assert_eq!(told().await, "STOPPING=1");
    assert_eq!(process.ended().await.code(), Some(0));
}
