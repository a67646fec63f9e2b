//! Which HTTP/1.1 messages are refused and which accepted, as raw bytes; other proxies get the same bytes.

mod battery;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use self::battery::{Case, Expected, cases};
use crate::harness::{Product, Raw, TestStack, Upstream, not_installed, ok, raw, report};

/// A backend that accepts every request, and counts the heads it received.
async fn backend() -> (Upstream, Arc<AtomicUsize>) {
    let heads = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&heads);
    let upstream = Upstream::start(move |mut wire| {
        let heads = Arc::clone(&seen);
        async move {
            while let Some(head) = wire.head().await {
                heads.fetch_add(1, Relaxed);
                let lower = head.to_lowercase();
                let length = lower.split("\r\ncontent-length:").nth(1).and_then(|rest| rest.lines().next());
                let body = if lower.contains("\r\ntransfer-encoding:") {
                    wire.body(&head).await
                } else {
                    wire.exactly(length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)).await
                };
                let Some(body) = body else { return };
                wire.record(head, body);
                wire.send(ok("taken")).await;
            }
        }
    })
    .await;
    (upstream, heads)
}

async fn stack(upstream: &Upstream) -> TestStack {
    TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await
}

/// The outcome of a case at the client and at the backend.
struct Outcome {
    status: u16,
    /// Number of whole requests at the backend.
    requests: usize,
}

impl Outcome {
    /// Whether it is the expected outcome, as far as it can be expected of any proxy.
    fn fits(&self, expected: Expected) -> bool {
        let is_refused = self.requests == 0 && (self.status == 0 || self.status >= 400);
        match expected {
            Expected::Refused(_) | Expected::Broken | Expected::NoTunnel => is_refused,
            Expected::Taken => self.requests == 1 && self.status == 200,
            Expected::Local => (200..300).contains(&self.status),
            Expected::TakenOr417 => (self.requests == 1 && self.status == 200) || self.status == 417,
        }
    }
}

/// Sends a case to another proxy. If it waits for more bytes, the client closes its side after a while.
async fn tried(address: SocketAddr, case: &Case, upstream: &Upstream) -> Outcome {
    let before = upstream.heard().len();
    let mut visitor = Raw::connect(address).await;
    visitor.send(&case.bytes).await;
    let answered = tokio::time::timeout(Duration::from_millis(500), visitor.head_or_end()).await;
    let answer = if let Ok(answer) = answered {
        answer
    } else {
        visitor.finish().await;
        visitor.head_or_end().await
    };
    Outcome { status: raw::status(&answer), requests: upstream.heard().len() - before }
}

