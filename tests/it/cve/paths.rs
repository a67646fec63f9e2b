//! The path that was checked is the path that is forwarded.

use http::Method;
use serde_json::json;

use super::setup::{ask, before, get, is_alive};
use crate::harness::{Raw, Setup, TestStack, Upstream, raw};

/// Checks that the path is refused without a session and with an insufficient one, and that the upstream gets no
/// request.
async fn is_denied(stack: &TestStack, upstream: &Upstream, target: &str) {
    assert_eq!(get(stack, target).await, 401, "{target}");
    let page = ask(stack, &format!("GET {target} HTTP/1.1\r\nsec-fetch-mode: navigate")).await;
    assert_eq!(raw::status(&page), 302, "{target}: {page}");
    let mina = stack.logged_in("mina").await;
    let refused = mina.plain(Method::GET, "/").at_path(target).await;
    assert_eq!(refused.status, 403, "{target}: {refused}");
    assert!(upstream.heard().is_empty(), "{target}: {:?}", upstream.heard());
}

#[tokio::test]
async fn cve_2025_54576_a_query_string_opens_no_path() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    for target in ["/admin?x=/public/", "/admin?/public/a", "/admin/?/../public/a", "/admin/x?#/public"] {
        if target.contains('#') {
            assert_eq!(get(&stack, target).await, 400);
        } else {
            is_denied(&stack, &upstream, target).await;
        }
    }
    is_alive(&stack).await;
}

/// Envoy CVE-2019-9901 too.
#[tokio::test]
async fn cve_2026_33494_rules_run_on_the_normalised_path() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    for target in ["/public/../admin/x", "/public/./../admin", "/public/a/../../admin/", "/./admin/x"] {
        is_denied(&stack, &upstream, target).await;
    }
    // A permitted request arrives with the path that was checked.
    stack.logged_in("jun").await.plain(Method::GET, "/").at_path("/public/../admin/x?y=/../z").await.is(200);
    assert_eq!(upstream.last().line(), "GET /admin/x?y=/../z HTTP/1.1");
}

/// Keycloak CVE-2026-3872 too.
#[tokio::test]
async fn cve_2026_73551_a_parameter_on_a_dot_segment_is_refused() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    for target in [
        "/public/..;/admin",
        "/public/;/../admin",
        "/public/%2e%2e;/admin",
        "/public/..%3b/admin",
        "/public/..;x=1/admin",
    ] {
        let answer = ask(&stack, &format!("GET {target} HTTP/1.1")).await;
        assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
    }
    assert!(upstream.heard().is_empty());
    is_alive(&stack).await;
}

/// Traefik CVE-2025-66490 and CVE-2025-47952 too.
#[tokio::test]
async fn cve_2021_29492_no_escaped_separator_bypasses_a_prefix() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    for escape in [
        "%2f",
        "%2F",
        "%5c",
        "%2e%2e",
        "%252e",
        "%252f",
        "%25252f",
        "%00",
        "\\",
        "%2e%2e%2f",
        "..%2f",
        "..%5c",
        "%c0%af",
        "%u002f",
    ] {
        for target in [
            format!("/public{escape}admin"),
            format!("/public/{escape}admin"),
            format!("/public/{escape}/admin"),
            format!("/public{escape}/admin"),
            format!("/public/x{escape}../admin"),
        ] {
            assert_eq!(get(&stack, &target).await, 400, "{target}");
        }
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    is_alive(&stack).await;
}

#[tokio::test]
async fn ghsa_x732_6j76_qmhm_a_doubled_slash_bypasses_no_limit_of_an_endpoint() {
    let stack = Setup::with_codes().with("limits.failures_per_client = \"2/h\"").start().await;
    let browser = stack.browser();
    let guess = |path: &str| {
        let body = json!({ "phone": "010-1234-5678", "code": "123456" });
        browser.post("/").at_path(path).json(&body)
    };
    for _ in 0..2 {
        guess("/auth/sms/verify").await.is(400).problem("code_wrong");
    }
    guess("/auth/sms/verify").await.is(429);
    for path in [
        "//auth/sms/verify",
        "/auth//sms/verify",
        "/auth/sms//verify",
        "///auth/sms/verify",
        "/auth/sms/verify/",
        "/auth/./sms/verify",
        "/auth/%73ms/verify",
        "/auth;x/sms/verify",
    ] {
        let answer = guess(path).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404 | 429), "{path}: {answer}");
        assert!(!answer.text().contains("code_wrong"), "{path}: {answer}");
    }
}

