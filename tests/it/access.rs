//! Which requests reach which upstream: routes, access rules, hosts, paths, and paths that are closed to all.

use http::Method;

use crate::harness::{Raw, Setup, TestStack, Upstream, raw};

#[tokio::test]
async fn a_navigation_without_a_session_is_sent_to_the_login_page() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let answer = browser.navigate("/api/me?a=b&c=d").await.is(302).says("anonymous");
    assert_eq!(answer.location(), "/auth/login?return_to=/api/me%3Fa%3Db%26c%3Dd");
    // A browser without Sec-Fetch headers also navigates.
    let old = browser.plain(Method::GET, "/api/me").header("accept", "text/html").await;
    assert!(old.is(302).location().starts_with("/auth/login?return_to="));
    browser.plain(Method::HEAD, "/api/me").header("sec-fetch-mode", "navigate").await.is(302);
}

#[tokio::test]
async fn another_request_without_a_session_gets_401() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let asks = [
        browser.fetch("/api/me"),
        browser.fetch("/api/me").header("accept", "text/html"),
        browser.plain(Method::GET, "/api/me"),
        browser.plain(Method::GET, "/api/me").header("accept", "application/json"),
        browser.post("/api/me").body("x"),
        browser.post("/api/me").header("accept", "text/html").header("sec-fetch-mode", "navigate"),
        browser.request(Method::DELETE, "/api/me"),
    ];
    for ask in asks {
        let answer = ask.await.is(401).says("anonymous");
        assert_eq!(answer.header("location"), None);
    }
    let korean = browser.clone().speaking("ko-KR").fetch("/api/me").await.is(401).problem("login_required");
    assert_eq!(korean.json()["error"], "로그인이 필요합니다");
    assert_eq!(stack.backend.counters().served, 0);
}

#[tokio::test]
async fn a_navigation_without_a_session_goes_to_the_apps_own_login_page() {
    let stack = TestStack::with("session.login_page = \"/login\"\n[[routes]]\npath = \"/login\"\nupstream = \"backend\"\naccess = \"anonymous\"").await;
    let browser = stack.browser();
    assert_eq!(browser.navigate("/api/x").await.is(302).location(), "/login?return_to=/api/x");
    assert_eq!(browser.navigate("/login").await.auth_status(), Some("anonymous"));
    browser.login_as("mina").await;
    assert_eq!(browser.navigate("/login").await.is(302).location(), "/");
}

#[tokio::test]
async fn a_route_with_a_role_admits_only_people_who_have_it() {
    let stack = TestStack::with("[[routes]]\npath = \"/admin/{*rest}\"\nupstream = \"backend\"\naccess = { roles = [\"admin\"] }\nstrip = \"/admin\"").await;
    stack.browser().fetch("/admin/public/ping").await.is(401).says("anonymous");
    let mina = stack.logged_in("mina").await;
    let refused = mina.fetch("/admin/public/ping").await.is(403).says("valid").problem("forbidden");
    assert!(refused.set_cookies().is_empty());
    mina.navigate("/admin/public/ping").await.is(403);
    stack.logged_in("jun").await.fetch("/admin/public/ping").await.is(200).says("valid");
    assert_eq!(stack.backend.requests("/public/ping"), 1);
}

#[tokio::test]
async fn an_optional_route_admits_everyone_and_removes_a_forged_bearer() {
    let stack = TestStack::start().await;
    let stranger = stack.browser();
    stranger.fetch("/control/state").header("authorization", "Bearer forged").await.is(200).says("anonymous");
    stack
        .logged_in("mina")
        .await
        .fetch("/control/state")
        .header("authorization", "Bearer forged")
        .await
        .is(200)
        .says("valid");
    let seen = stack.backend.recorded_at("/control/state");
    assert_eq!(seen[0].header("authorization"), None);
    assert!(seen[1].header("authorization").unwrap().starts_with("Bearer ey"));
}