#[tokio::test]
async fn all_fifty_cases_are_answered_as_expected_and_other_proxies_are_reported() {
    let (upstream, heads) = backend().await;
    let stack = stack(&upstream).await;
    let battery = cases(stack.gateway.host());
    let refusals = battery
        .iter()
        .filter(|case| matches!(case.expected, Expected::Refused(_) | Expected::Broken | Expected::NoTunnel));
    assert_eq!((refusals.count(), battery.len()), (42, 50));

    let mut wrong = Vec::new();
    // Cases whose head may reach the backend come last: it may arrive after the client has its answer.
    let (late, soon): (Vec<_>, Vec<_>) = battery.iter().partition(|case| case.expected == Expected::Broken);
    for case in soon.into_iter().chain(late) {
        let (before, heads_before) = (upstream.heard().len(), heads.load(Relaxed));
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        visitor.send(&case.bytes).await;
        // A refusal closes the connection; of an accepted request only the answer's head is read.
        let answer = match case.expected {
            Expected::Refused(_) | Expected::Broken | Expected::NoTunnel => visitor.rest().await,
            Expected::Taken | Expected::Local | Expected::TakenOr417 => visitor.head().await,
        };
        let status = raw::status(&answer);
        let outcome = Outcome { status, requests: upstream.heard().len() - before };
        let as_the_row_says = match case.expected {
            Expected::Refused(wanted) => status == wanted && heads.load(Relaxed) == heads_before,
            Expected::Broken => status == 400,
            Expected::NoTunnel => status == 405 && heads.load(Relaxed) == heads_before,
            Expected::Local => outcome.requests == 0,
            Expected::Taken | Expected::TakenOr417 => true,
        };
        report(&format!("{:?} | {} | {status}", case.expected, case.name));
        if !outcome.fits(case.expected) || !as_the_row_says || answer.matches("HTTP/1.1 ").count() != 1 {
            wrong.push(format!("{}: {answer:?}, {} at the backend", case.name, outcome.requests));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    let mut figures = vec![format!("vestibule {}/{}", battery.len() - wrong.len(), battery.len())];
    for product in Product::ALL {
        let (upstream, _) = backend().await;
        let name = product.name();
        let Some(proxy) = product.start(upstream.target().trim_start_matches("http://")).await else {
            not_installed(name);
            continue;
        };
        let battery = cases(&proxy.address().to_string());
        let mut fitting = 0;
        for case in &battery {
            let outcome = tried(proxy.address(), case, &upstream).await;
            let fits = outcome.fits(case.expected);
            fitting += usize::from(fits);
            if !fits {
                report(&format!("{name}: {}: {}, {} at the backend", case.name, outcome.status, outcome.requests));
            }
        }
        figures.push(format!("{name} {fitting}/{}", battery.len()));
        assert!(!upstream.heard().is_empty(), "{name} forwards");
    }
    report(&format!("battery: {}", figures.join(", ")));
}

#[tokio::test]
async fn an_accepted_request_arrives_in_canonical_form() {
    let (upstream, _) = backend().await;
    let stack = stack(&upstream).await;
    let host = stack.gateway.host();
    for case in cases(host).iter().filter(|case| matches!(case.expected, Expected::Taken)) {
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        visitor.send(&case.bytes).await;
        assert_eq!(raw::status(&visitor.head().await), 200, "{}", case.name);
        let heard = upstream.last();
        assert_eq!(heard.line(), "GET /x HTTP/1.1", "{}", case.name);
        assert_eq!(heard.header("x-forwarded-host"), Some(host), "{}", case.name);
        assert_eq!(heard.all("host").len(), 1, "{}", case.name);
        assert_eq!((heard.header("under_score"), heard.header("upgrade")), (None, None), "{}", case.name);
        match case.name {
            "GET with a body" => assert_eq!(
                (heard.header("transfer-encoding"), &*heard.body),
                (Some("chunked"), &b"2\r\nab\r\n0\r\n\r\n"[..])
            ),
            "Upgrade with a body" => {
                assert_eq!((heard.header("content-length"), &*heard.body), (Some("5"), &b"hello"[..]));
            }
            _ => assert_eq!((heard.header("content-length"), &*heard.body), (None, &b""[..]), "{}", case.name),
        }
    }
}

/// Faults of a chunked body beyond the battery's.
#[tokio::test]
async fn a_chunked_body_with_a_fault_is_400_and_never_whole_at_the_upstream() {
    let (upstream, _) = backend().await;
    let stack = stack(&upstream).await;
    let host = stack.gateway.host();
    let cookies = stack.logged_in("mina").await.cookie_header();
    stack.backend.forget_recorded();
    let extension = format!("2;a={}\r\nab\r\n0\r\n\r\n", "y".repeat(17 * 1024));
    for body in [
        "2\t\r\nab\r\n0\r\n\r\n",
        "2\r\nab\r\n0 \r\n\r\n",
        "\r\n2\r\nab\r\n0\r\n\r\n",
        " 2\r\nab\r\n0\r\n\r\n",
        "+2\r\nab\r\n0\r\n\r\n",
        "2_0\r\nab\r\n0\r\n\r\n",
        ";a\r\nab\r\n0\r\n\r\n",
        "2;a\nb\r\nab\r\n0\r\n\r\n",
        "2;a=\"b\r\nab\r\n0\r\n\r\n",
        "2\rX\r\nab\r\n0\r\n\r\n",
        "2\r\nabc\r\n0\r\n\r\n",
        "2\r\nab\r0\r\n\r\n",
        "2\r\nab\r\n0\n\r\n",
        "2\r\nab\r\n0\r\n\n",
        "2\r\nab\r\n0\r\nx: y\nz: w\r\n\r\n",
        "2\r\nab\r\n0\r\nx: y\r\n folded\r\n\r\n",
        "2\r\nab\r\n0\r\n folded: y\r\n\r\n",
        "2\r\nab\r\n0\r\nx : y\r\n\r\n",
        "2\r\nab\r\n0\r\n: y\r\n\r\n",
        "2\r\nab\r\n0\r\nx: a\0b\r\n\r\n",
        "2\r\nab\r\n0\r\nx: a\rb\r\n\r\n",
        "2\r\nab\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n",
        "2\r\nab\r\n00000000000000000000000000000000g\r\n\r\n",
        &extension,
    ] {
        // A public route, a route whose bodies are stored for a retry, and one of the gateway's own endpoints.
        for (path, cookies) in [("/x", ""), ("/api/x", &*cookies), ("/auth/login", "")] {
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookies}\r\ntransfer-encoding: chunked");
            let request = format!("{head}\r\n\r\n{body}GET /smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n");
            let answer = Raw::exchange(stack.gateway.address(), request).await;
            assert_eq!(raw::status(&answer), 400, "{path} {body:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{path} {body:?}: {answer}");
        }
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    assert!(stack.backend.recorded().is_empty(), "{:?}", stack.backend.recorded());
}

#[tokio::test]
async fn a_body_that_ends_early_is_never_whole_at_the_upstream() {
    let (upstream, _) = backend().await;
    let stack = stack(&upstream).await;
    let host = stack.gateway.host();
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
    for (framing, body) in [
        ("content-length: 10", "half"),
        ("content-length: 10", ""),
        ("transfer-encoding: chunked", "4\r\nhalf\r\n"),
        ("transfer-encoding: chunked", "4\r\nhalf\r\n0\r\n"),
        ("transfer-encoding: chunked", ""),
    ] {
        for lines in [framing.to_owned(), format!("{upgrade}{framing}")] {
            let mut visitor = Raw::connect(stack.gateway.address()).await;
            visitor.send(format!("GET /x HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n\r\n{body}")).await;
            visitor.finish().await;
            let answer = visitor.rest().await;
            assert!(matches!(raw::status(&answer), 0 | 400), "{lines} {body:?}: {answer}");
        }
    }
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    visitor.send(format!("GET /x HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
    assert_eq!(raw::status(&visitor.head().await), 200);
    assert_eq!(upstream.heard().len(), 1, "{:?}", upstream.heard());
}

#[tokio::test]
async fn bytes_behind_the_last_chunk_are_the_next_request() {
    let (upstream, _) = backend().await;
    let stack = stack(&upstream).await;
    let host = stack.gateway.host();
    let first = format!("POST /x HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    for (behind, status) in
        [(format!("GET /y HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"), 200), ("x\r\n\r\n".into(), 400)]
    {
        let answer = Raw::exchange(stack.gateway.address(), format!("{first}{behind}")).await;
        let statuses: Vec<_> = answer.match_indices("HTTP/1.1 ").map(|(at, _)| raw::status(&answer[at..])).collect();
        assert_eq!(statuses, [200, status], "{answer}");
    }
    assert_eq!(upstream.heard().len(), 3);
}

/// Numbers that are the same in every run.
struct Seeded(u64);

impl Seeded {
    fn pick<'l>(&mut self, list: &[&'l str]) -> &'l str {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list[usize::try_from(self.0 >> 33).unwrap() % list.len()]
    }
}

/// The unit test is `handle::tests::the_decision_before_a_rewrite_is_the_decision_after_it`; this test looks at the
/// bytes.
#[tokio::test]
async fn the_path_that_was_checked_is_the_path_that_arrives_with_a_prefix_stripped_or_not() {
    let (plain, stripped) = (Upstream::saying("plain").await, Upstream::saying("stripped").await);
    let stack = TestStack::with(&format!(
        "upstreams.p = {{ targets = [\"{}\"] }}\nupstreams.s = {{ targets = [\"{}\"] }}\n\
         [[routes]]\npath = \"/{{*rest}}\"\nupstream = \"p\"\naccess = \"public\"\n\
         [[routes]]\npath = \"/s/{{*rest}}\"\nupstream = \"s\"\naccess = \"public\"\nstrip = \"/s\"\n",
        plain.target(),
        stripped.target()
    ))
    .await;
    let host = stack.gateway.host();
    let mut seeded = Seeded(7);
    let mut counts = [0, 0, 0];
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    for _ in 0..3000 {
        let mut path = String::new();
        for _ in 0..seeded.pick(&["1", "22", "333", "4444"]).len() {
            path.push('/');
            path += seeded.pick(&[
                "s",
                "s",
                "%73",
                "a",
                "%61%2d",
                "..",
                ".",
                "%ea%b0%80",
                "x;y",
                "",
                "~!$&'()*+,=:@",
                "%2e",
                "%2f",
                "100%25",
                "%",
                "S",
                "...",
                "%3b",
            ]);
        }
        let query = seeded.pick(&["", "", "?", "?a=/../b&c=%2f%", "??/s/"]);
        visitor.send(format!("GET {path}{query} HTTP/1.1\r\nhost: {host}\r\n\r\n")).await;
        let head = visitor.head().await;
        let before = (plain.heard().len(), stripped.heard().len());
        let Ok(judged) = vestibule::hygiene::canonical_path(&path, vestibule::hygiene::EncodedSlash::Refuse) else {
            assert_eq!(raw::status(&head), 400, "{path}");
            visitor = Raw::connect(stack.gateway.address()).await;
            counts[2] += 1;
            continue;
        };
        let length: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let body = String::from_utf8(visitor.exactly(length).await).unwrap();
        let arrived = match &*body {
            "plain" => {
                assert!(judged != "/s" && !judged.starts_with("/s/"), "{path}");
                counts[0] += 1;
                (plain.last().line().to_owned(), format!("GET {judged}{query} HTTP/1.1"))
            }
            "stripped" => {
                let left = judged.strip_prefix("/s").unwrap();
                let root = if left.is_empty() { "/" } else { "" };
                counts[1] += 1;
                (stripped.last().line().to_owned(), format!("GET {root}{left}{query} HTTP/1.1"))
            }
            // A path with two readings could match two routes, so it is refused.
            _ => {
                assert_eq!(
                    (raw::status(&head), plain.heard().len(), stripped.heard().len()),
                    (404, before.0, before.1)
                );
                continue;
            }
        };
        assert_eq!(arrived.0, arrived.1, "{path}{query}");
    }
    assert_eq!((plain.heard().len(), stripped.heard().len()), (counts[0], counts[1]));
    assert!(counts.iter().all(|count| *count > 200), "{counts:?}");
}
