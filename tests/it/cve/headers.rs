//! Forged headers that claim an identity or a client address.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};
use vestibule::demo::backend::EMAIL;

use super::setup::{ask, before, is_alive};
use crate::harness::{Process, Raw, Setup, TestStack, Upstream, free_port, raw};

/// The harness is the load balancer, so that a test can set the client's address.
const BEHIND: &str = "server.trusted_proxies = [\"127.0.0.1\"]\n";

/// Its open issue 3506 too: by default no proxy is trusted.
#[tokio::test]
async fn cve_2026_40575_x_forwarded_uri_decides_nothing() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    let lines = [
        "x-forwarded-uri: /public/",
        "X-Forwarded-Uri: /public/x",
        "x-original-url: /public/",
        "x-rewrite-url: /public/",
        "x-original-uri: /public/",
        "x-forwarded-path: /public/",
        "x-forwarded-prefix: /public",
        "x-forwarded-method: OPTIONS",
        "x-http-method-override: OPTIONS",
    ];
    for line in lines {
        assert_eq!(raw::status(&ask(&stack, &format!("GET /admin HTTP/1.1\r\n{line}")).await), 401, "{line}");
    }
    assert!(upstream.heard().is_empty());
    let all = format!("GET /public/x HTTP/1.1\r\nx-forwarded-for: 192.0.2.1\r\n{}", lines.join("\r\n"));
    assert_eq!(raw::status(&ask(&stack, &all).await), 200);
    let heard = upstream.last();
    assert_eq!(heard.header("x-forwarded-for"), Some("127.0.0.1"), "nobody is trusted unasked");
    for name in ["x-forwarded-uri", "x-original-url", "x-rewrite-url", "x-forwarded-path", "x-forwarded-prefix"] {
        assert_eq!(heard.header(name), None);
    }
}

/// The parts of an answer that must not depend on the scheme that an untrusted client sends.
fn fixed(answer: &str) -> (u16, Vec<String>, Vec<String>) {
    let fields = |name: &'static str| {
        answer
            .lines()
            .filter_map(move |line| line.split_once(": "))
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
    };
    let flags = fields("set-cookie").map(|(_, cookie)| {
        let (name, attributes) =
            (cookie.split('=').next().unwrap(), cookie.split_once(';').map_or("", |(_, rest)| rest));
        // A login's cookie has a number in its name.
        let name = name.split_inclusive("sb_tx").next().unwrap();
        format!("{name};{attributes}")
    });
    let locations = fields("location").map(|(_, location)| {
        let url = url::Url::options().base_url(Some(&"http://base.example".parse().unwrap())).parse(location).unwrap();
        let redirect = url.query_pairs().find(|(name, _)| name == "redirect_uri").map(|(_, value)| value.into_owned());
        format!("{:?}{} {redirect:?}", url.origin(), url.path())
    });
    (raw::status(answer), flags.collect(), locations.collect())
}

/// Traefik CVE-2026-54764 too.
#[tokio::test]
async fn cve_2026_33495_the_scheme_that_an_untrusted_client_sends_is_ignored() {
    let upstream = Upstream::saying("b").await;
    for base in ["http://127.0.0.1", "https://app.example.test"] {
        let stack = Setup::new()
            .known_as(base)
            .with("session.keys = [\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\"]")
            .with(&format!("upstreams.b = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/admin\"\nupstream = \"b\"\naccess = \"user\"", upstream.target()))
            .start()
            .await;
        for head in [
            "GET /admin HTTP/1.1",
            "GET /admin HTTP/1.1\r\nsec-fetch-mode: navigate",
            "GET /auth/login/demo?return_to=/x HTTP/1.1\r\nsec-fetch-mode: navigate",
            "GET /auth/login HTTP/1.1\r\nsec-fetch-mode: navigate",
            "POST /auth/logout HTTP/1.1\r\ncontent-length: 0",
        ] {
            let plain = fixed(&ask(&stack, head).await);
            assert!((200..500).contains(&plain.0));
            for proto in ["http", "https", "wss", "junk", "https, http", ""] {
                for name in [
                    "x-forwarded-proto",
                    "x-forwarded-scheme",
                    "x-forwarded-ssl",
                    "x-forwarded-port",
                    "x-forwarded-server",
                    "front-end-https",
                ] {
                    let told =
                        fixed(&ask(&stack, &format!("{head}\r\n{name}: {proto}\r\nforwarded: proto={proto}")).await);
                    assert_eq!(told, plain, "{base} {head} {name}: {proto}");
                }
            }
        }
    }
    assert!(upstream.heard().is_empty());
}

