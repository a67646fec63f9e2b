//! HTTP/1.1: sizes of heads, and deadlines for peers that send or read slowly.

use super::*;

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
async fn a_slow_head_is_408_and_an_idle_connection_is_closed_without_an_answer() {
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
async fn a_request_being_served_has_no_deadline_in_the_listener() {
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
async fn the_connection_of_a_peer_that_does_not_read_its_answer_is_closed() {
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
    timeout(TEST_TIMEOUT, cut).await.expect("the connection is cut");
    let mut answer = Vec::new();
    let _end_or_reset = stream.read_to_end(&mut answer).await;
    assert!(answer.len() < LARGE);
}
