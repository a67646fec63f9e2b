//! `return_to`: where a login ends, and that it never ends on another site.

use std::time::Duration;

use crate::harness::TestStack;

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
        "/auth/logout",
    ] {
        let end = ends_at(&stack, evil).await;
        assert!(end == "/home" || evil == "/auth/logout" && end.starts_with('/'), "{evil:?} ended at {end:?}");
    }
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