/// CVE-2026-27588 too.
#[tokio::test]
async fn cve_2026_27587_case_and_host_decide_alike_with_any_number_of_hosts() {
    let upstream = Upstream::saying("b").await;
    let mut decisions = Vec::new();
    for count in [1, 100, 1000] {
        let hosts: Vec<_> = (1..count).map(|n| format!("h{n}.example")).chain(["app.example".to_owned()]).collect();
        let route = format!("[[routes]]\npath = \"/admin\"\nupstream = \"b\"\naccess = \"user\"\nhosts = {hosts:?}");
        let stack = before(&upstream, &route).await;
        let mut seen = Vec::new();
        for host in ["app.example", "APP.EXAMPLE", "App.Example:80", "app.example.evil", "xapp.example"] {
            for path in ["/admin", "/ADMIN", "/%41dmin", "/%61dmin", "/admin/x", "/Admin/"] {
                let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
                seen.push((host, path, raw::status(&Raw::exchange(stack.gateway.address(), request).await)));
            }
        }
        decisions.push(seen);
    }
    assert!(decisions.iter().all(|seen| *seen == decisions[0]), "{decisions:?}");
    for (host, path, status) in &decisions[0] {
        let is_ours = ["app.example", "app.example:80"].contains(&&*host.to_lowercase());
        let wanted = match *path {
            _ if !is_ours => 421,
            "/admin" | "/%61dmin" | "/admin/x" => 401,
            _ => 404,
        };
        assert_eq!(*status, wanted, "{host} {path}");
    }
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn ghsa_68wm_pfjf_wqp6_a_thousand_malformed_targets_are_refused() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    let host = stack.gateway.host();
    let broken: [&[u8]; 14] = [
        b"%g",
        b"%2g",
        b"%zz",
        b"%%41",
        b" ",
        b"\t",
        b"\0",
        b"\x7f",
        b"\xff",
        b"\xc3\xa9",
        b"\"",
        b"<x>",
        b"{a}",
        b"`",
    ];
    for n in 0..1000 {
        // Inserted into an open path, at a different position each time.
        let mut target = format!("/public/{}/x{}", "a".repeat(n % 37), n % 11).into_bytes();
        let place = 1 + n * 7 % (target.len() - 1);
        let piece = if n % 100 == 0 { "a".repeat(20 * 1024).into_bytes() } else { broken[n % broken.len()].to_vec() };
        target.splice(place..place, piece);
        let mut visitor = Raw::connect(stack.gateway.address()).await;
        visitor.send([b"GET ", &target[..], b" HTTP/1.1\r\nhost: ", host.as_bytes(), b"\r\n\r\n"].concat()).await;
        let answer = visitor.rest().await;
        let wanted = if n % 100 == 0 { 414 } else { 400 };
        assert_eq!(raw::status(&answer), wanted, "{}: {answer}", String::from_utf8_lossy(&target));
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    // 64 KiB are over the limit of a whole head.
    let head = format!("GET /public/{} HTTP/1.1", "a".repeat(64 * 1024));
    assert!(matches!(raw::status(&ask(&stack, &head).await), 414 | 431));
    assert!(upstream.heard().is_empty());
    is_alive(&stack).await;
}

#[tokio::test]
async fn cve_2025_29927_an_internal_header_opens_nothing_and_goes_no_further() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    let internal = [
        "x-middleware-subrequest: middleware:middleware:middleware:middleware:middleware",
        "X-Middleware-Subrequest: src/middleware",
        "x-auth-status: valid",
        "x-auth-request-user: jun",
        "x-auth-request-access-token: forged",
        "x-user-role: admin",
        "x-forwarded-user: jun",
        "remote-user: jun",
        "remote-groups: admin",
        "vestibule-assertion: forged",
        "vestibule-session: forged",
    ];
    for line in internal {
        assert_eq!(raw::status(&ask(&stack, &format!("GET /admin HTTP/1.1\r\n{line}")).await), 401, "{line}");
    }
    assert!(upstream.heard().is_empty());
    assert_eq!(raw::status(&ask(&stack, &format!("GET /public/x HTTP/1.1\r\n{}", internal.join("\r\n"))).await), 200);
    let heard = upstream.last();
    for line in internal {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(heard.header(name), None);
        assert!(
            !heard.head.contains(value) || value == "valid" || value == "jun" || value == "admin",
            "{}",
            heard.head
        );
    }
}

