//! Failures and connections: upstreams that are down, slow or broken, refused requests, and reused connections.

use super::{exchange, in_front_of, toml};
use crate::harness::{Raw, Setup, TestStack, Upstream, ok, raw};

#[tokio::test]
async fn an_unreachable_upstream_is_502_and_the_session_stays() {
    let gone = Upstream::saying("x").await.target();
    let stack = TestStack::with(&toml(&gone, "user", "")).await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/x/").await.is(502).says("valid");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.set_cookies().is_empty());
    let page = browser.navigate("/x/").await.is(502);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
}

#[tokio::test]
async fn with_one_of_three_targets_down_every_request_succeeds() {
    let (one, two) = (Upstream::saying("ok").await, Upstream::saying("ok").await);
    let gone = Upstream::saying("x").await.target();
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\", \"{gone}\", \"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        one.target(),
        two.target()
    ))
    .await;
    for _ in 0..15 {
        stack.browser().fetch("/x/").await.is(200);
        stack.browser().post("/x/").body("once").await.is(200);
    }
    let posts = [one.heard(), two.heard()].concat().iter().filter(|heard| heard.line().starts_with("POST")).count();
    assert_eq!(posts, 15);
}

#[tokio::test]
async fn a_request_that_a_target_broke_off_is_not_sent_to_another_target() {
    let breaking = Upstream::start(|mut wire| async move { drop(wire.request().await) }).await;
    let sound = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\", \"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        breaking.target(),
        sound.target()
    ))
    .await;
    let mut broken = 0;
    for _ in 0..20 {
        let status = stack.browser().post("/x/").body("once").await.status;
        assert!(status == 200 || status == 502, "{status}");
        broken += usize::from(status == 502);
    }
    assert_eq!((breaking.heard().len(), sound.heard().len()), (broken, 20 - broken));
    assert!(broken <= 3, "after three failures in a row the target is left out: {broken}");
}

/// A gateway with `targets` and this rule of `eject`, public.
async fn ejecting(targets: &[&Upstream], eject: &str) -> TestStack {
    let targets: Vec<_> = targets.iter().map(|target| format!("\"{}\"", target.target())).collect();
    TestStack::with(&format!(
        "server.admin_listen = \"127.0.0.1:0\"\n[upstreams.x]\ntargets = [{}]\neject = {{ {eject} }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"\ntimeout = \"300ms\"",
        targets.join(", ")
    ))
    .await
}

