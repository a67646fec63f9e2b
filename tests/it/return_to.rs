//! `return_to`: where a login ends, and that it never ends on another site.

use std::time::Duration;

use crate::harness::{Raw, TestStack};

/// Where a login with that `return_to` ends.
async fn ends_at(stack: &TestStack, return_to: &str) -> String {
    // Logins with the same return_to within a short time would count as a loop.
    stack.advance(Duration::from_secs(31));
    stack.browser().login_with("demo", return_to, "mina").await.location().to_owned()
}

#[tokio::test]
async fn a_path_of_our_own_is_kept_as_it_is() {
    let stack = TestStack::start().await;
    for path in ["/", "/a/b?c=d&e=%20f", "/a%2Fb", "/?return_to=%2Fx", "/%ED%95%9C%EA%B8%80", "/a:b@c"] {
        assert_eq!(ends_at(&stack, path).await, path);
    }
    let own = format!("{}a?b=c", stack.gateway.public_url());
    let end = ends_at(&stack, &own).await;
    assert!(end == own || end == "/a?b=c", "{end}");
}

#[tokio::test]
async fn an_address_that_may_lead_to_another_site_is_replaced_by_after_login() {
    let stack = TestStack::with("session.after_login = \"/home\"").await;
    for evil in [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/%2F%2Fevil.example",
        "/%5cevil.example",
        "/\tevil",
        "/\t/evil.example",
        "/\n/evil.example",
        "/a\r\nset-cookie: x=y",
        "\u{1}//evil.example",
        "/\u{7f}",
        "https://evil.example/",
        "http:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://127.0.0.1@evil.example/",
        "http://user@127.0.0.1/",
        "/../..//evil.example",
        "/.//evil.example",
        "evil.example",
        "",
    ] {
        assert_eq!(ends_at(&stack, evil).await, "/home", "{evil:?}");
    }
}

#[tokio::test]
async fn no_login_ends_at_an_endpoint_of_the_gateway() {
    let stack = TestStack::with("session.after_login = \"/home\"").await;
    for own in [
        "/auth",
        "/auth/logout",
        "/auth/logout?a=b",
        "/auth/refresh",
        "/auth/session",
        "/auth/login",
        "/auth/login/demo",
        "/auth/callback/demo?code=a&state=b",
        "/auth/logged-out",
        "/auth/demo",
        "/auth/sms/send",
        "/auth/assets/page.js",
        "/%61uth/logout",
    ] {
        assert_eq!(ends_at(&stack, own).await, "/home", "{own}");
    }
    // Not by a form, and not for a visitor with a session.
    let browser = stack.logged_in("mina").await;
    assert_eq!(browser.navigate("/auth/login?return_to=/auth/logout").await.is(303).location(), "/home");
    let form = [("email", "mina@example.test"), ("password", "mina-password"), ("return_to", "/auth/logout")];
    let posted = stack.browser().navigate("/auth/login").with_method(http::Method::POST).form(&form).await.is(303);
    assert!(!posted.location().contains("logout"), "{posted}");
}

#[tokio::test]
async fn another_port_of_our_host_is_another_origin() {
    let stack = TestStack::start().await;
    assert_eq!(ends_at(&stack, "http://127.0.0.1:1/x").await, "/");
    assert_eq!(ends_at(&stack, &stack.provider.issuer()).await, "/");
}

#[tokio::test]
async fn a_listed_origin_may_be_returned_to() {
    let stack = TestStack::with("session.return_to_origins = [\"https://shop.example\"]").await;
    assert_eq!(ends_at(&stack, "https://shop.example/basket?x=1").await, "https://shop.example/basket?x=1");
    for evil in ["https://shop.example.evil.example/", "https://shop.example@evil.example/", "http://shop.example/"] {
        assert_eq!(ends_at(&stack, evil).await, "/", "{evil}");
    }
}

#[tokio::test]
async fn too_many_logins_in_a_short_time_end_on_the_loop_page() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let mut last = None;
    for _ in 0..4 {
        let answer = browser.navigate("/auth/login/demo?return_to=/loop").await;
        if !answer.status.is_redirection() {
            last = Some(answer);
            break;
        }
        let back = browser.visit(&format!("{}&auto=mina", answer.location())).await;
        let answer = browser.follow(&back).await;
        if !answer.status.is_redirection() {
            last = Some(answer);
            break;
        }
        // An upstream that accepts no token redirects to the login at once.
        browser.remove_cookie("sb_at");
        browser.remove_cookie("sb_rt");
    }
    let page = last.expect("the third or fourth login shows a page");
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
}

