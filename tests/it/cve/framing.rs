//! Messages whose end two parsers see in different places, and bytes that would stay on a pooled connection.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use tokio::sync::watch;

use super::setup::{ask, before, get, is_alive};
use crate::harness::{Raw, TestStack, Upstream, ok, raw, within_time_limit};

/// An upstream whose answers name the request.
async fn echo() -> Upstream {
    Upstream::start(|mut wire| async move {
        while let Some(heard) = wire.request().await {
            wire.send(ok(heard.line())).await;
        }
    })
    .await
}

/// A POST to an open route with these lines, and what follows its head.
fn post(stack: &TestStack, lines: &str, body: &str) -> String {
    format!("POST /public/x HTTP/1.1\r\nhost: {}\r\n{lines}\r\n\r\n{body}", stack.gateway.host())
}

/// Checks: 400, a closed connection, and no request at the upstream.
async fn is_refused(stack: &TestStack, upstream: &Upstream, request: impl AsRef<[u8]>) {
    let request = request.as_ref();
    let said = String::from_utf8_lossy(request.get(..200).unwrap_or(request)).into_owned();
    let answer = Raw::exchange(stack.gateway.address(), request).await;
    assert_eq!(raw::status(&answer), 400, "{said:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{said:?}: {answer}");
    assert!(upstream.heard().is_empty(), "{said:?}: {:?}", upstream.heard());
}

/// CVE-2021-32714, CVE-2021-32715 and CVE-2020-35863 too; the whole battery is `strictness`.
#[tokio::test]
async fn hyper_cve_2021_21299_one_transfer_coding_one_length_one_reading() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    for (lines, body) in [
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity", "0\r\n\r\n"),
        ("transfer-encoding: identity\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: cow", "0\r\n\r\n"),
        ("transfer-encoding:\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
        ("transfer-encoding: \u{b}chunked", "0\r\n\r\n"),
        ("transfer-encoding: chunked;q=1", "0\r\n\r\n"),
        ("content-length: +5", "hello"),
        ("content-length: 5 5", "hello"),
        ("content-length: 0x5", "hello"),
        ("transfer-encoding: chunked", "f0000000000000003\r\nabc\r\n0\r\n\r\n"),
        ("transfer-encoding: chunked", "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n"),
    ] {
        is_refused(&stack, &upstream, post(&stack, lines, body)).await;
    }
    // The body of a GET is read as a body, not as the next request.
    let host = stack.gateway.host();
    let smuggled = format!("GET /public/smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n");
    for lines in [
        format!("content-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
    ] {
        let answer = Raw::exchange(
            stack.gateway.address(),
            format!("GET /public/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}"),
        )
        .await;
        assert!(answer.ends_with("GET /public/x HTTP/1.1"), "{answer}");
    }
    let lines: Vec<_> = upstream.heard().iter().map(|heard| heard.line().to_owned()).collect();
    assert_eq!(lines, ["GET /public/x HTTP/1.1", "GET /public/x HTTP/1.1"]);
}

#[tokio::test]
async fn cve_2026_2835_http_1_0_has_no_chunks_and_no_body_without_a_length() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    let host = stack.gateway.host();
    for connection in ["close", "keep-alive"] {
        let head = format!("POST /public/x HTTP/1.0\r\nhost: {host}\r\nconnection: {connection}\r\n");
        is_refused(&stack, &upstream, format!("{head}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")).await;
    }
    // Up to the end of the connection: nothing of it is a body, nor another request.
    let smuggled = format!("GET /public/smuggled HTTP/1.0\r\nhost: {host}\r\n\r\n");
    let answer =
        Raw::exchange(stack.gateway.address(), format!("POST /public/x HTTP/1.0\r\nhost: {host}\r\n\r\n{smuggled}"))
            .await;
    assert!(answer.ends_with("POST /public/x HTTP/1.1"), "{answer}");
    let heard = upstream.heard();
    assert!(heard.len() == 1 && heard[0].body.is_empty() && !heard[0].head.contains("smuggled"), "{heard:?}");
}

