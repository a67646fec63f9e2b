//! Logins on several hosts, prefetches, and what a request without a session is told.

use http::Method;
use url::Url;

use crate::harness::{Browser, Setup, TestStack};

const SECOND: &str = r#"
    [[routes]]
    path = "/api/{*rest}"
    upstream = "backend"
    access = "user"
    [[routes]]
    path = "/admin/{*rest}"
    hosts = ["admin.localhost"]
    upstream = "backend"
    access = "user"
"#;

/// A gateway known as `localhost`, with a route on `admin.localhost`.
async fn stack() -> TestStack {
    let setup = Setup::new().known_as("http://localhost").with(SECOND);
    setup.provider(|options| options.redirect_hosts.push("admin.localhost".to_owned())).start().await
}

/// A browser at another name of the gateway.
fn browser_at(stack: &TestStack, host: &str) -> Browser {
    let port = stack.gateway.address().port();
    let home: Url = format!("http://{host}:{port}").parse().unwrap();
    Browser::new(&home, stack.gateway.address(), stack.clock.clone())
}

#[tokio::test]
async fn a_login_that_begins_on_a_second_host_ends_there() {
    let stack = stack().await;
    let admin = browser_at(&stack, "admin.localhost");
    let start = admin.navigate("/admin/x").await.is(302);
    assert_eq!(start.location(), "/auth/login?return_to=/admin/x");
    let to_provider = admin.navigate("/auth/login/demo?return_to=/admin/x").await.is(303);
    let port = stack.gateway.address().port();
    let address: Url = to_provider.location().parse().unwrap();
    let redirect_uri = address.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(redirect_uri, format!("http://admin.localhost:{port}/auth/callback/demo"));
    let callback = admin.visit(&format!("{}&auto=mina", to_provider.location())).await;
    assert_eq!(admin.follow(&callback).await.is(303).location(), "/admin/x");
    assert!(admin.is_logged_in());
    admin.fetch("/api/me").await.is(200).says("valid");
    // The cookies belong to that host.
    let app = stack.browser();
    app.fetch("/api/me").await.is(401).says("anonymous");
    app.login_as("sora").await;
    admin.fetch("/api/me").await.is(200);
    // The logout comes back to the same host.
    let form = admin.post("/auth/logout").form(&[]).header("sec-fetch-mode", "navigate").header("accept", "text/html");
    let back = admin.follow(&form.await.is(303)).await;
    assert!(back.location().starts_with(&format!("http://admin.localhost:{port}/")), "{back}");
}

#[tokio::test]
async fn an_address_on_another_host_of_ours_is_not_followed() {
    let stack = stack().await;
    let port = stack.gateway.address().port();
    let admin = browser_at(&stack, "admin.localhost");
    for (asked, end) in [
        (format!("http://admin.localhost:{port}/admin/x"), format!("http://admin.localhost:{port}/admin/x")),
        (format!("http://localhost:{port}/admin/x"), "/".to_owned()),
    ] {
        let answer = admin.copy().login_with("demo", &asked, "mina").await;
        assert_eq!(answer.location(), end, "{asked}");
    }
}

#[tokio::test]
async fn a_prefetch_begins_no_login_and_evicts_none() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    for (name, value) in [
        ("sec-purpose", "prefetch"),
        ("sec-purpose", "prefetch;prerender"),
        ("sec-purpose", "prerender"),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
    ] {
        for path in ["/api/me", "/auth/login", "/auth/login/demo", "/auth/login?return_to=/api/me"] {
            let answer = browser.navigate(path).header(name, value).await.is(503);
            assert!(answer.set_cookies().is_empty(), "{answer}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
        }
    }
    assert_eq!(browser.follow(&callback).await.is(303).location(), "/deep");
    // Somebody who is logged in gets pages ahead of time.
    browser.navigate("/api/me").header("sec-purpose", "prefetch").await.is(200).says("valid");
    // The page after a logout may lead on to a provider, once.
    browser.navigate("/auth/logged-out").header("sec-purpose", "prefetch").await.is(503);
}