/// CVE-2026-44575 and CVE-2026-45109 too.
#[tokio::test]
async fn cve_2026_44574_another_representation_of_a_page_is_closed_by_default() {
    let upstream = Upstream::saying("b").await;
    let targets = [
        "/admin.json",
        "/admin.rsc",
        "/admin/",
        "/_next/data/x/admin.json",
        "/admin.txt?_rsc=1",
        "/admin;.json",
        "/admin/.rsc",
        "/en/admin",
    ];
    for (more, closed) in [("", 404), ("[[routes]]\npath = \"/{*rest}\"\nupstream = \"b\"\naccess = \"user\"", 401)] {
        let stack = before(&upstream, more).await;
        for target in targets {
            let wanted = if target.starts_with("/admin/") { 401 } else { closed };
            assert_eq!(get(&stack, target).await, wanted, "{target}");
        }
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
}

/// The open issue 649 of the same project too.
#[tokio::test]
async fn cve_2026_34457_no_user_agent_opens_a_route() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "server.admin_listen = \"127.0.0.1:0\"").await;
    for line in [
        "user-agent: GoogleHC/1.0",
        "user-agent: kube-probe/1.29",
        "user-agent: ELB-HealthChecker/2.0",
        "user-agent:",
        "accept: */*",
    ] {
        for path in ["/admin", "/app", "/admin/healthz", "/app/ping"] {
            assert_eq!(
                raw::status(&ask(&stack, &format!("GET {path} HTTP/1.1\r\n{line}")).await),
                401,
                "{line} {path}"
            );
        }
        for path in ["/livez", "/readyz", "/metrics", "/ping", "/healthz"] {
            assert_eq!(
                raw::status(&ask(&stack, &format!("GET {path} HTTP/1.1\r\n{line}")).await),
                404,
                "{line} {path}"
            );
        }
    }
    let health = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(raw::status(&Raw::exchange(stack.gateway.admin(), health).await), 200);
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn cve_2026_33186_a_path_without_its_slash_is_refused() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream, "").await;
    for target in ["admin", "public/x", "admin/x", "?x", "x:y"] {
        assert_eq!(get(&stack, target).await, 400, "{target}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    is_alive(&stack).await;
}

/// August 2026, without a number: the shortcuts for preflights, keys and callbacks.
#[tokio::test]
async fn mod_auth_openidc_of_august_2026_preflights_carry_no_identity() {
    let upstream = Upstream::saying("b").await;
    let cors = "cors = { origins = [\"https://partner.example\"], credentials = true }";
    let more = format!(
        "[[routes]]\npath = \"/admin\"\nupstream = \"b\"\naccess = {{ roles = [\"admin\"] }}\n{cors}\n\
         [[routes]]\npath = \"/public/api\"\nupstream = \"b\"\naccess = \"public\"\n{cors}"
    );
    let stack = before(&upstream, &more).await;
    let preflight = |path: &str, origin: &str| {
        format!(
            "OPTIONS {path} HTTP/1.1\r\norigin: {origin}\r\naccess-control-request-method: PUT\r\nx-user: root\r\nX_User: root\r\nremote-user: root\r\nx-auth-user: root"
        )
    };
    let answer = ask(&stack, &preflight("/admin", "https://partner.example")).await.to_lowercase();
    assert_eq!(raw::status(&answer), 204, "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://partner.example\r\n"), "{answer}");
    let foreign = ask(&stack, &preflight("/admin", "https://evil.example")).await.to_lowercase();
    assert!(raw::status(&foreign) == 403 && !foreign.contains("evil"), "{foreign}");
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    // Without the headers of a preflight it is an ordinary request.
    assert_eq!(raw::status(&ask(&stack, "OPTIONS /admin HTTP/1.1\r\nx-user: root").await), 401);
    // On an open route the upstream answers preflights itself.
    ask(&stack, &preflight("/public/api", "https://partner.example")).await;
    for shortcut in ["/auth/callback/demo", "/.well-known/jwks.json", "/auth/session"] {
        ask(&stack, &format!("GET {shortcut} HTTP/1.1\r\nx-user: root")).await;
    }
    assert_eq!(upstream.heard().len(), 1);
    assert!(!upstream.last().head.contains("root"), "{}", upstream.last().head);
}
