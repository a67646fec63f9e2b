//! What a trusted proxy in front of the gateway reports: the visitor's host, the request's id and its trace.

use serde_json::Value;
use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{Process, Raw, Setup, TestStack, Upstream, raw};

const ROUTES: &str = "[[routes]]\npath = \"/x/{*rest}\"\nupstream = \"x\"\naccess = \"public\"\n[[routes]]\npath = \"/r/{*rest}\"\nhosts = [\"route.example\"]\nupstream = \"x\"\naccess = \"public\"\n";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn toml(upstream: &Upstream, server: &str) -> String {
    format!("upstreams.x = {{ targets = [\"{}\"] }}\n[server]\n{server}\n{ROUTES}", upstream.target())
}

/// A gateway on loopback that also answers to `origin.internal` and `other.example`.
async fn site(upstream: &Upstream, server: &str) -> TestStack {
    let server = format!("hosts = [\"origin.internal\", \"other.example\"]\n{server}");
    Setup::new().with(&toml(upstream, &server)).start().await
}

async fn ask(stack: &TestStack, target: &str, lines: &str) -> String {
    let request = format!("GET {target} HTTP/1.1\r\n{lines}\r\nconnection: close\r\n\r\n");
    Raw::exchange(stack.gateway.address(), request).await
}

#[tokio::test]
async fn a_host_that_only_a_proxy_uses_is_replaced_by_the_one_that_a_trusted_proxy_reports() {
    let upstream = Upstream::saying("ok").await;
    let stack = site(&upstream, "trusted_proxies = [\"127.0.0.1\"]").await;
    let own = stack.gateway.host();
    for (host, reported, arrived) in [
        ("origin.internal", "other.example", "other.example"),
        ("origin.internal", own, own),
        ("origin.internal", "route.example", "route.example"),
        ("unlisted.internal", own, own),
        (own, "other.example", own),
        ("route.example", "other.example", "route.example"),
        ("origin.internal", "evil.example", "origin.internal"),
        ("origin.internal", "a b", "origin.internal"),
    ] {
        let answer = ask(&stack, "/x/", &format!("host: {host}\r\nx-forwarded-host: {reported}")).await;
        assert_eq!(raw::status(&answer), 200, "{host} {reported}: {answer}");
        let heard = upstream.last();
        assert_eq!((heard.header("host"), heard.header("x-forwarded-host")), (Some(arrived), Some(arrived)));
    }
    for (lines, status) in [
        ("host: unlisted.internal", 421),
        ("host: unlisted.internal\r\nx-forwarded-host: evil.example", 421),
        ("host: unlisted.internal\r\nx-forwarded-host: other.example, other.example", 421),
        ("host: unlisted.internal\r\nx-forwarded-host: other.example\r\nx-forwarded-host: other.example", 421),
        ("host: unlisted.internal\r\nx-forwarded-host: other.example\r\nforwarded: host=route.example", 421),
        (
            "host: unlisted.internal\r\nx-forwarded-host: other.example\r\nforwarded: for=1.2.3.4;host=other.example",
            200,
        ),
        ("host: unlisted.internal\r\nx-forwarded-host: other.example\r\nforwarded: host=\"other.example", 421),
        ("host: unlisted.internal\r\nx-forwarded-host: other.example\r\nforwarded: other.example", 421),
        ("host: unlisted.internal\r\nforwarded: host=other.example", 421),
        ("host: unlisted.internal\r\nhost: origin.internal\r\nx-forwarded-host: other.example", 400),
        ("host: un listed\r\nx-forwarded-host: other.example", 400),
    ] {
        let answer = ask(&stack, "/x/", lines).await;
        assert_eq!(raw::status(&answer), status, "{lines}: {answer}");
    }
    // Routes and the same-site rule go by the visitor's host.
    let answer = ask(&stack, "/r/", "host: origin.internal\r\nx-forwarded-host: route.example").await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
    let answer = ask(&stack, "/r/", "host: origin.internal").await;
    assert_eq!(raw::status(&answer), 404, "{answer}");
}