/// CVE-2026-39858 and CVE-2024-52003 too.
#[tokio::test]
async fn cve_2026_35051_no_spelling_of_a_forwarding_header_passes() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    let names = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Uri",
        "X-Forwarded-Method",
        "X-Forwarded-Server",
        "X-Forwarded-User",
        "X-Forwarded-Tls-Client-Cert",
        "X-Forwarded",
        "Forwarded",
        "X-Real-Ip",
    ];
    let mut head = "GET /public/x HTTP/1.1".to_owned();
    for name in names {
        for spelling in [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")] {
            write!(head, "\r\n{spelling}: forged").unwrap();
        }
    }
    assert_eq!(raw::status(&ask(&stack, &head).await), 200);
    let heard = upstream.last();
    let mut seen = BTreeMap::new();
    for (name, value) in heard.head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        let plain = name.to_lowercase().replace(['_', '.'], "-");
        if plain.contains("forwarded") || plain == "x-real-ip" {
            assert_eq!(seen.insert(plain, value.to_owned()), None, "{name} came twice");
        }
    }
    let host = stack.gateway.host();
    let wanted = [
        ("forwarded", "for=127.0.0.1;proto=http"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", host),
        ("x-forwarded-proto", "http"),
        ("x-real-ip", "127.0.0.1"),
    ];
    assert_eq!(seen, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(!heard.head.contains("forged"), "{}", heard.head);
}

#[tokio::test]
async fn cve_2026_30851_a_visitors_header_does_not_replace_an_absent_claim() {
    let upstream = Upstream::saying("b").await;
    let more = "[[routes]]\npath = \"/named\"\nupstream = \"b\"\naccess = \"user\"\n\
                headers = { set = { x-user-name = \"{claims.nickname}\", x-person = \"{claims.nickname}\", x-subject = \"{claims.sub}\" } }";
    let stack = before(&upstream, more).await;
    let mina = stack.logged_in("mina").await;
    let mut ask = mina.fetch("/named");
    for name in ["x-user-name", "x-person", "x-subject", "x_person", "x.person", "x_subject"] {
        ask = ask.header(name, "root");
    }
    ask.await.is(200);
    let heard = upstream.last();
    assert_eq!((heard.header("x-user-name"), heard.header("x-person")), (None, None));
    assert_eq!(heard.header("x-subject"), Some("demo-mina"));
    assert!(!heard.head.contains("root"), "{}", heard.head);
    // A header that one route sets is removed from requests to all routes.
    mina.fetch("/app/x").header("x-person", "root").await.is(200);
    assert!(!upstream.last().head.contains("root"));
}

/// CVE-2024-45806 too.
#[tokio::test]
async fn cve_2023_27487_headers_of_inner_hops_are_not_accepted_from_visitors() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nx-auth-status: forged\r\nx-request-id: forged\r\nset-cookie: sb_at=forged\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let stack = before(&upstream, "").await;
    let names = [
        "x-auth-status",
        "x-auth-user",
        "x-auth-request-email",
        "x-user-id",
        "x-request-id",
        "remote-user",
        "vestibule-assertion",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "forwarded",
        "x-real-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-middleware-subrequest",
    ];
    let head = names.iter().fold("GET /public/x HTTP/1.1".to_owned(), |head, name| format!("{head}\r\n{name}: forged"));
    let answer = ask(&stack, &head).await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
    assert!(!answer.contains("forged"), "nor from an upstream: {answer}");
    let heard = upstream.last();
    assert!(!heard.head.contains("forged"), "{}", heard.head);
    let id = heard.header("x-request-id").expect("a number of our own");
    assert!(answer.contains(id), "{answer}");
    // A visitor cannot remove the gateway's headers.
    let connection = format!("GET /public/x HTTP/1.1\r\nconnection: {}", names.join(", "));
    assert_eq!(raw::status(&ask(&stack, &connection).await), 200);
    for name in ["x-request-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "x-real-ip"] {
        assert!(upstream.last().header(name).is_some(), "{name}");
    }
}

