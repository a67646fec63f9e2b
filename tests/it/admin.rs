//! The admin and health listeners: their pages, and that no other listener has them.

use serde_json::json;

use crate::harness::{Raw, TestStack, raw};

async fn get(address: std::net::SocketAddr, path: &str, more: &str) -> String {
    Raw::exchange(address, format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{more}connection: close\r\n\r\n")).await
}

async fn stack() -> TestStack {
    TestStack::with("server.admin_listen = \"127.0.0.1:0\"\nserver.health_listen = \"127.0.0.1:0\"").await
}

#[tokio::test]
async fn the_admin_listener_has_health_and_metrics_and_the_health_listener_only_health() {
    let stack = stack().await;
    let (admin, health) = (stack.gateway.admin(), stack.gateway.running().health_address().unwrap());
    for address in [admin, health] {
        assert_eq!(raw::status(&get(address, "/livez", "").await), 200);
        let ready = get(address, "/readyz", "").await;
        assert_eq!(raw::status(&ready), 200, "{ready}");
    }
    assert_eq!(raw::status(&get(admin, "/metrics", "").await), 200);
    for path in ["/metrics", "/", "/api/me", "/auth/session"] {
        assert_eq!(raw::status(&get(health, path, "").await), 404, "{path}");
    }
}

#[tokio::test]
async fn readyz_names_a_provider_that_is_down_and_stays_200() {
    let stack = stack().await;
    stack.provider.set_down(true);
    stack.browser().navigate("/auth/login/demo").await.is(503);
    let ready = get(stack.gateway.admin(), "/readyz", "").await;
    assert_eq!(raw::status(&ready), 200);
    assert!(ready.contains("demo") && ready.contains("unreachable"), "{ready}");
}

#[tokio::test]
async fn metrics_count_and_hold_no_secret() {
    let stack = stack().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(200).says("refreshed");
    let metrics = get(stack.gateway.admin(), "/metrics", "").await;
    assert!(metrics.contains("refresh") && metrics.contains("# EOF"), "{metrics}");
    for secret in ["eyJ", "rt.1.", "mina", "sb_at=", &browser.cookie("sb_rt").unwrap()] {
        assert!(!metrics.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_foreign_page_reads_nothing_from_the_admin_listener() {
    let stack = stack().await;
    let admin = stack.gateway.admin();
    let rebound =
        Raw::exchange(admin, "GET /metrics HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert!(
        matches!(raw::status(&rebound), 403 | 421)
            || raw::status(&rebound) == 200 && !rebound.contains("access-control"),
        "{rebound}"
    );
    let foreign = get(admin, "/", "origin: https://evil.example\r\n").await;
    assert_eq!(raw::status(&foreign), 403, "{foreign}");
    assert!(
        !get(admin, "/metrics", "origin: https://evil.example\r\n")
            .await
            .to_lowercase()
            .contains("access-control-allow-origin")
    );
}

/// Also CVE-2026-30852.
#[tokio::test]
async fn cve_2026_27589_a_page_elsewhere_reaches_no_admin_page_and_nothing_of_a_request_is_a_placeholder() {
    let stack = stack().await;
    let admin = stack.gateway.admin();
    // No admin page accepts a write.
    for request in ["POST /load", "PUT /config", "DELETE /metrics", "PATCH /readyz", "POST /stop"] {
        let head = format!("{request} HTTP/1.1\r\nhost: {admin}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let answer = Raw::exchange(admin, head).await;
        assert!(matches!(raw::status(&answer), 404 | 405), "{answer}");
    }
    // Neither a foreign host name (DNS rebinding), nor no host, nor a page of another origin is accepted.
    for host in ["host: evil.example\r\n", "", "host: localhost.evil.example\r\n", "host: 127.0.0.1.evil.example\r\n"] {
        let answer = Raw::exchange(admin, format!("GET /config HTTP/1.0\r\n{host}\r\n")).await;
        assert_eq!(raw::status(&answer), 403, "{host}{answer}");
    }
    for elsewhere in
        ["origin: https://evil.example", "origin: null", "sec-fetch-site: cross-site", "sec-fetch-site: same-site"]
    {
        for path in ["/", "/config", "/readyz", "/metrics"] {
            let answer = get(admin, path, &format!("{elsewhere}\r\n")).await;
            assert_eq!(raw::status(&answer), 403, "{elsewhere} {path}: {answer}");
            assert!(!answer.to_ascii_lowercase().contains("access-control-"), "{answer}");
        }
    }
    // A placeholder in a request is not replaced.
    let fields = json!({ "email": "{password}", "password": "{email}{env.HOME}", "deviceName": "{client_ip}" });
    stack.browser().post("/auth/login").json(&fields).await.is(401);
    let heard = stack.backend.recorded_at("/auth/login")[0].json().unwrap();
    assert_eq!((&heard["email"], &heard["password"]), (&json!("{password}"), &json!("{email}{env.HOME}")), "{heard}");
}

#[tokio::test]
async fn probes_and_scrapers_may_send_any_host_or_none() {
    let stack = stack().await;
    let (admin, health) = (stack.gateway.admin(), stack.gateway.running().health_address().unwrap());
    for host in ["", "host: \r\n", "host: vestibule.monitoring.svc:9090\r\n"] {
        for (address, path) in
            [(admin, "/livez"), (admin, "/readyz"), (admin, "/metrics"), (health, "/livez"), (health, "/readyz")]
        {
            let answer = Raw::exchange(address, format!("GET {path} HTTP/1.0\r\n{host}\r\n")).await;
            assert_eq!(raw::status(&answer), 200, "{path} {host}{answer}");
        }
    }
}

#[tokio::test]
async fn the_public_listener_has_no_admin_pages() {
    let stack = stack().await;
    let browser = stack.browser();
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = browser.fetch(path).await;
        // The routes send it to the app.
        assert!(!answer.text().contains("# EOF"), "{answer}");
        assert_eq!(stack.backend.requests(path), 1);
    }
}