#[tokio::test]
async fn a_deep_link_of_8_kib_survives_a_login_and_so_does_every_spelling_that_bends_nothing() {
    let stack = TestStack::start().await;
    for path in [
        "/api/a//b".to_owned(),
        "/api/a%C2%A0b".to_owned(),
        "/api/Screenshot%20at%208.55.11%E2%80%AFPM.png".to_owned(),
        "/api/%E8%AB%8B%E6%B1%82%E6%9B%B8%E3%80%808%E6%9C%88.pdf?a=%2F%2Fb".to_owned(),
        format!("/api/a?q={}", "y".repeat(3_000)),
        format!("/api/{}", "%EA%B0%80".repeat(800)),
        format!("/api/a?{}", "&".repeat(8_000)),
    ] {
        let browser = stack.browser();
        let to_login = browser.navigate("/").at_path(&path).await.is(302);
        let page = browser.follow(&to_login).await.is(200).text();
        let href = page.split("href=\"").find(|rest| rest.starts_with("/auth/login/demo?")).unwrap();
        let start = browser.navigate(&href.split('"').next().unwrap().replace("&amp;", "&")).await.is(303);
        let at_provider = browser.visit(&format!("{}&auto=mina", start.location())).await;
        assert_eq!(browser.follow(&at_provider).await.is(303).location(), path);
    }
}

#[tokio::test]
async fn pages_with_a_link_to_the_login_carry_where_it_was_to() {
    use vestibule::demo::Fault;

    let stack = TestStack::start().await;
    let link = "/auth/login?return_to=%2Fdeep%3Fa%3Db";
    stack.provider.set_down(true);
    let down = stack.browser().navigate("/auth/login/demo?return_to=/deep?a%3Db").await.is(503);
    assert!(down.text().contains(link), "the provider is down: {down}");
    stack.provider.set_down(false);
    stack.advance(crate::harness::secs(30));
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep?a=b", "mina").await;
    stack.backend.set_authority_fault(Fault::Unavailable);
    let unavailable = browser.follow(&callback).await.is(503);
    assert!(unavailable.text().contains(link), "the authority is down: {unavailable}");
    stack.backend.set_authority_fault(Fault::None);
    let browser = stack.logged_in("mina").await;
    stack.backend.set_authority_fault(Fault::Unavailable);
    stack.expire_tokens();
    let outage = browser.navigate("/api/me?a=b").await.is(503).says("unavailable");
    assert!(outage.text().contains("/auth/login?return_to=%2Fapi%2Fme%3Fa%3Db"), "an outage: {outage}");
}

/// As an app's redirect or a link may have it: browsers leave a query as it is written, in UTF-8 or percent-encoded.
#[tokio::test]
async fn raw_utf8_in_the_query_of_a_return_to_is_kept_percent_encoded() {
    let stack = TestStack::start().await;
    for (asked, written) in [
        ("/x?q=한", "/x?q=%ED%95%9C"),
        ("/x?q=한 글", "/x?q=%ED%95%9C%20%EA%B8%80"),
        ("/한?q=글#끝", "/%ED%95%9C?q=%EA%B8%80#%EB%81%9D"),
    ] {
        assert_eq!(ends_at(&stack, asked).await, written);
    }
    let raw = |target: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\n", stack.gateway.host());
        Raw::exchange(stack.gateway.address(), format!("{head}accept: text/html\r\nconnection: close\r\n\r\n"))
    };
    let start = raw("/auth/login/demo?return_to=/x?q=한").await;
    assert!(start.starts_with("HTTP/1.1 303 "), "{start}");
    let page = raw("/auth/login?return_to=/x?q=한&error=access_denied").await;
    assert!(page.contains("return_to=%2Fx%3Fq%3D%25ED%2595%259C"), "{page}");
    let needs_login = raw("/api/page?q=한").await;
    assert!(needs_login.contains("location: /auth/login?return_to=/api/page%3Fq%3D%ED%95%9C\r\n"), "{needs_login}");
}