/// Zitadel GHSA-93m4-mfpg-c3xf, caddy-security CVE-2024-21494 and CVE-2024-21499 too.
#[tokio::test]
async fn cve_2025_64101_links_and_redirects_have_the_configured_origin() {
    let stack = Setup::with_codes().start().await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    let send = |path: &str, host: &str, lines: &str, body: &str| {
        let head = format!(
            "{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{lines}content-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        Raw::exchange(address, format!("{head}\r\n\r\n{body}"))
    };
    let mail = json!({ "email": "mina@example.test" }).to_string();
    for evil in ["evil.example", "127.0.0.1.evil.example", "evil.example:80", &format!("{host}.evil.example")] {
        for (path, body) in [
            ("POST /auth/email/send", &*mail),
            ("GET /auth/login/demo", ""),
            ("GET /auth/login", ""),
            ("POST /auth/logout", ""),
        ] {
            let answer = send(path, evil, "", body).await;
            assert!(matches!(raw::status(&answer), 400 | 421), "{path} {evil}: {answer}");
            assert!(!answer.contains("evil"), "{answer}");
        }
    }
    assert!(stack.backend.messages().is_empty());

    let forged = "x-forwarded-host: evil.example\r\nforwarded: host=evil.example;proto=https\r\nx-forwarded-server: evil.example\r\nx-host: evil.example\r\nx-original-host: evil.example\r\n";
    let login = send("GET /auth/login/demo", host, &format!("{forged}sec-fetch-mode: navigate\r\n"), "").await;
    let location = login.lines().find_map(|line| line.strip_prefix("location: ")).expect("a redirect");
    let location: url::Url = location.parse().unwrap();
    let (_, redirect) = location.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    assert_eq!(redirect, format!("http://{host}/auth/callback/demo"));
    assert!(!login.contains("evil"), "{login}");

    let sent = send("POST /auth/email/send", host, forged, &mail).await;
    assert_eq!(raw::status(&sent), 200, "{sent}");
    let letters = format!("{:?}", stack.backend.messages());
    assert!(!letters.contains("evil") && letters.contains("mina@example.test"), "{letters}");
}

/// Envoy CVE-2024-45808 too; that no secret is logged at trace level is
/// `logs::a_whole_run_at_the_highest_level_writes_no_secret`.
#[tokio::test]
async fn cve_2022_23469_a_request_is_one_line_of_the_log() {
    let stack = TestStack::start().await;
    let port = free_port();
    let mut process = Process::run(&stack.file(port, "telemetry.log.level = \"trace\"")).await;
    let address = ([127, 0, 0, 1], port).into();
    let heads = [
        "GET /marker-a%0aforged HTTP/1.1",
        "GET /marker-b%0d%0a%7B%22forged%22%3A1%7D HTTP/1.1",
        "GET /marker-c?x=%0aforged HTTP/1.1",
        "GET /marker-d HTTP/1.1\r\nuser-agent: x%0aforged\\nforged\"}",
        "GET /marker-e%22%7D HTTP/1.1\r\nuser-agent: \u{85}\u{2028}forged",
        "GET /marker-f HTTP/1.1\r\nuser-agent: a\tb\\u000aforged",
    ];
    for head in heads {
        Raw::exchange(address, format!("{head}\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")).await;
    }
    process.signal("TERM");
    process.ended().await;
    let output = process.output();
    let lines: Vec<&str> = output.lines().filter(|line| line.contains("marker-") || line.contains("forged")).collect();
    for letter in ["a", "b", "c", "d", "e", "f"] {
        let marker = format!("marker-{letter}");
        let access = lines.iter().filter(|line| line.contains(&marker) && line.contains("\"duration")).count();
        assert_eq!(access, 1, "{marker}:\n{}", lines.join("\n"));
    }
    for line in &lines {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed.get("forged").is_none(), "{line}");
    }
}

