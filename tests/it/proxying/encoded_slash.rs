//! `%2F` in a path: refused, or a part of its segment where a route keeps it; and other bytes that browsers leave raw.

use super::{exchange, in_front_of, toml};
use crate::harness::{TestStack, Upstream, raw};

#[tokio::test]
async fn an_escaped_slash_is_refused_where_the_route_does_not_keep_it() {
    let upstream = Upstream::saying("ok").await;
    let keeping = "[[routes]]\npath = \"/k/{*rest}\"\nupstream = \"x\"\naccess = \"public\"\nencoded_slash = \"keep\"";
    let stack = TestStack::with(&(toml(&upstream.target(), "public", "") + keeping)).await;
    for target in ["/x/a%2Fb", "/x/a%2fb", "/nowhere%2fx", "/auth/login%2fx", "/k%2fx", "/auth%2flogin"] {
        let answer = exchange(&stack, &format!("GET {target} HTTP/1.1"), "").await;
        assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
    }
    assert!(upstream.heard().is_empty());
    for (target, arrived) in [
        ("/k/@scope%2fpkg", "/k/@scope%2Fpkg"),
        ("/k/group%2Fsub%2Fproject/issues?x=%2f", "/k/group%2Fsub%2Fproject/issues?x=%2f"),
    ] {
        exchange(&stack, &format!("GET {target} HTTP/1.1"), "").await;
        assert_eq!(upstream.last().line(), format!("GET {arrived} HTTP/1.1"));
    }
    let before = upstream.heard().len();
    for target in [
        "/k/%2F/mine",
        "/k/a%2f",
        "/k/a%2f..%2fb",
        "/k/..%2fb",
        "/k/a%2f%2e%2e%2fb",
        "/k/a%2f%2fb",
        "/k/a%252fb",
        "/k/a%2f..;x/b",
        "/k/a%2fb/../c",
        "/k/a%5cb",
    ] {
        let answer = exchange(&stack, &format!("GET {target} HTTP/1.1"), "").await;
        assert_eq!(raw::status(&answer), 400, "{target}: {answer}");
    }
    assert_eq!(upstream.heard().len(), before);
}

#[tokio::test]
async fn an_escaped_slash_separates_no_segments_in_the_table_of_routes() {
    let upstream = Upstream::saying("ok").await;
    let routes = "encoded_slash = \"keep\"\n[[routes]]\npath = \"/q/{name}\"\nupstream = \"x\"\naccess = \"public\"\nencoded_slash = \"keep\"";
    let stack = in_front_of(&upstream, routes).await;
    exchange(&stack, "GET /q/a%2Fb HTTP/1.1", "").await;
    assert_eq!(upstream.last().line(), "GET /q/a%2Fb HTTP/1.1");
    let answer = exchange(&stack, "GET /q/a/b HTTP/1.1", "").await;
    assert_eq!(raw::status(&answer), 404, "{answer}");
}

#[tokio::test]
async fn a_bar_and_a_caret_are_escaped_and_what_browsers_escape_is_refused_raw() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    for (target, arrived) in [
        ("/x/a|b", "/x/a%7Cb"),
        ("/x/a%7cb", "/x/a%7Cb"),
        ("/x/a^b/|?c|d^e", "/x/a%5Eb/%7C?c|d^e"),
        ("/x/[slug]/(auth)/@m", "/x/[slug]/(auth)/@m"),
        ("/x/%5Bslug%5D", "/x/%5Bslug%5D"),
        ("/x/y/../a|", "/x/a%7C"),
    ] {
        exchange(&stack, &format!("GET {target} HTTP/1.1"), "").await;
        assert_eq!(upstream.last().line(), format!("GET {arrived} HTTP/1.1"));
    }
    let before = upstream.heard().len();
    for raw_byte in ["\"", "<", ">", "`", "{", "}", "\\", "\u{7f}", "한", "%"] {
        let answer = exchange(&stack, &format!("GET /x/a{raw_byte}b HTTP/1.1"), "").await;
        assert_eq!(raw::status(&answer), 400, "{raw_byte}: {answer}");
    }
    assert_eq!(upstream.heard().len(), before);
}
