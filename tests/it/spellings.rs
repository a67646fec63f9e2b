//! Other spellings of a path: the stricter rule decides, and the gateway's own calls stay out of reach.

use http::Method;

use crate::harness::{Raw, Setup, TestStack, Upstream, raw};

/// `/staff` for admins and `/report` with a session, everything else for everybody; all to one upstream.
async fn before(upstream: &Upstream) -> TestStack {
    let routes = r#"
        [[routes]]
        path = "/staff/{*rest}"
        upstream = "b"
        access = { roles = ["admin"] }
        [[routes]]
        path = "/report"
        upstream = "b"
        access = "user"
        [[routes]]
        path = "/{*rest}"
        upstream = "b"
        access = "public"
    "#;
    let upstream = format!("upstreams.b = {{ targets = [\"{}\"] }}", upstream.target());
    Setup::new().without("routes").with(&format!("{upstream}\n{routes}")).start().await
}

async fn status(stack: &TestStack, method: &str, target: &str) -> u16 {
    let host = stack.gateway.host();
    let request =
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    raw::status(&Raw::exchange(stack.gateway.address(), request).await)
}

#[tokio::test]
async fn a_protected_path_has_no_spelling_that_needs_no_session() {
    let upstream = Upstream::saying("b").await;
    let stack = before(&upstream).await;
    for target in [
        "/Staff/x",
        "/STAFF",
        "/staff./x",
        "/staff%20/x",
        "/staff%C2%A0/x",
        "/staff;v=1/x",
        "/staff%3Bv/x",
        "/;x/staff/y",
        "/x/..%20/staff/y",
        "/%EF%BD%93taff/x",
        "/%C5%BFtaff/x",
        "/staff%E2%80%8B/x",
        "/Report",
        "/report/",
        "/report//",
        "/report.",
        "/report%20",
        "/report;x=1",
    ] {
        assert_eq!(status(&stack, "GET", target).await, 401, "{target}");
        assert_eq!(status(&stack, "PURGE", target).await, 401, "{target}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    assert_eq!(status(&stack, "GET", "/Public/X/").await, 200);

    let mina = stack.logged_in("mina").await;
    mina.plain(Method::GET, "/").at_path("/Staff/x").await.is(403).problem("forbidden");
    mina.plain(Method::GET, "/").at_path("/report/").await.is(200).says("valid");
    let jun = stack.logged_in("jun").await;
    jun.plain(Method::GET, "/").at_path("/Staff./x//").await.is(200).says("valid");
    assert_eq!(upstream.last().line(), "GET /Staff./x// HTTP/1.1", "the path is forwarded as it came");
    assert!(upstream.last().all("authorization")[0].starts_with("Bearer "), "with the session");
}

#[tokio::test]
async fn a_value_with_an_escaped_slash_or_nothing_seen_is_no_way_past_a_rule() {
    let upstream = Upstream::saying("b").await;
    let file = format!(
        r#"
        upstreams.b = {{ targets = ["{}"] }}
        [[routes]]
        path = "/a/{{id}}/secret"
        upstream = "b"
        access = "user"
        [[routes]]
        path = "/{{*rest}}"
        upstream = "b"
        access = "public"
        encoded_slash = "keep"
        "#,
        upstream.target()
    );
    let stack = Setup::new().without("routes").with(&file).start().await;
    for target in [
        "/A/x%2Fy/secret",
        "/a/x%2Fy/SECRET",
        "/a/x%2fy/secret/",
        "/a/x%2Fy/secret.",
        "/a/x%2Fy/secret;j",
        "/a%20/x%2Fy/secret",
        "/a//x%2Fy/secret",
        "/A/;x/secret",
        "/a/%20/Secret",
        "/A/.../secret",
    ] {
        assert_eq!(status(&stack, "GET", target).await, 401, "{target}");
    }
    assert_eq!(status(&stack, "GET", "/a/x%2Fy/secret").await, 400, "this route does not keep an escaped slash");
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    assert_eq!(status(&stack, "GET", "/A/x%2Fy/open").await, 200);
    assert_eq!(upstream.last().line(), "GET /A/x%2Fy/open HTTP/1.1");
}

/// Every route but the own calls' is open; the upstream has the address of the authority under another name.
async fn with_calls_to(upstream: &Upstream, more: &str) -> TestStack {
    let target = upstream.target();
    let other = target.replace("127.0.0.1", "localhost");
    let file = format!(
        r#"
        upstreams.api = {{ targets = ["{target}"] }}
        upstreams.web = {{ targets = ["{other}"] }}
        [authority]
        kind = "backend"
        upstream = "api"
        [authority.exchange]
        path = "/social/{{provider}}/token"
        [authority.credentials]
        path = "/v1/login"
        [authority.refresh]
        path = "/v1/refresh"
        [[routes]]
        path = "/{{*rest}}"
        upstream = "web"
        access = "public"
        encoded_slash = "keep"
        {more}
        [[routes]]
        path = "/proxy/{{*rest}}"
        strip = "/proxy"
        upstream = "api"
        access = "public"
        encoded_slash = "keep"
        "#
    );
    Setup::new().without("routes").without("authority").with(&file).start().await
}

#[tokio::test]
async fn the_gateways_own_calls_are_out_of_reach_in_every_spelling() {
    let upstream = Upstream::saying("b").await;
    let stack = with_calls_to(&upstream, "").await;
    for target in [
        "/v1/login",
        "/v1/login.json",
        "/v1/login.",
        "/v1/login%20",
        "/V1/LOGIN/",
        "/v1//login",
        "/v1/login;x=1",
        "/v1/login/.json",
        "/v1/refresh?x",
        "/auth/google.xml",
        "/auth/anything",
        "/social/google/token",
        "/social/google/token.xml",
        "/social/x%2Fy/token",
        "/SOCIAL/x%2Fy/TOKEN",
        "/social/x%2Fy/token/",
        "/social/%20/token",
        "/proxy/social/x%2Fy/token",
        "/proxy/Social/x%2Fy/token.json",
        "/proxy/v1/login",
        "/proxy/V1/Login.json",
        "/proxy/v1/x/..%20/login",
    ] {
        let answered = status(&stack, "POST", target).await;
        assert_eq!(answered, 404, "{target}");
    }
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
    for (method, target) in [("GET", "/v1/login"), ("POST", "/v1/logins"), ("PUT", "/v1/login"), ("POST", "/v1/me")] {
        assert_eq!(status(&stack, method, target).await, 200, "{method} {target}");
    }
}

#[tokio::test]
async fn a_route_with_open_own_calls_lets_them_pass() {
    let upstream = Upstream::saying("b").await;
    let stack = with_calls_to(&upstream, "own_calls = \"open\"").await;
    assert_eq!(status(&stack, "POST", "/v1/login").await, 200);
    assert_eq!(status(&stack, "POST", "/proxy/v1/login").await, 404, "another route is still closed");
}