#[tokio::test]
async fn a_write_is_same_site_by_the_host_that_a_trusted_proxy_reports() {
    let upstream = Upstream::saying("ok").await;
    let stack = site(&upstream, "trusted_proxies = [\"127.0.0.1\"]").await;
    let browser = stack.logged_in("mina").await;
    let own = stack.gateway.host();
    let post = |origin: &str| {
        let cookies = browser.cookie_header();
        format!(
            "POST /api/echo HTTP/1.1\r\nhost: origin.internal\r\nx-forwarded-host: {own}\r\norigin: {origin}\r\n\
             cookie: {cookies}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
    };
    for (origin, status) in [(format!("http://{own}"), 200), ("http://origin.internal".to_owned(), 403)] {
        let answer = Raw::exchange(stack.gateway.address(), post(&origin)).await;
        assert_eq!(raw::status(&answer), status, "{origin}: {answer}");
    }
}

#[tokio::test]
async fn nobody_elses_x_forwarded_host_counts() {
    let upstream = Upstream::saying("ok").await;
    let stack = site(&upstream, "").await;
    let answer = ask(&stack, "/x/", "host: unlisted.internal\r\nx-forwarded-host: other.example").await;
    assert_eq!(raw::status(&answer), 421, "{answer}");
    ask(&stack, "/x/", "host: origin.internal\r\nx-forwarded-host: other.example").await;
    assert_eq!(upstream.last().header("host"), Some("origin.internal"));
}

fn id_of(answer: &str) -> &str {
    answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or_else(|| panic!("no id: {answer}"))
}

#[tokio::test]
async fn the_request_id_of_a_trusted_proxy_is_kept_and_passed_on() {
    let upstream = Upstream::saying("ok").await;
    let stack = site(&upstream, "trusted_proxies = [\"127.0.0.1\"]").await;
    let host = format!("host: {}", stack.gateway.host());
    let longest = "x".repeat(128);
    for id in ["Root=1-67891233-abcdef", "a", &longest] {
        for target in ["/x/", "/nowhere", "/auth/session", "/x/%00"] {
            let answer = ask(&stack, target, &format!("{host}\r\nx-request-id: {id}\r\ntraceparent: {TRACE}")).await;
            assert_eq!(id_of(&answer), id, "{target}");
        }
        let heard = upstream.last();
        assert_eq!((heard.header("x-request-id"), heard.header("traceparent")), (Some(id), Some(TRACE)));
    }
    let too_long = format!("x-request-id: {longest}x");
    for lines in
        ["x-request-id:", "x-request-id: a b", "x-request-id: a\r\nx-request-id: a", "x.request.id: a", &too_long]
    {
        let answer = ask(&stack, "/x/", &format!("{host}\r\n{lines}")).await;
        let id = id_of(&answer);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{lines}: {id}");
        assert_eq!(upstream.last().header("x-request-id"), Some(id));
        assert_eq!(upstream.last().header("x.request.id"), None);
    }
}

#[tokio::test]
async fn a_call_to_a_backend_has_the_id_and_the_trace_of_the_request_that_is_its_cause() {
    let upstream = Upstream::saying("ok").await;
    let credentials = format!(r#"{{"email":"{EMAIL}","password":"{PASSWORD}"}}"#);
    for (server, kept) in [("trusted_proxies = [\"127.0.0.1\"]", true), ("", false)] {
        let stack = site(&upstream, server).await;
        let ask = |path: &str, body: &str, cookies: &str| {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: {}\r\nx-request-id: proxy-1\r\ntraceparent: {TRACE}\r\ncookie: {cookies}\r\n\
                 content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                stack.gateway.host(),
                body.len()
            );
            Raw::exchange(stack.gateway.address(), request)
        };
        let answer = ask("/auth/login", &credentials, "").await;
        assert_eq!(raw::status(&answer), 200, "{answer}");
        let call = stack.backend.recorded_at("/auth/login").pop().unwrap();
        let trace = kept.then_some(TRACE);
        assert_eq!((call.header("x-request-id"), call.header("traceparent")), (Some(id_of(&answer)), trace));
        assert_eq!(id_of(&answer) == "proxy-1", kept);
        // A refresh is of all requests that wait for it.
        let browser = stack.logged_in("mina").await;
        let answer = ask("/auth/refresh", "", &browser.cookie_header()).await;
        assert_eq!(raw::status(&answer), 200, "{answer}");
        let call = stack.backend.recorded_at("/auth/refresh").pop().unwrap();
        assert_eq!((call.header("x-request-id"), call.header("traceparent")), (None, None));
        let answer = ask("/auth/logout", "", &browser.cookie_header()).await;
        let call = stack.backend.recorded_at("/auth/signout").pop().unwrap();
        assert_eq!((call.header("x-request-id"), call.header("traceparent")), (Some(id_of(&answer)), trace));
    }
}

#[tokio::test]
async fn anybody_elses_request_id_is_replaced_and_their_trace_passes() {
    for server in ["", "trusted_proxies = [\"127.0.0.1\"]\nrequest_id = \"own\"", "trusted_proxies = [\"10.0.0.0/8\"]"]
    {
        let upstream = Upstream::saying("ok").await;
        let stack = site(&upstream, server).await;
        let lines = format!("host: {}\r\nx-request-id: mine\r\ntraceparent: {TRACE}", stack.gateway.host());
        let answer = ask(&stack, "/x/", &lines).await;
        let heard = upstream.last();
        assert_ne!(id_of(&answer), "mine");
        assert_eq!((heard.header("x-request-id"), heard.header("traceparent")), (Some(id_of(&answer)), Some(TRACE)));
    }
}

#[tokio::test]
async fn the_access_log_has_the_judged_path_the_kept_id_and_the_trace() {
    let upstream = Upstream::saying("ok").await;
    let stack = site(&upstream, "").await;
    let port = crate::harness::free_port();
    let file = stack.file(port, "server.trusted_proxies = [\"127.0.0.1\"]");
    let mut process = Process::run(&file).await;
    for target in ["/x/../x/%61|b?q=/../", "/x/%00"] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-request-id: id-of-a-proxy\r\ntraceparent: {TRACE}\r\nconnection: close\r\n\r\n"
        );
        Raw::exchange(([127, 0, 0, 1], port).into(), request).await;
    }
    process.signal("TERM");
    assert!(process.ended().await.success());
    let log = process.output();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let access: Vec<_> = lines.iter().filter(|line| line["target"] == "access").collect();
    assert_eq!(access[0]["path"], "/x/a%7Cb", "{log}");
    assert_eq!(
        (&access[1]["path"], &access[1]["status"]),
        (&"/x/%00".into(), &400.into()),
        "as received: it was refused"
    );
    for line in access {
        assert_eq!((&line["request_id"], &line["trace_id"]), (&"id-of-a-proxy".into(), &TRACE[3..35].into()));
    }
}
