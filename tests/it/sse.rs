//! Server-sent events and other long answers: unbuffered, without a time limit, and cut when the session ends.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::harness::{Opened, TestStack, Upstream, secs};

async fn event(stream: &mut Opened) -> String {
    String::from_utf8(stream.next().await.expect("an event").expect("no cut").to_vec()).unwrap()
}

#[tokio::test]
async fn each_event_passes_at_once() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(move |mut wire| {
        let gate = Arc::clone(&opened);
        async move {
            while wire.request().await.is_some() {
                wire.send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                    .await;
                for _ in 0..3 {
                    wire.send("9\r\ndata: x\n\n\r\n").await;
                    gate.notified().await;
                }
            }
        }
    })
    .await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"user\"",
        upstream.target()
    ))
    .await;
    let browser = stack.logged_in("mina").await;
    let mut stream = browser.fetch("/x").header("accept", "text/event-stream").open().await;
    assert_eq!(stream.status(), 200);
    for _ in 0..3 {
        assert_eq!(event(&mut stream).await, "data: x\n\n");
        gate.notify_one();
    }
}

#[tokio::test]
async fn a_stream_is_cut_when_the_session_ends() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut stream = browser.fetch("/api/events?ms=20").open().await;
    event(&mut stream).await;
    browser.post("/auth/logout").await.is(200);
    let cut = tokio::time::timeout(secs(5), async {
        loop {
            match stream.next().await {
                Some(Ok(_)) => {}
                end => return end,
            }
        }
    });
    let end = cut.await.expect("within five seconds");
    assert!(matches!(end, Some(Err(_))), "a cut, not a clean end");
}

#[tokio::test]
async fn a_stream_stays_open_past_the_tokens_expiry() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let mut stream = browser.fetch("/api/events?ms=20").open().await;
    event(&mut stream).await;
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    for _ in 0..5 {
        event(&mut stream).await;
    }
}

#[tokio::test]
async fn a_stream_without_a_session_is_not_cut_by_a_logout() {
    let stack = TestStack::start().await;
    let mut stream = stack.browser().fetch("/public/events?ms=20").open().await;
    stack.logged_in("mina").await.post("/auth/logout").await.is(200);
    for _ in 0..3 {
        event(&mut stream).await;
    }
}
