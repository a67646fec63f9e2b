//! `X-HTTP-Method-Override` and its like: removed, or judged for both methods where a route lets them pass.

use http::Method;

use super::{exchange, in_front_of};
use crate::harness::{TestStack, Upstream, raw};

const NAMES: [&str; 3] = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

#[tokio::test]
async fn a_header_that_names_another_method_does_not_reach_the_upstream_in_any_spelling() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    for name in NAMES {
        for spelling in [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")] {
            let answer =
                exchange(&stack, &format!("POST /x/ HTTP/1.1\r\ncontent-length: 0\r\n{spelling}: DELETE"), "").await;
            assert_eq!(raw::status(&answer), 200, "{spelling}: {answer}");
            assert!(!upstream.last().head.contains("DELETE"), "{}", upstream.last().head);
        }
    }
}

#[tokio::test]
async fn a_route_with_method_override_forwards_the_one_method_that_was_judged() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "method_override = true").await;
    let post = |lines: &str| format!("POST /x/ HTTP/1.1\r\ncontent-length: 0\r\n{lines}");
    for name in NAMES {
        exchange(&stack, &post(&format!("{name}: delete")), "").await;
        assert_eq!(upstream.last().header(name), Some("DELETE"));
        let dotted = name.replace('-', ".");
        exchange(&stack, &post(&format!("{dotted}: DELETE")), "").await;
        assert!(!upstream.last().head.contains("DELETE"), "{}", upstream.last().head);
    }
    let before = upstream.heard().len();
    for (lines, status) in [
        ("X-HTTP-Method-Override: PUT\r\nX-HTTP-Method: DELETE", 400),
        ("X-HTTP-Method-Override: PUT\r\nX-HTTP-Method-Override: DELETE", 400),
        ("X-HTTP-Method-Override: PUT, DELETE", 400),
        ("X-HTTP-Method-Override:", 400),
        ("X-HTTP-Method-Override: TRACE", 405),
        ("X-HTTP-Method-Override: connect", 405),
    ] {
        let answer = exchange(&stack, &post(lines), "").await;
        assert_eq!(raw::status(&answer), status, "{lines}: {answer}");
    }
    assert_eq!(upstream.heard().len(), before);
}

/// GET and POST for everybody who is logged in, DELETE for admins, PUT elsewhere, PATCH nowhere.
async fn judged(upstream: &Upstream, other: &Upstream) -> TestStack {
    let (target, other) = (upstream.target(), other.target());
    let route = |methods: &str, upstream: &str, more: &str| {
        format!("[[routes]]\npath = \"/x/{{*rest}}\"\nmethods = {methods}\nupstream = \"{upstream}\"\n{more}\n")
    };
    let toml = [
        format!("upstreams.x = {{ targets = [\"{target}\"] }}\nupstreams.y = {{ targets = [\"{other}\"] }}\n"),
        route("[\"GET\", \"POST\"]", "x", "access = \"user\"\nmethod_override = true"),
        route("[\"DELETE\"]", "x", "access = { roles = [\"admin\"] }"),
        route("[\"PUT\"]", "y", "access = \"user\""),
    ]
    .concat();
    TestStack::with(&toml).await
}

#[tokio::test]
async fn the_real_and_the_named_method_both_have_to_pass_their_rules() {
    let (upstream, other) = (Upstream::saying("ok").await, Upstream::saying("ok").await);
    let stack = judged(&upstream, &other).await;
    let (user, admin) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    for (browser, named, status) in [
        (&user, "POST", 200),
        (&user, "DELETE", 403),
        (&admin, "DELETE", 200),
        (&admin, "PUT", 404),
        (&admin, "PATCH", 404),
    ] {
        let before = upstream.heard().len();
        let answer = browser.post("/x/1").header("x-http-method-override", named).await;
        assert_eq!(answer.status, status, "{named}: {answer}");
        assert_eq!(upstream.heard().len() - before, usize::from(status == 200), "{named}");
    }
    assert!(other.heard().is_empty());
}

#[tokio::test]
async fn a_foreign_page_cannot_name_a_method_that_it_may_not_send() {
    let (upstream, other) = (Upstream::saying("ok").await, Upstream::saying("ok").await);
    let stack = judged(&upstream, &other).await;
    let admin = stack.logged_in("jun").await;
    let get = |named| {
        let request = admin.plain(Method::GET, "/x/1").header("sec-fetch-site", "cross-site");
        request.header("sec-fetch-mode", "cors").header("x-http-method-override", named)
    };
    get("GET").await.is(200);
    let before = upstream.heard().len();
    for named in ["DELETE", "POST"] {
        get(named).await.is(403).problem("cross_origin");
    }
    assert_eq!(upstream.heard().len(), before);
}

#[tokio::test]
async fn the_gateways_own_calls_are_out_of_reach_under_a_named_method() {
    let toml = "[[routes]]\npath = \"/b/{*rest}\"\nstrip = \"/b\"\nupstream = \"backend\"\naccess = \"public\"\nmethod_override = true";
    let stack = TestStack::with(toml).await;
    let ask = |head: &str| {
        let head = format!("{head} HTTP/1.1\r\ncontent-length: 0\r\nx-http-method-override: POST");
        let stack = &stack;
        async move { raw::status(&exchange(stack, &head, "").await) }
    };
    for path in ["/b/auth/refresh", "/b/Auth/Refresh/"] {
        assert_eq!(ask(&format!("GET {path}")).await, 404, "{path}");
        assert_eq!(ask(&format!("PUT {path}")).await, 404, "{path}");
    }
}