fn guess(stack: &TestStack, client: &str) -> crate::harness::BrowserRequest {
    let body = json!({ "email": EMAIL, "password": "wrong" });
    stack.browser().post("/auth/login").header("x-forwarded-for", client).json(&body)
}

#[tokio::test]
async fn cve_2026_45364_a_subscribers_addresses_are_one_client_however_they_are_written() {
    let stack = TestStack::with(&format!(
        "{BEHIND}limits = {{ failures_per_client = \"6/h\", failures_per_account = \"100000/h\" }}"
    ))
    .await;
    for spelling in
        ["2001:db8::1", "2001:DB8::1", "2001:db8:0:0:0:0:0:1", "2001:0db8::0001", "[2001:db8::1]", "[2001:db8::1]:4711"]
    {
        guess(&stack, spelling).await.is(401);
    }
    guess(&stack, "2001:db8::1").await.is(429);
    let asked = stack.backend.recorded_at("/auth/login").len();
    assert_eq!(asked, 6);

    // A thousand addresses, ten tries from each.
    let body = json!({ "email": EMAIL, "password": "wrong" }).to_string();
    let host = stack.gateway.host();
    let mut visitor = Raw::connect(stack.gateway.address()).await;
    let mut refused = 0;
    for block in 0..100_u32 {
        let mut batch = String::new();
        for n in 0..100_u32 {
            let client = format!("2001:db8::{:x}:{:x}:{n:x}:{block:x}", block * 577 % 65_536, n * 7919 % 65_536);
            write!(
                batch,
                "POST /auth/login HTTP/1.1\r\nhost: {host}\r\nx-forwarded-for: {client}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
        visitor.send(batch).await;
        for _ in 0..100 {
            let head = visitor.head().await;
            refused += usize::from(raw::status(&head) == 429);
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            visitor.exactly(length.parse().unwrap()).await;
        }
    }
    assert_eq!(refused, 10_000);
    assert_eq!(stack.backend.recorded_at("/auth/login").len(), asked);
    guess(&stack, "2001:db8:0:1::1").await.is(401);
}

#[tokio::test]
async fn ghsa_7jmw_8259_q9jx_an_address_mapped_into_ipv6_is_that_address() {
    let upstream = Upstream::saying("b").await;
    for trusted in ["\"127.0.0.1\", \"10.0.0.0/8\"", "\"::ffff:127.0.0.1\", \"::ffff:10.0.0.0/104\""] {
        let more = format!("server.trusted_proxies = [{trusted}]\nlimits.failures_per_client = \"2/h\"");
        let stack = before(&upstream, &more).await;
        for chain in [
            "203.0.113.9, 10.0.0.1",
            "203.0.113.9, ::ffff:10.0.0.1",
            "::ffff:203.0.113.9, [::ffff:10.0.0.1]",
            "6.6.6.6, ::ffff:cb00:7109, ::ffff:a00:1",
        ] {
            let answer = ask(&stack, &format!("GET /public/x HTTP/1.1\r\nx-forwarded-for: {chain}")).await;
            assert_eq!(raw::status(&answer), 200);
            assert_eq!(upstream.last().header("x-real-ip"), Some("203.0.113.9"), "{trusted} {chain}");
        }
        guess(&stack, "198.51.100.7").await.is(401);
        guess(&stack, "::ffff:198.51.100.7").await.is(401);
        guess(&stack, "::ffff:c633:6407").await.is(429);
        guess(&stack, "198.51.100.7").await.is(429);
        is_alive(&stack).await;
    }
}
