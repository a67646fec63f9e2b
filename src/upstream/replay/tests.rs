//! A body that is sent again is the same body, or it is not sent again.

use http_body_util::BodyExt as _;
use tokio::io::DuplexStream;

use bytes::Bytes;

use super::{
    super::{RequestError, testing::*},
    *,
};

/// A visitor's body of 16 bytes, of which `sent` has been sent.
async fn body_of(sent: &str) -> (Incoming, DuplexStream) {
    let raw = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 16\r\n\r\n{sent}");
    let (request, near) = visitor(raw).await;
    (request.into_body(), near)
}

async fn chunk(body: &mut RequestBody) -> Bytes {
    body.frame().await.unwrap().unwrap().into_data().unwrap()
}

async fn all(body: RequestBody) -> Bytes {
    body.collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_body_that_was_read_is_sent_again_byte_for_byte() {
    let budget = Budget::new(1000);
    let (body, _near) = body_of("0123456789abcdef").await;
    let (first, replay) = record(body, None, 16, &budget);
    assert_eq!(first.size_hint().exact(), Some(16));
    assert_eq!(all(first).await, "0123456789abcdef");
    let second = replay.again().unwrap();
    assert_eq!(second.size_hint().exact(), Some(16));
    assert_eq!(budget.free(), 984);
    assert_eq!(all(second).await, "0123456789abcdef");
    assert_eq!(budget.free(), 1000);
}

#[tokio::test]
async fn a_body_that_was_read_in_part_continues_from_the_visitor() {
    let budget = Budget::new(1000);
    let (body, mut near) = body_of("01234567").await;
    let (mut first, replay) = record(body, None, 16, &budget);
    assert_eq!(chunk(&mut first).await, "01234567");
    drop(first);
    let second = replay.again().unwrap();
    assert_eq!(second.size_hint().exact(), Some(16));
    write(&mut near, "89abcdef").await;
    assert_eq!(all(second).await, "0123456789abcdef");
}

#[tokio::test]
async fn an_unread_body_is_sent_whole() {
    let budget = Budget::new(1000);
    let (body, _near) = body_of("0123456789abcdef").await;
    let (first, replay) = record(body, None, 16, &budget);
    drop(first);
    assert_eq!(all(replay.again().unwrap()).await, "0123456789abcdef");
}

#[tokio::test]
async fn trailers_that_may_pass_are_sent_again() {
    let raw = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\ncookie: a=1\r\n\r\n";
    let (request, _near) = visitor(raw).await;
    let (first, replay) = record(request.into_body(), None, 16, &Budget::new(1000));
    let first = first.collect().await.unwrap();
    let second = replay.again().unwrap().collect().await.unwrap();
    for tried in [first, second] {
        let trailers = tried.trailers().unwrap();
        assert!(trailers.contains_key("x-sum") && !trailers.contains_key("cookie"));
        assert_eq!(tried.to_bytes(), "hi");
    }
}

#[tokio::test]
async fn the_first_try_cannot_take_bytes_from_the_second() {
    let (body, mut near) = body_of("01234567").await;
    let (mut first, replay) = record(body, None, 16, &Budget::new(1000));
    chunk(&mut first).await;
    let second = replay.again().unwrap();
    assert!(matches!(first.frame().await, Some(Err(RequestError::Taken))));
    write(&mut near, "89abcdef").await;
    assert_eq!(all(second).await, "0123456789abcdef");
}

#[tokio::test]
async fn a_body_over_its_limit_or_the_budget_has_no_second_try() {
    for (max, budget) in [(15, 1000), (1000, 15)] {
        let budget = Budget::new(budget);
        let before = budget.free();
        let (body, mut near) = body_of("01234567").await;
        let (mut first, replay) = record(body, None, max, &budget);
        assert_eq!(chunk(&mut first).await, "01234567");
        write(&mut near, "89abcdef").await;
        assert_eq!(chunk(&mut first).await, "89abcdef", "the first try gets all of it");
        assert_eq!(budget.free(), before, "the recorded bytes are freed");
        assert!(replay.again().is_none());
    }
}

#[tokio::test]
async fn a_body_that_failed_has_no_second_try() {
    let (body, near) = body_of("0123").await;
    let (mut first, replay) = record(body, None, 16, &Budget::new(1000));
    chunk(&mut first).await;
    drop(near);
    assert!(matches!(first.frame().await, Some(Err(RequestError::Broken(_)))));
    assert!(replay.again().is_none());
}

#[tokio::test]
async fn the_limit_counts_the_bytes_of_both_tries() {
    let (body, mut near) = body_of("01234567").await;
    let (mut first, replay) = record(body, Some(15), 16, &Budget::new(1000));
    chunk(&mut first).await;
    let mut second = replay.again().unwrap();
    assert_eq!(chunk(&mut second).await, "01234567");
    write(&mut near, "89abcdef").await;
    assert!(matches!(second.frame().await, Some(Err(RequestError::TooLarge))));
}

#[tokio::test]
async fn recorded_bytes_are_freed_when_no_second_try_is_possible() {
    let budget = Budget::new(1000);
    let (body, mut near) = body_of("01234567").await;
    let (mut first, replay) = record(body, None, 16, &budget);
    chunk(&mut first).await;
    assert_eq!(budget.free(), 992);
    drop(replay);
    assert_eq!(budget.free(), 1000);
    write(&mut near, "89abcdef").await;
    assert_eq!(all(first).await, "89abcdef");
}

#[tokio::test]
async fn a_request_without_a_body_can_be_sent_again() {
    let (request, _near) = visitor("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let (first, replay) = record(request.into_body(), None, 16, &Budget::new(1000));
    assert!(first.is_end_stream() && replay.again().unwrap().is_end_stream());
}
