//! Bodies through the gateway in both directions: streams, lengths, trailers, limits.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{Notify, mpsc};

use super::{exchange, in_front_of, toml};
use crate::harness::{Raw, TestStack, Upstream, ok, raw};

#[tokio::test]
async fn the_first_bytes_of_an_answer_arrive_before_its_last() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(move |mut wire| {
        let gate = Arc::clone(&opened);
        async move {
            while wire.request().await.is_some() {
                wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
                gate.notified().await;
                wire.send("6\r\nsecond\r\n0\r\n\r\n").await;
            }
        }
    })
    .await;
    let stack = in_front_of(&upstream, "").await;
    let mut answer = stack.browser().fetch("/x/").open().await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    gate.notify_one();
    assert_eq!(answer.next().await.unwrap().unwrap(), "second");
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn the_first_bytes_of_a_request_arrive_before_its_last() {
    let (heard, mut hears) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut wire| {
        let heard = heard.clone();
        async move {
            if wire.head().await.is_some() {
                wire.until(b"first\r\n").await.unwrap();
                heard.send(()).await.unwrap();
                wire.until(b"0\r\n\r\n").await.unwrap();
                wire.send(ok("all of it")).await;
            }
        }
    })
    .await;
    let stack = in_front_of(&upstream, "").await;
    let (send, receive) = mpsc::channel::<Result<Frame<Bytes>, io::Error>>(1);
    let body = stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|frame| (frame, receive)) });
    let ask = stack.browser().post("/x/").streaming(StreamBody::new(body).boxed_unsync());
    let answer = tokio::spawn(ask.into_future());
    send.send(Ok(Frame::data("first".into()))).await.unwrap();
    hears.recv().await.unwrap();
    drop(send);
    assert_eq!(answer.await.unwrap().is(200).text(), "all of it");
}

#[tokio::test]
async fn a_large_body_passes_in_both_directions() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let body = Bytes::from(vec![7_u8; 20 * 1024 * 1024]);
    let answer = browser.post("/api/upload").body(body.clone()).await.is(200);
    assert_eq!(answer.json()["bytes"], body.len());
    let answer = browser.fetch("/api/download?bytes=20000000").await.is(200);
    assert_eq!(answer.body.len(), 20_000_000);
    assert!(answer.body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % (16 * 1024) % 256));
}

#[tokio::test]
async fn a_head_request_keeps_the_length_and_has_no_body() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"x\"\r\n\r\n").await;
    let stack = in_front_of(&upstream, "").await;
    let answer = stack.browser().request(Method::HEAD, "/x/").await.is(200);
    assert_eq!(answer.header("content-length"), Some("1234"));
    assert_eq!(answer.header("etag"), Some("\"x\""));
    assert!(answer.body.is_empty());
    assert_eq!(upstream.last().line(), "HEAD /x/ HTTP/1.1");
}