#[tokio::test]
async fn cve_2026_71324_a_connect_never_reaches_an_upstream() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    for target in [host, "evil.example:443", "127.0.0.1:80", "/public/x", &format!("http://{host}/public/x"), "*"] {
        let request = format!(
            "CONNECT {target} HTTP/1.1\r\nhost: {host}\r\n\r\nGET /public/smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n"
        );
        let answer = Raw::exchange(address, request).await;
        assert!(matches!(raw::status(&answer), 400 | 405 | 501), "{target}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{target}: {answer}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    assert_eq!(upstream.connections(), 0);
    is_alive(&stack).await;
}

/// h11 CVE-2025-43859, Netty CVE-2025-58056, Tomcat CVE-2026-24880 and Traffic Server issue 10580 too.
#[tokio::test]
async fn cve_2025_22871_an_upstream_sees_no_chunk_line_of_a_visitors() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    for body in [
        "2\nab\r\n0\r\n\r\n",
        "2\r\nab0\r\n\r\n",
        "2\r\nabXX0\r\n\r\n",
        "2;\nab\r\n0\r\n\r\n",
        "2;a\nb\r\nab\r\n0\r\n\r\n",
        "2 \r\nab\r\n0\r\n\r\n",
        "2\r\nab\r\n0;\n\r\n",
        "2;a=\"\r\n\"\r\nab\r\n0\r\n\r\n",
    ] {
        let answer = Raw::exchange(stack.gateway.address(), post(&stack, "transfer-encoding: chunked", body)).await;
        assert_eq!(raw::status(&answer), 400, "{body:?}: {answer}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    // A well-formed body is framed again, independent of its chunks.
    let sent = "0002;mark=\"a;b\"\r\nab\r\n1;mark\r\nc\r\n00000003 ; mark=x\r\ndef\r\n000;mark=y\r\nx-sum: 1\r\n\r\n";
    for cut in [0, 1, 7, 19, 30, 50] {
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        let request = post(&stack, "connection: close\r\ntransfer-encoding: chunked", sent);
        let (first, second) = request.split_at(request.len() - sent.len() + cut);
        visitor.send(first).await;
        visitor.send(second).await;
        assert_eq!(raw::status(&visitor.rest().await), 200);
        let heard = upstream.last();
        let wire = String::from_utf8(heard.body).unwrap();
        assert!(!wire.contains("mark") && !wire.contains(';') && !wire.contains("\r\n00"), "{wire:?}");
        assert_eq!(content(&wire), "abcdef");
    }
}

/// The data of chunks without extensions.
fn content(mut wire: &str) -> String {
    let mut content = String::new();
    loop {
        let (size, rest) = wire.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return content;
        }
        content += &rest[..size];
        wire = rest[size..].strip_prefix("\r\n").unwrap();
    }
}

/// CVE-2023-25725 and CVE-2021-40346 too.
#[tokio::test]
async fn cve_2023_40225_an_empty_length_or_name_is_refused_and_an_endless_name_is_no_other() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    for lines in [
        "content-length:",
        "content-length: ",
        "content-length: \t",
        "content-length: ,",
        ": x",
        ":",
        "\u{0}: x",
        "content-length: 0\r\n: x",
    ] {
        is_refused(&stack, &upstream, post(&stack, lines, "hello")).await;
    }
    let endless = |length: usize| format!("content-length0{}: \r\ncontent-length: 5", "a".repeat(length));
    let answer = Raw::exchange(stack.gateway.address(), post(&stack, &endless(70_000), "hello")).await;
    assert_eq!(raw::status(&answer), 431, "{answer}");
    assert!(upstream.heard().is_empty());
    // A name of 255 bytes was too long for another proxy; here it is accepted, and does not change the length.
    for length in [240, 255, 256, 270] {
        let host = stack.gateway.host();
        let rest = format!("helloGET /public/next HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = Raw::exchange(stack.gateway.address(), post(&stack, &endless(length), &rest)).await;
        assert!(
            answer.contains("POST /public/x HTTP/1.1") && answer.ends_with("GET /public/next HTTP/1.1"),
            "{answer}"
        );
        let heard = upstream.heard();
        assert_eq!(
            (&*heard[heard.len() - 2].body, heard[heard.len() - 2].header("content-length")),
            (&b"hello"[..], Some("5"))
        );
    }
}

#[tokio::test]
async fn cve_2025_14523_a_request_with_several_hosts_is_refused() {
    let upstream = echo().await;
    let stack = before(&upstream, "server.hosts = [\"other.example\"]").await;
    let host = stack.gateway.host();
    for hosts in [
        format!("host: {host}\r\nhost: {host}"),
        format!("host: {host}\r\nhost: other.example"),
        format!("host: other.example\r\nHOST: {host}"),
        format!("host: {host}\r\nhost:"),
        format!("host: {host}, other.example"),
    ] {
        is_refused(&stack, &upstream, format!("GET /public/x HTTP/1.1\r\n{hosts}\r\n\r\n")).await;
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
}

/// hyper RUSTSEC-2017-0002 too; for claims with line breaks there is
/// `upstream::headers::tests::a_claim_is_visible_ascii_or_encoded`.
#[tokio::test]
async fn cve_2023_25690_nothing_decoded_splits_a_message() {
    let upstream = echo().await;
    let stack = before(&upstream, "").await;
    for target in ["/public/x%0d%0ax-evil:%201", "/public/x%0a", "/public/x%0D%0A%0D%0AGET%20/smuggled%20HTTP/1.1"] {
        let answer = ask(&stack, &format!("GET {target} HTTP/1.1")).await;
        assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    for target in
        ["/public/x%20HTTP/1.1", "/public/x?y=%0d%0aHost:%20evil%0d%0a", "/public/x%20HTTP/1.1%20y?%20HTTP/1.1"]
    {
        assert_eq!(get(&stack, target).await, 200);
        let heard = upstream.last();
        assert_eq!(heard.line(), format!("GET {target} HTTP/1.1"));
        assert_eq!(heard.all("host").len(), 1);
    }
    assert_eq!(upstream.heard().len(), 3);
    for target in [
        "/auth/login/demo?return_to=/x%0d%0aset-cookie:%20evil=1",
        "/auth/login?return_to=/%0d%0aset-cookie:%20evil=1",
        "/app/x?%0d%0aset-cookie:%20evil=1",
    ] {
        let answer = ask(&stack, &format!("GET {target} HTTP/1.1\r\nsec-fetch-mode: navigate")).await;
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(!head.to_lowercase().contains("\nset-cookie: evil"), "{answer}");
    }
}

/// Go CVE-2024-24791 too.
#[tokio::test]
async fn cve_2024_28869_a_failed_expectation_leaves_the_connection_usable() {
    let heads = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&heads);
    // The upstream refuses requests with a body before it reads the body.
    let upstream = Upstream::start(move |mut wire| {
        let heads = Arc::clone(&seen);
        async move {
            while let Some(head) = wire.head().await {
                if !head.starts_with("POST ") {
                    wire.record(head.clone(), Vec::new());
                    wire.send(ok(head.lines().next().unwrap())).await;
                    continue;
                }
                let answer = if heads.fetch_add(1, Relaxed).is_multiple_of(2) {
                    "417 Expectation Failed"
                } else {
                    "401 Unauthorized"
                };
                wire.send(format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n")).await;
                if wire.body(&head).await.is_none() {
                    return;
                }
            }
        }
    })
    .await;
    let stack = before(&upstream, "").await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    let mut next = Raw::connect(address).await;
    for round in 0..1000 {
        let mut visitor = Raw::connect(address).await;
        visitor.send(post(&stack, "expect: 100-continue\r\ncontent-length: 4", "")).await;
        // A client that waits for 100, one that does not, and one that closes.
        match round % 3 {
            0 => visitor.send("body").await,
            1 if raw::status(&visitor.head().await) == 100 => visitor.send("body").await,
            _ => {}
        }
        if round % 3 != 1 {
            let mut status = raw::status(&visitor.head().await);
            if status == 100 {
                status = raw::status(&visitor.head().await);
            }
            assert!(matches!(status, 401 | 417), "round {round}: {status}");
        }
        next.send(format!("GET /public/{round} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let wanted = format!("GET /public/{round} HTTP/1.1");
        let answer = String::from_utf8(next.until(wanted.as_bytes()).await).unwrap();
        assert_eq!(raw::status(&answer), 200, "round {round}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 2, "round {round}: {answer}");
    }
    assert_eq!(upstream.heard().len(), 1000);
}

/// No byte of an announced body arrives: 408.
#[tokio::test]
async fn cve_2024_28869_an_announced_body_has_a_deadline() {
    let upstream = echo().await;
    let route = "[[routes]]\npath = \"/slow\"\nupstream = \"b\"\naccess = \"public\"\nidle_timeout = \"100ms\"";
    let stack = before(&upstream, route).await;
    for framing in ["content-length: 10", "transfer-encoding: chunked", "expect: 100-continue\r\ncontent-length: 10"] {
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        visitor.send(format!("POST /slow HTTP/1.1\r\nhost: {}\r\n{framing}\r\n\r\n", stack.gateway.host())).await;
        let answer = visitor.rest().await;
        assert!(answer.contains("HTTP/1.1 408 "), "{framing}: {answer}");
    }
    assert!(upstream.heard().is_empty());
    is_alive(&stack).await;
}

/// Go CVE-2023-39326 and CVE-2021-36221 too.
#[tokio::test]
async fn cve_2025_58186_cookies_chunks_and_aborts_cost_little_and_leave_nothing() {
    let open = watch::Sender::new(0_usize);
    let counted = open.clone();
    let upstream = Upstream::start(move |mut wire| {
        let open = counted.clone();
        async move {
            open.send_modify(|open| *open += 1);
            while let Some(heard) = wire.request().await {
                if heard.line().starts_with("GET /public/endless ") {
                    wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
                    wire.until_closed().await;
                    break;
                }
                wire.send(ok("b")).await;
            }
            open.send_modify(|open| *open -= 1);
        }
    })
    .await;
    let stack = before(&upstream, "").await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());

    let pairs = (0..10_000).map(|n| format!("c{n}=v")).collect::<Vec<_>>();
    for cookies in [format!("cookie: {}", pairs.join("; ")), format!("cookie: {}", pairs.join("\r\ncookie: "))] {
        assert_eq!(raw::status(&ask(&stack, &format!("GET /public/x HTTP/1.1\r\n{cookies}")).await), 431);
        assert_eq!(raw::status(&ask(&stack, &format!("GET /app/x HTTP/1.1\r\n{cookies}")).await), 431);
    }
    let (large, small) =
        (format!("1;a={}\r\nx\r\n", "y".repeat(16 * 1024)), format!("1;a={}\r\nx\r\n", "y".repeat(100)));
    for chunks in [large, small.repeat(200)] {
        let answer = Raw::exchange(address, post(&stack, "transfer-encoding: chunked", &(chunks + "0\r\n\r\n"))).await;
        assert_eq!(raw::status(&answer), 400, "{answer}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());

    for _ in 0..1000 {
        let mut visitor = Raw::connect(address).await;
        visitor.send(format!("GET /public/endless HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        visitor.until(b"first").await;
    }
    let mut open = open.subscribe();
    within_time_limit("the end of the upstream's connections", open.wait_for(|open| *open == 0)).await.unwrap();
    assert_eq!(upstream.heard().len(), 1000);
    is_alive(&stack).await;
}
