//! Cross-site requests: which are refused, and which CORS or the absence of a session allows.

use http::Method;

use crate::harness::{TestStack, Upstream, WebSocket};

const EVIL: &str = "https://evil.example";

#[tokio::test]
async fn a_foreign_pages_write_is_refused_before_anything_happens() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let own = stack.gateway.public_url().origin().ascii_serialization();
    let post = || browser.plain(Method::POST, "/api/echo").body("x");
    let foreign = [
        post().header("sec-fetch-site", "cross-site").header("origin", EVIL),
        post().header("sec-fetch-site", "same-site").header("origin", "https://other.example.kr"),
        post().header("sec-fetch-site", "cross-site"),
        post().header("sec-fetch-site", "nonsense"),
        // `Sec-Fetch-Site`, which browsers set, has priority.
        post().header("sec-fetch-site", "cross-site").header("origin", &own),
        post().header("origin", EVIL),
        post().header("origin", "null"),
        post().header("origin", "http://127.0.0.1:1"),
        post().header("origin", &format!("{own}.evil.example")),
        browser.plain(Method::DELETE, "/api/echo").header("origin", EVIL),
        browser.plain(Method::PUT, "/control/x").header("origin", EVIL),
    ];
    for ask in foreign {
        ask.await.is(403).problem("cross_origin");
    }
    let seen = stack.backend.counters();
    assert_eq!((seen.refresh_calls, seen.served), (0, 0));
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn the_visitors_own_pages_and_scripts_without_a_browser_may_write() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let own = stack.gateway.public_url().origin().ascii_serialization();
    let post = || browser.plain(Method::POST, "/api/echo").body("x");
    let fine = [
        post().header("sec-fetch-site", "same-origin").header("origin", &own),
        post().header("sec-fetch-site", "none"),
        post().header("origin", &own),
        post(),
    ];
    for ask in fine {
        ask.await.is(200);
    }
}

#[tokio::test]
async fn a_cross_site_get_or_head_is_forwarded_with_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    for method in [Method::GET, Method::HEAD] {
        browser.plain(method, "/api/me").header("sec-fetch-site", "cross-site").await.is(200).says("valid");
    }
}

#[tokio::test]
async fn a_cross_site_post_without_a_session_is_not_refused_as_cross_site() {
    let stack = TestStack::start().await;
    let stranger = stack.browser();
    stranger.plain(Method::POST, "/api/echo").header("origin", EVIL).await.is(401).says("anonymous");
    stranger.plain(Method::POST, "/public/echo").header("origin", EVIL).body("x").await.is(200);
}

#[tokio::test]
async fn own_endpoints_refuse_cross_site_posts() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    for path in ["/auth/logout", "/auth/refresh", "/auth/login"] {
        for headers in [[("sec-fetch-site", "cross-site"), ("origin", EVIL)], [("origin", "null"), ("x-other", "1")]] {
            let mut ask = browser.plain(Method::POST, path);
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            ask.await.is(403).problem("cross_origin");
        }
    }
    browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(stack.backend.refresh_calls(), 0);
}

#[tokio::test]
async fn a_foreign_page_opens_no_websocket() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    assert!(WebSocket::open_from(&browser, "/api/ws", EVIL).await.is_err());
    assert!(WebSocket::open_from(&browser, "/api/ws", "null").await.is_err());
    assert_eq!(stack.backend.requests("/api/ws"), 0);
}

fn partner_route(upstream: &Upstream, more: &str) -> String {
    format!(
        r#"
        upstreams.partner = {{ targets = ["{}"] }}
        [[routes]]
        path = "/partner"
        upstream = "partner"
        access = "user"
        {more}
        "#,
        upstream.target()
    )
}

const CORS: &str = r#"cors = { origins = ["https://partner.example"], credentials = true }"#;

#[tokio::test]
async fn a_preflight_is_answered_from_the_routes_cors() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&partner_route(&upstream, CORS)).await;
    let preflight = |origin: &str| {
        let ask = stack.browser().plain(Method::OPTIONS, "/partner").header("origin", origin);
        ask.header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "content-type, x-own")
    };
    let answer = preflight("https://partner.example").await;
    assert!(answer.status.is_success(), "{answer}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://partner.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("PUT"), "{answer}");
    assert!(answer.header("access-control-allow-headers").unwrap().contains("x-own"), "{answer}");
    let refused = preflight(EVIL).await.is(403);
    assert_eq!(refused.header("access-control-allow-origin"), None);
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_preflight_to_a_route_without_cors_is_refused_and_a_public_one_is_forwarded() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&partner_route(&upstream, "")).await;
    let ask = |path: &str| {
        let ask = stack.browser().plain(Method::OPTIONS, path).header("origin", EVIL);
        ask.header("access-control-request-method", "PUT")
    };
    ask("/partner").await.is(403);
    assert!(upstream.heard().is_empty());
    let public = partner_route(&upstream, "").replace("access = \"user\"", "access = \"public\"");
    let stack = TestStack::with(&public).await;
    let ask = stack.browser().plain(Method::OPTIONS, "/partner").header("origin", EVIL);
    ask.header("access-control-request-method", "PUT").await.is(200);
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn a_partners_origin_may_write_with_the_visitors_cookies() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\nvary: accept-encoding\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let stack = TestStack::with(&partner_route(&upstream, CORS)).await;
    let browser = stack.logged_in("mina").await;
    let ask = |origin: &str| {
        browser
            .plain(Method::POST, "/partner")
            .header("sec-fetch-site", "cross-site")
            .header("origin", origin)
            .body("x")
    };
    let answer = ask("https://partner.example").await.is(200).says("valid");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://partner.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.headers.get_all("vary").iter().collect::<Vec<_>>(), ["accept-encoding", "Origin"]);
    ask(EVIL).await.is(403);
    assert_eq!(upstream.heard().len(), 1);
}