#[tokio::test]
async fn on_a_public_route_the_visitors_own_authorization_passes() {
    let stack =
        TestStack::with("[[routes]]\npath = \"/public/{*rest}\"\nupstream = \"backend\"\naccess = \"public\"").await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/public/headers").header("authorization", "Basic eDp5").await.is(200);
    assert_eq!(answer.auth_status(), None);
    assert_eq!(answer.json()["authorization"], "Basic eDp5");
    assert_eq!(answer.json()["cookie"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_path_without_a_route_gets_404() {
    let stack = Setup::new()
        .without("routes")
        .with("[[routes]]\npath = \"/api/{*rest}\"\nmethods = [\"GET\"]\nupstream = \"backend\"\naccess = \"user\"")
        .start()
        .await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/").await.is(404).problem("not_found");
    browser.fetch("/apis").await.is(404);
    browser.fetch("/api").await.is(404).says("valid");
    let answer = browser.post("/api/me").await;
    assert!(matches!(answer.status.as_u16(), 404 | 405), "{answer}");
    assert_eq!(stack.backend.requests("/"), 0);
}

#[tokio::test]
async fn the_most_specific_route_wins_whatever_the_order_of_the_file() {
    let (rest, one, exact, post) = (
        Upstream::saying("rest").await,
        Upstream::saying("one").await,
        Upstream::saying("exact").await,
        Upstream::saying("post").await,
    );
    let route = |path: &str, upstream: &str, more: &str| {
        format!("[[routes]]\npath = \"{path}\"\nupstream = \"{upstream}\"\naccess = \"public\"\n{more}\n")
    };
    let mut file: String = [("rest", &rest), ("one", &one), ("exact", &exact), ("post", &post)]
        .map(|(name, upstream)| format!("upstreams.{name} = {{ targets = [\"{}\"] }}\n", upstream.target()))
        .concat();
    file += &route("/a/{*rest}", "rest", "");
    file += &route("/a/{id}", "one", "");
    file += &route("/a/b", "exact", "");
    file += &route("/a/{name}", "post", "methods = [\"POST\"]");
    let stack = TestStack::with(&file).await;
    let browser = stack.browser();
    for (path, expected) in
        [("/a", "rest"), ("/a/", "rest"), ("/a/x", "one"), ("/a/b", "exact"), ("/a/b/c", "rest"), ("/a/x/", "rest")]
    {
        assert_eq!(browser.fetch(path).await.is(200).text(), expected, "{path}");
    }
    assert_eq!(browser.post("/a/x").await.is(200).text(), "post");
}

#[tokio::test]
async fn a_prefix_is_stripped_and_the_query_kept() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/api/proxy/{{*rest}}\"\nstrip = \"/api/proxy\"\nupstream = \"x\"\naccess = \"public\"",
        upstream.target()
    ))
    .await;
    for (asked, heard) in [
        ("/api/proxy/users/me?a=%2F&b", "/users/me?a=%2F&b"),
        ("/api/proxy", "/"),
        ("/api/proxy/", "/"),
        ("/api/proxy?x", "/?x"),
    ] {
        stack.browser().fetch(asked).await.is(200);
        assert_eq!(upstream.last().line(), format!("GET {heard} HTTP/1.1"));
    }
}

#[tokio::test]
async fn the_backends_authority_endpoints_are_not_reachable_through_the_gateway() {
    // With another base path, `/{*rest}` would forward requests for the backend's /auth/….
    let stack = Setup::new().with("session.base_path = \"/login-here\"").start().await;
    let browser = stack.browser();
    for path in [
        "/auth/refresh",
        "/auth/signout",
        "/auth/login",
        "/auth/demo",
        "/auth/any-provider",
        "/auth/%72efresh",
        "/auth/x/../refresh",
        "//auth/refresh",
        "/auth/./refresh",
    ] {
        let answer = browser.post("/x").at_path(path).json(&serde_json::json!({ "refreshToken": "x" })).await;
        assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {answer}");
    }
    let seen = stack.backend.counters();
    assert!(!seen.requests.keys().any(|path| path.contains("auth")), "{:?}", seen.requests);
    browser.fetch("/auth/refresh").await;
    assert_eq!(stack.backend.requests("/auth/refresh"), 1, "GET is not the gateway's call");
}