#[tokio::test]
async fn answers_that_have_no_body_pass_as_they_are() {
    for (head, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ] {
        let upstream = Upstream::answering(head).await;
        let stack = in_front_of(&upstream, "").await;
        for _ in 0..2 {
            let answer = stack.browser().fetch("/x/").await.is(status);
            assert!(answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn trailers_pass_with_te_trailers_and_not_without() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\nset-cookie: sb_at=evil\r\n\r\n",
    )
    .await;
    let stack = in_front_of(&upstream, "").await;
    let answer = exchange(&stack, "GET /x/ HTTP/1.1\r\nte: trailers", "").await;
    assert!(answer.to_lowercase().contains("\r\nx-sum: 42\r\n"), "{answer}");
    assert!(!answer.contains("evil"), "{answer}");
    let plain = exchange(&stack, "GET /x/ HTTP/1.1", "").await;
    assert!(plain.contains("ok") && !plain.to_lowercase().contains("\r\nx-sum: 42"), "{plain}");

    // A request's pass where they are announced, and none that had to come before the body.
    let head = "POST /x/ HTTP/1.1\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, content-length, x-user-id, cookie";
    let body =
        "2\r\nok\r\n0\r\nx-sum: 42\r\ncontent-length: 9\r\nx-user-id: root\r\ncookie: a=b\r\nx-unannounced: 1\r\n\r\n";
    exchange(&stack, head, body).await;
    let heard = upstream.last();
    assert_eq!(heard.header("trailer"), Some("x-sum"));
    assert_eq!(String::from_utf8(heard.body).unwrap().to_lowercase(), "2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n");
}

#[tokio::test]
async fn expect_100_continue_gets_100_before_the_body_or_a_final_answer() {
    let upstream = Upstream::saying("done").await;
    let stack = TestStack::with(
        &(toml(&upstream.target(), "public", "")
            + "[[routes]]\npath = \"/closed\"\nupstream = \"x\"\naccess = \"user\""),
    )
    .await;
    let host = stack.gateway.host();
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    visitor
        .send(format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"))
        .await;
    assert_eq!(raw::status(&visitor.head().await), 100);
    visitor.send("body").await;
    assert_eq!(raw::status(&visitor.head().await), 200);
    assert_eq!(upstream.last().body, b"body");

    let mut visitor = Raw::connect(stack.gateway.address()).await;
    visitor
        .send(format!("POST /closed HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"))
        .await;
    let refused = visitor.rest().await;
    assert_eq!(raw::status(&refused), 401, "final, with nothing before it, and the end of the connection");
    assert_eq!(upstream.heard().len(), 1);

    let unasked = exchange(&stack, "POST /x/ HTTP/1.1\r\ncontent-length: 4", "body").await;
    assert_eq!(raw::status(&unasked), 200, "no 100 for who did not ask: {unasked}");
}

#[tokio::test]
async fn another_expectation_is_refused_before_the_body() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let host = stack.gateway.host();
    for expected in ["tea", "100-continue, tea"] {
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        let head = format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\nexpect: {expected}\r\ncontent-length: 4\r\n\r\n");
        visitor.send(head).await;
        let answer = visitor.rest().await;
        assert_eq!(raw::status(&answer), 417, "{expected}: {answer}");
    }
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_body_after_an_answer_to_head_is_not_read_as_the_next_answer() {
    let upstream = Upstream::start(|mut wire| async move {
        while let Some(heard) = wire.request().await {
            let body =
                if heard.line().starts_with("HEAD") { "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil" } else { "" };
            wire.send(ok("fine") + body).await;
        }
    })
    .await;
    let stack = in_front_of(&upstream, "").await;
    for _ in 0..5 {
        let answer = stack.browser().request(Method::HEAD, "/x/").await.is(200);
        assert!(answer.body.is_empty());
        assert_eq!(stack.browser().fetch("/x/").await.is(200).text(), "fine");
    }
}

#[tokio::test]
async fn a_body_over_the_routes_limit_is_413() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "body_limit = \"10KiB\"").await;
    let browser = stack.browser();
    browser.post("/x/").body(vec![0; 10 * 1024]).await.is(200);
    browser.post("/x/").body(vec![0; 10 * 1024 + 1]).await.is(413);
    assert_eq!(upstream.heard().len(), 1, "a length that is too large is refused before the upstream is asked");
    // Without a length: cut off when it is too much.
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    let head = format!("POST /x/ HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n", stack.gateway.host());
    visitor.send(head).await;
    for _ in 0..12 {
        visitor.send(format!("400\r\n{}\r\n", "x".repeat(1024))).await;
    }
    assert_eq!(raw::status(&visitor.head().await), 413);
    assert_eq!(upstream.heard().len(), 1, "no whole request reached the upstream");
}

#[tokio::test]
async fn a_visitor_who_disconnects_ends_the_request_at_the_upstream() {
    let (ended, mut ends) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut wire| {
        let ended = ended.clone();
        async move {
            wire.request().await;
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            wire.until_closed().await;
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let stack = in_front_of(&upstream, "").await;
    let mut answer = stack.browser().fetch("/x/").open().await;
    answer.next().await.unwrap().unwrap();
    drop(answer);
    crate::harness::within_time_limit("the end of the upstream's connection", ends.recv()).await.unwrap();
}
