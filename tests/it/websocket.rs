//! Upgraded connections (RFC 6455): they open with the session's token, stay open past its expiry, and end with the
//! session.

use tokio_tungstenite::tungstenite::{Error, protocol::frame::coding::CloseCode};

use crate::harness::{TestStack, WebSocket, secs};

#[tokio::test]
async fn messages_pass_both_ways_and_the_upstream_gets_the_bearer() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    assert_eq!(socket.echo("hello").await, "hello");
    assert_eq!(socket.echo(&"x".repeat(100_000)).await.len(), 100_000);
    let handshake = &stack.backend.recorded_at("/api/ws")[0];
    assert!(handshake.header("authorization").unwrap().starts_with("Bearer ey"));
    assert_eq!(handshake.header("cookie"), None);
}

#[tokio::test]
async fn without_a_session_no_socket_opens() {
    let stack = TestStack::start().await;
    let Err(Error::Http(refusal)) = WebSocket::open(&stack.browser(), "/api/ws").await else { panic!("it opened") };
    assert_eq!(refusal.status(), 401);
    assert_eq!(refusal.headers()["x-auth-status"], "anonymous");
    assert_eq!(stack.backend.requests("/api/ws"), 0);
}

#[tokio::test]
async fn an_expired_token_is_refreshed_before_the_socket_opens() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    assert_eq!(socket.echo("hello").await, "hello");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_rejected_token_is_refreshed_and_the_upgrade_tried_again() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.backend.unauthorized_next(1);
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    assert_eq!(socket.echo("hello").await, "hello");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_socket_ends_with_4401_within_five_seconds_of_the_logout() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    socket.echo("hello").await;
    browser.post("/auth/logout").await.is(200);
    let closed = tokio::time::timeout(secs(5), socket.closed()).await.expect("within five seconds");
    assert_eq!(closed.expect("a close frame").code, CloseCode::Library(4401));
}

#[tokio::test]
async fn a_socket_ends_when_the_authority_refuses_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    socket.echo("hello").await;
    stack.backend.revoke_email("mina@example.test");
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(401).says("invalid");
    let closed = tokio::time::timeout(secs(5), socket.closed()).await.expect("within five seconds");
    assert_eq!(closed.expect("a close frame").code, CloseCode::Library(4401));
}

#[tokio::test]
async fn a_socket_stays_open_past_the_tokens_expiry_and_during_refreshes() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut socket = WebSocket::open(&browser, "/api/ws").await.unwrap();
    for _ in 0..3 {
        stack.expire_tokens();
        browser.fetch("/api/me").await.is(200).says("refreshed");
        assert_eq!(socket.echo("still here").await, "still here");
    }
}

#[tokio::test]
async fn the_logout_of_another_session_does_not_end_a_socket() {
    let stack = TestStack::start().await;
    let (mina, jun) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    let mut socket = WebSocket::open(&mina, "/api/ws").await.unwrap();
    jun.post("/auth/logout").await.is(200);
    assert_eq!(socket.echo("still here").await, "still here");
}

#[tokio::test]
async fn a_socket_on_an_optional_route_ends_with_the_session_it_opened_with() {
    let stack =
        TestStack::with("[[routes]]\npath = \"/public/{*rest}\"\nupstream = \"backend\"\naccess = \"optional\"").await;
    let browser = stack.logged_in("mina").await;
    let mut socket = WebSocket::open(&browser, "/public/ws").await.unwrap();
    let mut strangers = WebSocket::open(&stack.browser(), "/public/ws").await.unwrap();
    browser.post("/auth/logout").await.is(200);
    assert_eq!(socket.closed().await.expect("a close frame").code, CloseCode::Library(4401));
    assert_eq!(strangers.echo("still here").await, "still here");
}
