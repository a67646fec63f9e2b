//! The end of the process: requests in progress are finished, and the exit code is 0.

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{Process, Raw, TestStack, WebSocket, free_port, raw};

#[tokio::test]
async fn requests_in_progress_are_finished_and_the_exit_code_is_0() {
    let stack = TestStack::start().await;
    let port = free_port();
    let mut process = Process::run(&stack.file(port, "")).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    let slow = tokio::spawn(browser.fetch("/api/slow?ms=700").into_future());
    crate::harness::within_time_limit(
        "the request",
        stack.backend.until(|seen| seen.requests.contains_key("/api/slow")),
    )
    .await;
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
    crate::harness::within_time_limit("the end of readiness", async { while raw::status(&ready().await) == 200 {} })
        .await;
    stack.browser_at(port).fetch("/public/ping").await.is(200);
    assert_eq!(process.ended().await.code(), Some(0));
}