#[tokio::test]
async fn a_request_for_an_unknown_host_gets_421() {
    let stack = TestStack::with("server.hosts = [\"vestibule:8080\", \"internal.example\"]").await;
    let address = stack.gateway.address();
    let status = |host: String| async move {
        raw::status(
            &Raw::exchange(address, format!("GET /public/ping HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
                .await,
        )
    };
    let port = address.port();
    for host in [
        stack.gateway.host().to_owned(),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "vestibule:8080".into(),
        "internal.example".into(),
    ] {
        assert_eq!(status(host.clone()).await, 200, "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "vestibule", "localhost.", "127.0.0.2"] {
        let with_port = format!("{host}:{port}");
        assert_eq!(status(with_port.clone()).await, 421, "{with_port}");
    }
}

#[tokio::test]
async fn a_navigation_under_another_name_of_loopback_is_sent_to_the_public_url() {
    let stack = TestStack::start().await;
    let port = stack.gateway.address().port();
    let request = format!(
        "GET /deep?x=1 HTTP/1.1\r\nhost: localhost:{port}\r\nsec-fetch-mode: navigate\r\naccept: text/html\r\nconnection: close\r\n\r\n"
    );
    let answer = Raw::exchange(stack.gateway.address(), request).await;
    assert_eq!(raw::status(&answer), 307, "{answer}");
    assert!(answer.to_lowercase().contains(&format!("location: http://127.0.0.1:{port}/deep?x=1\r\n")), "{answer}");
}

#[tokio::test]
async fn a_script_of_an_older_library_gets_401_though_it_accepts_html() {
    let stack = TestStack::start().await;
    let request = |lines: &str| {
        let host = stack.gateway.host();
        format!(
            "GET /api/me HTTP/1.1\r\nhost: {host}\r\naccept: text/html, */*; q=0.01\r\n{lines}connection: close\r\n\r\n"
        )
    };
    let address = stack.gateway.address();
    let answer = Raw::exchange(address, request("x-requested-with: XMLHttpRequest\r\n")).await;
    assert!(raw::status(&answer) == 401 && !answer.contains("set-cookie"), "{answer}");
    assert_eq!(raw::status(&Raw::exchange(address, request("")).await), 302);
    // Own endpoints answer such a script with JSON, also if it sends its values as a form.
    let login = stack.browser().plain(Method::POST, "/auth/login").header("accept", "text/html, */*; q=0.01");
    let login = login.header("x-requested-with", "XMLHttpRequest").form(&[("email", "a@b.kr"), ("password", "wrong")]);
    login.await.is(401).problem("bad_credentials");
    let request = request("x-requested-with: XMLHttpRequest\r\n").replace("/api/me", "/auth/nothing-here");
    let answer = Raw::exchange(address, request).await;
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[tokio::test]
async fn a_form_of_an_own_page_is_sent_to_the_login_with_303_and_a_foreign_or_scripted_one_is_not() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let post = |mode: &str, site: &str| {
        browser.plain(Method::POST, "/api/echo?a=1").header("sec-fetch-mode", mode).header("sec-fetch-site", site)
    };
    let fields = [("a", "b")];
    let answer = post("navigate", "same-origin").form(&fields).await.is(303).says("anonymous");
    assert!(
        answer.location().ends_with("/auth/login?return_to=/api/echo?a%3D1")
            || answer.location().contains("return_to=")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    post("navigate", "cross-site").form(&fields).await.is(401);
    post("cors", "same-origin").form(&fields).await.is(401);
    post("navigate", "same-origin").json(&serde_json::json!({})).await.is(401);
}

#[tokio::test]
async fn the_gateways_own_refusals_and_redirects_are_stored_nowhere() {
    let stack = TestStack::with(
        "[[routes]]\npath = \"/only-admins\"\nupstream = \"backend\"\naccess = { roles = [\"admin\"] }",
    )
    .await;
    let browser = stack.logged_in("mina").await;
    for (answer, status) in [
        (stack.browser().navigate("/api/me").await, 302),
        (stack.browser().fetch("/api/me").await, 401),
        (browser.fetch("/only-admins").await, 403),
        (stack.browser().fetch("/nowhere-at-all/x").await, 404),
    ] {
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (status, Some("no-store")), "{answer}");
    }
    stack.expire_tokens();
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    let answer = browser.fetch("/api/me").await.is(503);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_route_may_be_for_one_host_alone() {
    let admin = Upstream::saying("admin").await;
    let stack = TestStack::with(&format!(
        "upstreams.admin = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/public/ping\"\nhosts = [\"admin.example\"]\nupstream = \"admin\"\naccess = \"public\"",
        admin.target()
    ))
    .await;
    let ask = |host: &str| format!("GET /public/ping HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    assert!(Raw::exchange(stack.gateway.address(), ask("ADMIN.example")).await.ends_with("admin"));
    let usual = Raw::exchange(stack.gateway.address(), ask(stack.gateway.host())).await;
    assert!(usual.contains("\"ok\":true"), "{usual}");
}

#[tokio::test]
async fn no_spelling_of_a_path_bypasses_an_access_rule() {
    let (open, closed) = (Upstream::saying("open").await, Upstream::saying("closed").await);
    let stack = Setup::new()
        .without("routes")
        .with(&format!(
            r#"
            upstreams.open = {{ targets = ["{}"] }}
            upstreams.closed = {{ targets = ["{}"] }}
            [[routes]]
            path = "/open/{{*rest}}"
            upstream = "open"
            access = "public"
            [[routes]]
            path = "/closed/{{*rest}}"
            upstream = "closed"
            access = "user"
            "#,
            open.target(),
            closed.target()
        ))
        .start()
        .await;
    for path in [
        "/closed/x",
        "/open/../closed/x",
        "/open/%2e%2e/closed/x",
        "/open/%2E%2e%2fclosed/x",
        "/open/..%2fclosed/x",
        "/open/..%5cclosed/x",
        "/open/..\\closed/x",
        "/open/..;/closed/x",
        "/open/.%2e/closed",
        "/open/%252e%252e/closed/x",
        "/open//../closed/x",
        "//closed/x",
        "/./closed/x",
        "/%63losed/x",
        "/closed%2fx",
        "/open/x%00/../../closed",
        "/open/..",
        "/closed/..%2f..%2fopen",
        "/open/#/../../closed/x",
        "http://127.0.0.1/closed/x",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", stack.gateway.host());
        let answer = Raw::exchange(stack.gateway.address(), request).await;
        assert!(matches!(raw::status(&answer), 200 | 400 | 401 | 404 | 421), "{path}: {answer}");
    }
    assert!(closed.heard().is_empty(), "{:?}", closed.heard());
    for heard in open.heard() {
        let path = heard.line().split(' ').nth(1).unwrap().to_owned();
        let decoded = percent_encoding::percent_decode_str(&path).decode_utf8_lossy().replace('\\', "/");
        assert!(path.starts_with("/open") && !decoded.split('/').any(|part| part == ".."), "forwarded {path}");
    }
}