#[tokio::test]
async fn targets_that_hang_or_break_their_bodies_are_left_out_and_counted() {
    let silent = Upstream::start(|mut wire| async move {
        wire.request().await;
        wire.until_closed().await;
    })
    .await;
    let breaking = Upstream::start(|mut wire| async move {
        if wire.request().await.is_some() {
            wire.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
        }
    })
    .await;
    let sound = Upstream::saying("ok").await;
    let rule = "failures = 2, window = \"1m\", for = \"1h\", most = 0.7";
    let stack = ejecting(&[&silent, &breaking, &sound], rule).await;
    let mut failed = 0;
    for _ in 0..30 {
        let answer = stack.browser().fetch("/x/").try_send().await;
        failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
    }
    assert_eq!((silent.heard().len(), breaking.heard().len(), sound.heard().len(), failed), (2, 2, 26, 4));
    let admin = stack.gateway.admin();
    let ask = format!("GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n");
    let metrics = Raw::exchange(admin, ask).await;
    for line in [
        "vestibule_upstream_ejections_total{upstream=\"x\"} 2",
        "vestibule_upstream_failures_total{kind=\"body\"} 2",
        "vestibule_upstream_failures_total{kind=\"timeout\"} 2",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[tokio::test]
async fn statuses_of_the_rule_eject_and_an_only_target_is_never_left_out() {
    let busy = Upstream::answering("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let sound = Upstream::saying("ok").await;
    let stack = ejecting(&[&busy, &sound], "statuses = [503], for = \"1h\"").await;
    for _ in 0..20 {
        stack.browser().fetch("/x/").await;
    }
    assert_eq!((busy.heard().len(), sound.heard().len()), (3, 17));
    let alone = ejecting(&[&busy], "statuses = [503], for = \"1h\", most = 1").await;
    for _ in 0..10 {
        alone.browser().fetch("/x/").await.is(503);
    }
    assert_eq!(busy.heard().len(), 13);
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_502() {
    for rubbish in [
        "rubbish\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "",
    ] {
        let upstream = Upstream::start(move |mut wire| async move {
            if wire.request().await.is_some() {
                wire.send(rubbish).await;
            }
        })
        .await;
        let stack = in_front_of(&upstream, "").await;
        let answer = stack.browser().fetch("/x/").await;
        assert_eq!(answer.status, 502, "{rubbish:?}: {answer}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_504() {
    let silent = Upstream::start(|mut wire| async move {
        wire.request().await;
        wire.until_closed().await;
    })
    .await;
    let stack = TestStack::with(&toml(&silent.target(), "user", "timeout = \"300ms\"")).await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/x/").await.is(504).says("valid");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn a_broken_answer_never_ends_cleanly() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let start = if head.starts_with('c') { "some of it" } else { "a\r\nsome of it\r\n" };
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{start}");
        for resets in [false, true] {
            let text = text.clone();
            let upstream = Upstream::start(move |mut wire| {
                let text = text.clone();
                async move {
                    if wire.request().await.is_some() {
                        wire.send(text).await;
                        if resets {
                            wire.reset();
                        }
                    }
                }
            })
            .await;
            let stack = in_front_of(&upstream, "").await;
            let outcome = stack.browser().fetch("/x/").try_send().await;
            assert!(outcome.is_err(), "{head}, reset {resets}: {}", outcome.unwrap());
        }
    }
}

#[tokio::test]
async fn a_silent_stream_is_cut_after_its_idle_time() {
    let upstream = Upstream::start(|mut wire| async move {
        wire.request().await;
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
        wire.until_closed().await;
    })
    .await;
    let stack = in_front_of(&upstream, "idle_timeout = \"300ms\"").await;
    let mut answer = stack.browser().fetch("/x/").open().await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    assert!(answer.next().await.unwrap().is_err(), "a cut, not a clean end");
}

#[tokio::test]
async fn heads_that_are_too_large_are_431() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let long = exchange(&stack, &format!("GET /x/ HTTP/1.1\r\nx-long: {}", "x".repeat(33 * 1024)), "").await;
    assert_eq!(raw::status(&long), 431, "{}", long.get(..200).unwrap_or(&long));
    let many = (0..101).fold("GET /x/ HTTP/1.1".to_owned(), |head, n| format!("{head}\r\nx-{n}: 1"));
    assert_eq!(raw::status(&exchange(&stack, &many, "").await), 431);
    assert!(upstream.heard().is_empty());
    let fine = (0..90).fold("GET /x/ HTTP/1.1".to_owned(), |head, n| format!("{head}\r\nx-{n}: 1"));
    assert_eq!(raw::status(&exchange(&stack, &fine, "").await), 200);
}

#[tokio::test]
async fn a_head_or_body_that_does_not_arrive_in_time_is_408() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "idle_timeout = \"300ms\"").await;
    let host = stack.gateway.host();
    let (address, mut slow_head) = (stack.gateway.address(), Raw::connect(stack.gateway.address()).await);
    slow_head.send(format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nx-slow:")).await;
    let mut slow_body = Raw::connect(address).await;
    slow_body.send(format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nhalf")).await;
    let body = slow_body.rest().await;
    assert_eq!(raw::status(&body), 408, "{body}");
    let head = slow_head.rest().await;
    assert!(raw::status(&head) == 408 || head.is_empty(), "{head}");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_request_that_two_parsers_could_read_differently_is_400() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let host = stack.gateway.host();
    let mut taken = Vec::new();
    let heads = [
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na"),
        format!("GET /x/#y HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1, 1\r\n\r\na"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: +1\r\n\r\na"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: -1\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length:\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.0\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n\r\n"),
        "GET /x/ HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /x/ HTTP/1.1\r\nhost : {host}\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\n folded: x\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nx: a\0b\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\n: empty\r\n\r\n"),
        format!("GET /x/\u{1} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET x HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET http://user@{host}/x/ HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n\r\n"),
    ];
    for head in heads {
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        visitor.send(&head).await;
        let answer = visitor.rest().await;
        if raw::status(&answer) != 400 {
            taken.push((head, answer));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
}

#[tokio::test]
async fn bytes_after_a_refused_request_are_not_read_as_another_request() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let host = stack.gateway.host();
    let smuggled = format!(
        "POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x/smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n"
    );
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    visitor.send(smuggled).await;
    let answer = visitor.rest().await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(upstream.heard().is_empty(), "{answer} {:?}", upstream.heard());
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let stack = TestStack::start().await;
    let host = stack.gateway.host();
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    let request = |ms: u32| format!("GET /public/slow?ms={ms} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    visitor.send(request(80) + &request(1) + &request(20)).await;
    for ms in [80, 1, 20] {
        let head = visitor.head().await;
        let length =
            head.to_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let body = String::from_utf8(visitor.exactly(length).await).unwrap();
        assert!(body.contains(&format!(":{ms}}}")), "{body}");
    }
}

#[tokio::test]
async fn trace_and_connect_are_refused() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let host = stack.gateway.host();
    for (line, status) in [
        ("TRACE /x/ HTTP/1.1", 405),
        (&*format!("CONNECT {host} HTTP/1.1"), 405),
        ("CONNECT evil.example:443 HTTP/1.1", 405),
    ] {
        let answer = exchange(&stack, line, "").await;
        assert!([status, 400, 421, 501].contains(&raw::status(&answer)), "{line}: {answer}");
    }
    let answer = exchange(&stack, "OPTIONS * HTTP/1.1", "").await;
    assert!([200, 204].contains(&raw::status(&answer)), "{answer}");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn an_idle_connection_that_the_upstream_closed_is_replaced() {
    // Each connection serves one request and closes without saying so.
    let upstream = Upstream::start(|mut wire| async move {
        if wire.request().await.is_some() {
            wire.send(ok("x")).await;
        }
    })
    .await;
    let stack = in_front_of(&upstream, "").await;
    let browser = stack.browser();
    for _ in 0..20 {
        browser.fetch("/x/").await.is(200);
    }
    assert_eq!(upstream.connections(), 20);
}

#[tokio::test]
async fn an_upstream_connection_serves_many_requests() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    for _ in 0..50 {
        stack.browser().fetch("/x/").await.is(200);
    }
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(upstream.connections() <= threads, "{} connections for {threads} threads", upstream.connections());
}

#[tokio::test]
async fn an_upstream_may_listen_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|length| length > 0) {}
            stream.write_all(ok("from the socket").as_bytes()).await.unwrap();
        }
    });
    let stack = Setup::new().with(&toml(&format!("unix:{}", path.display()), "public", "")).start().await;
    assert_eq!(stack.browser().fetch("/x/").await.is(200).text(), "from the socket");
}