#[tokio::test]
async fn no_part_of_a_foreign_page_begins_a_login_or_evicts_one() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let part = |path: &str, mode: &str, dest: &str, site: &str| {
        let ask = browser.plain(Method::GET, path).header("accept", "text/html,image/*");
        ask.header("sec-fetch-mode", mode).header("sec-fetch-dest", dest).header("sec-fetch-site", site)
    };
    for path in ["/auth/login/demo", "/auth/login/demo?return_to=/x"] {
        for (mode, dest) in [
            ("no-cors", "image"),
            ("no-cors", "script"),
            ("no-cors", "style"),
            ("no-cors", "video"),
            ("cors", "font"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "object"),
        ] {
            let answer = part(path, mode, dest, "cross-site").await.is(401);
            assert!(answer.set_cookies().is_empty(), "{mode} {dest}: {answer}");
            if mode != "navigate" {
                assert_eq!(part("/api/me", mode, dest, "cross-site").await.is(401).json()["code"], "login_required");
            }
        }
    }
    // A script of the app is told where the login is.
    let script = browser.fetch("/auth/login/demo").await.is(401).says("anonymous").problem("navigation_needed");
    assert_eq!(script.json()["login"], "/auth/login");
    assert_eq!(script.header("cache-control"), Some("no-store"));
    assert_eq!(browser.follow(&callback).await.is(303).location(), "/deep");
    // What a person opens begins one: a link of another site, a frame of the app's own page, a browser without these
    // headers, a tool.
    part("/auth/login/demo", "navigate", "document", "cross-site").await.is(303);
    part("/auth/login/demo", "navigate", "iframe", "same-origin").await.is(303);
    browser.plain(Method::GET, "/auth/login/demo").await.is(303);
    browser.plain(Method::HEAD, "/auth/login/demo").await.is(303);
}

#[tokio::test]
async fn the_login_page_that_goes_on_by_itself_begins_no_login_for_a_part_of_a_page() {
    let stack = Setup::new().without("authority.credentials").start().await;
    let browser = stack.browser();
    assert!(browser.navigate("/auth/login").await.is(303).location().contains("state="));
    let image = browser.plain(Method::GET, "/auth/login").header("sec-fetch-dest", "image");
    let answer = image.header("sec-fetch-mode", "no-cors").header("sec-fetch-site", "cross-site").await.is(401);
    assert!(answer.set_cookies().is_empty(), "{answer}");
}

#[tokio::test]
async fn every_401_names_the_login_page_and_has_a_challenge() {
    let setup = Setup::with_codes().with("providers.demo.id_token_login = { audiences = [\"vestibule\"] }");
    let notify = "otp.sms.purpose = \"verify\"\n[otp.sms.notify]\nupstream = \"backend\"\npath = \"/notify\"\n";
    let stack = setup.with(notify).start().await;
    let browser = stack.browser();
    let wrong = serde_json::json!({ "email": "a@b.kr", "password": "wrong" });
    let code = serde_json::json!({ "phone": "010-1234-5678", "code": "123456" });
    let token = serde_json::json!({ "id_token": "a.b.c" });
    for request in [
        browser.fetch("/api/me"),
        browser.request(Method::DELETE, "/api/me"),
        browser.post("/auth/refresh"),
        browser.post("/auth/login").json(&wrong),
        browser.post("/auth/sms/verify").json(&code),
        browser.post("/auth/sms/send").json(&serde_json::json!({ "phone": "010-1234-5678" })),
        browser.plain(Method::POST, "/auth/demo").json(&token),
    ] {
        let answer = request.await.is(401);
        assert_eq!(answer.json()["login"], "/auth/login", "{answer}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{answer}");
    }
    for scheme in ["Bearer x.y.z", "bearer x", "BEARER x"] {
        let answer = browser.fetch("/api/me").header("authorization", scheme).await.is(401);
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""), "{answer}");
    }
    let basic = browser.fetch("/api/me").header("authorization", "Basic YTpi").await.is(401);
    assert_eq!(basic.header("www-authenticate"), Some("Bearer"));
    let page = browser.navigate("/auth/refresh").with_method(Method::POST).await.is(401);
    assert_eq!(page.header("www-authenticate"), Some("Bearer"));
    let own = TestStack::with("session.login_page = \"/signin\"").await;
    assert_eq!(own.browser().fetch("/api/me").await.is(401).json()["login"], "/signin");
}

#[tokio::test]
async fn a_form_that_a_page_posts_without_a_session_is_led_to_the_login() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let form = || browser.navigate("/api/me?a=b").with_method(Method::POST).form(&[("a", "b")]);
    let led = form().header("sec-fetch-site", "same-origin").await.is(303);
    assert_eq!(led.location(), "/auth/login?return_to=/api/me%3Fa%3Db");
    form().header("sec-fetch-site", "cross-site").await.is(401);
    browser.post("/api/me").form(&[("a", "b")]).header("sec-fetch-site", "same-origin").await.is(401);
    let json = browser.navigate("/api/me").with_method(Method::POST).header("sec-fetch-site", "same-origin");
    json.json(&serde_json::json!({})).await.is(401);
}

#[tokio::test]
async fn a_repeated_parameter_of_an_endpoint_is_400() {
    let stack = Setup::with_codes().start().await;
    let browser = stack.browser();
    for path in [
        "/auth/login?return_to=/a&return_to=/b",
        "/auth/login?error=a&error=a",
        "/auth/login/demo?return_to=/a&return_to=/a",
        "/auth/login/sms?return_to=/a&return_to=/b",
        "/auth/login/sms?error=x&error=y",
        "/auth/logged-out?provider=demo&provider=demo",
        "/auth/callback/demo?code=a&state=b&state=c",
    ] {
        let answer = browser.navigate(path).await.is(400);
        assert!(answer.set_cookies().is_empty(), "{path}: {answer}");
    }
    // A POST: in the query, in the body, or once in each, however the name is written.
    let json = "application/json";
    let form = "application/x-www-form-urlencoded";
    for (path, kind, body) in [
        ("/auth/login?return_to=/a&return_to=/b", form, "email=a@b.kr&password=x"),
        ("/auth/login?return_to=/a", form, "email=a@b.kr&password=x&return_to=/b"),
        ("/auth/login?return%5Fto=/a", form, "email=a@b.kr&password=x&return_to=/b"),
        ("/auth/login", form, "email=a@b.kr&password=x&return_to=/a&r%65turn_to=/a"),
        ("/auth/login?email=c@d.kr", json, r#"{"email":"a@b.kr","password":"x"}"#),
        ("/auth/login", json, r#"{"email":"a@b.kr","password":"x","\u0065mail":"c@d.kr"}"#),
        ("/auth/logout?a=1&a=2", form, ""),
        ("/auth/logout", json, r#"{"everywhere":true,"everywhere":false}"#),
        ("/auth/refresh?a=1&a=1", json, ""),
        ("/auth/sms/send?phone=1&phone=2", json, r#"{"phone":"010-1234-5678"}"#),
        ("/auth/sms/verify?code=123456", json, r#"{"phone":"010-1234-5678","code":"654321"}"#),
        ("/auth/demo/nonce?a=1&a=2", json, ""),
        ("/auth/callback/demo?state=a", form, "state=a&code=b"),
    ] {
        let answer = browser.post(path).header("content-type", kind).body(body).await.is(400);
        assert!(answer.set_cookies().is_empty(), "{path} {body}: {answer}");
        if !path.starts_with("/auth/callback") {
            answer.problem("repeated_parameter");
        }
    }
    browser.fetch("/auth/session?a=1&a=2").await.is(400).problem("repeated_parameter");
    let body = "email=mina@example.test&password=wrong";
    browser.post("/auth/login?source=x").header("content-type", form).body(body).await.is(401);
    for fields in [
        [("email", "a@b.kr"), ("email", "c@d.kr"), ("password", "x")],
        [("email", "a@b.kr"), ("password", "x"), ("password", "y")],
    ] {
        browser.post("/auth/login").form(&fields).await.is(400).problem("repeated_parameter");
    }
    // A callback's code and error too, where its attempt is known.
    for repeated in ["&code=other", "&iss=x&iss=y"] {
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/", "mina").await;
        let address: Url = callback.location().parse().unwrap();
        let target = format!("{}?{}{repeated}", address.path(), address.query().unwrap());
        browser.navigate(&target).await.is(400);
        assert!(!browser.is_logged_in());
    }
}
