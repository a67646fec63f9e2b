//! Heads through the gateway in both directions: what is forwarded, added, replaced and removed.

use super::{exchange, in_front_of, toml};
use crate::harness::{Raw, Setup, TestStack, Upstream, raw};

#[tokio::test]
async fn a_request_in_a_forwarding_loop_gets_508() {
    let port = crate::harness::free_port();
    let route = toml(&format!("http://127.0.0.1:{port}"), "public", "");
    let stack = Setup::new().port(port).with(&route).start().await;
    let answer = exchange(&stack, "GET /x/round HTTP/1.1\r\nconnection: cdn-loop", "").await;
    assert_eq!(raw::status(&answer), 508, "{answer}");
}

#[tokio::test]
async fn an_upstream_sees_which_gateways_a_request_came_through() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    exchange(&stack, "GET /x/ HTTP/1.1", "").await;
    assert_eq!(upstream.last().header("cdn-loop"), Some("vestibule"));
    // nginx does not compress what it answers to a request with `Via`.
    assert_eq!(upstream.last().header("via"), None);
    exchange(&stack, "GET /x/ HTTP/1.1\r\ncdn-loop: cdn.example\r\nvia: 1.1 cdn", "").await;
    assert_eq!(upstream.last().all("cdn-loop"), ["cdn.example", "vestibule"]);
    assert_eq!(upstream.last().header("via"), Some("1.1 cdn"));
}

#[tokio::test]
async fn options_with_max_forwards_0_is_answered_by_the_gateway() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let answer = exchange(&stack, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: 0", "").await;
    assert!(raw::status(&answer) == 204 && answer.contains("allow: GET, HEAD"), "{answer}");
    assert!(upstream.heard().is_empty());
    exchange(&stack, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: 7", "").await;
    assert_eq!(upstream.last().header("max-forwards"), Some("6"));
    let answer = exchange(&stack, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: some", "").await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    let answer = exchange(&stack, "TRACE /x/ HTTP/1.1\r\nmax-forwards: 0", "").await;
    assert!(raw::status(&answer) == 405 && answer.contains("allow: GET, HEAD"), "{answer}");
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn informational_answers_of_an_upstream_are_not_forwarded() {
    let upstream = Upstream::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let stack = in_front_of(&upstream, "").await;
    for _ in 0..2 {
        let answer = exchange(&stack, "POST /x/ HTTP/1.1\r\ncontent-length: 4", "body").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("link:"), "{answer}");
    }
}

#[tokio::test]
async fn the_gateways_own_answers_name_no_product_and_no_version() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    for (target, status) in
        [("/x/", 200), ("/nothing-here", 404), ("/auth/login", 200), ("/auth/session", 200), ("/x/%00", 400)]
    {
        let answer = exchange(&stack, &format!("GET {target} HTTP/1.1\r\naccept: text/html"), "").await;
        assert_eq!(raw::status(&answer), status, "{answer}");
        for name in ["server:", "via:", "x-powered-by:", "hyper", env!("CARGO_PKG_VERSION")] {
            let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
            assert!(!head.contains(&format!("\r\n{name}")) && !head.contains(&format!("vestibule/{name}")), "{answer}");
        }
        assert!(!answer.contains(concat!("Vestibule ", env!("CARGO_PKG_VERSION"))), "{answer}");
    }
}

#[tokio::test]
async fn the_upstream_gets_the_clients_address_host_and_scheme() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    let spoofed = "GET /x/ HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-host: evil\r\nx-forwarded-proto: https\r\n\
                   Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nx-forwarded-port: 1";
    exchange(&stack, spoofed, "").await;
    let heard = upstream.last();
    assert_eq!(heard.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(heard.header("x-forwarded-host"), Some(stack.gateway.host()));
    assert_eq!(heard.header("x-forwarded-proto"), Some("http"));
    assert!(!heard.head.contains("1.2.3.4") && !heard.head.contains("evil"), "{}", heard.head);
    assert!(heard.header("x-request-id").is_some());
}

#[tokio::test]
async fn forwarded_headers_are_believed_only_of_trusted_proxies() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(
        &(toml(&upstream.target(), "public", "") + "[server]\ntrusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]"),
    )
    .await;
    exchange(
        &stack,
        "GET /x/ HTTP/1.1\r\nx-forwarded-for: 6.6.6.6, 203.0.113.9, 10.0.0.7\r\nx-forwarded-proto: http",
        "",
    )
    .await;
    let heard = upstream.last();
    let client = heard.header("x-forwarded-for").unwrap();
    assert!(client.starts_with("203.0.113.9") || client == "203.0.113.9", "{client}");
    assert!(!client.contains("6.6.6.6"), "{client}");
}

#[tokio::test]
async fn headers_that_only_the_gateway_may_set_are_not_forwarded() {
    let upstream = Upstream::saying("ok").await;
    let stack =
        TestStack::with(&toml(&upstream.target(), "public", "headers = { set = { x-person = \"{claims.sub}\" } }"))
            .await;
    let forged = [
        "X-Auth-User",
        "x-auth-request-email",
        "X_Auth_User",
        "x.auth.user",
        "Remote-User",
        "remote_groups",
        "X-User",
        "X-User-Id",
        "x_user_id",
        "vestibule-assertion",
        "Vestibule_Assertion",
        "X-Person",
        "x_person",
        "x.person",
        "X-Real-IP",
        "some_underscore",
    ];
    let head = forged.iter().fold("GET /x/ HTTP/1.1".to_owned(), |head, name| format!("{head}\r\n{name}: forged"));
    let answer = exchange(&stack, &format!("{head}\r\nx-fine: kept"), "").await;
    if raw::status(&answer) == 200 {
        let heard = upstream.last();
        assert!(!heard.head.contains("forged"), "{}", heard.head);
        assert_eq!(heard.header("x-fine"), Some("kept"));
    } else {
        assert_eq!(raw::status(&answer), 400, "{answer}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_are_removed_in_both_directions() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-private\r\nx-private: secret\r\nkeep-alive: timeout=5\r\nproxy-authenticate: x\r\ncontent-length: 2\r\nx-fine: kept\r\n\r\nok",
    )
    .await;
    let stack = in_front_of(&upstream, "").await;
    let head = "GET /x/ HTTP/1.1\r\nconnection: x-hop, cookie, authorization, host\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\nproxy-authorization: Basic x\r\n\
                te: gzip\r\nproxy-connection: keep-alive\r\ncookie: a=b\r\nauthorization: Basic eDp5";
    // A second Connection field closes.
    let answer = exchange(&stack, head, "").await;
    let heard = upstream.last();
    for name in ["x-hop", "keep-alive", "proxy-authorization", "proxy-connection"] {
        assert_eq!(heard.header(name), None, "{}", heard.head);
    }
    assert!(!heard.all("te").contains(&"gzip"), "{}", heard.head);
    assert_eq!(heard.header("cookie"), Some("a=b"));
    assert_eq!(heard.header("authorization"), Some("Basic eDp5"));
    assert!(!answer.contains("secret") && !answer.contains("timeout=5") && answer.contains("x-fine: kept"), "{answer}");
}

#[tokio::test]
async fn a_route_sets_headers_from_claims_and_removes_others() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nserver: secret/1.0\r\ncontent-length: 0\r\n\r\n").await;
    let route = "headers = { set = { x-person = \"{claims.sub}/{claims.role}\", x-fixed = \"1\" }, remove = [\"server\", \"x-unwanted\"] }";
    let stack = TestStack::with(&toml(&upstream.target(), "user", route)).await;
    let browser = stack.logged_in("jun").await;
    let answer = browser.fetch("/x/").header("x-unwanted", "1").header("x-fixed", "forged").await.is(200);
    assert_eq!(answer.header("server"), None);
    let heard = upstream.last();
    assert_eq!(heard.header("x-person"), Some("demo-jun/admin"));
    assert_eq!(heard.header("x-fixed"), Some("1"));
    assert_eq!(heard.header("x-unwanted"), None);
}

#[tokio::test]
async fn a_redirect_is_passed_on_and_never_followed() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.fetch("/api/status/307?to=http://elsewhere.example/x").await.is(307);
    assert_eq!(answer.location(), "http://elsewhere.example/x");
    assert_eq!(stack.backend.counters().served, 1);
}

#[tokio::test]
async fn answers_for_a_session_stay_out_of_shared_caches() {
    for (given, expected) in [
        (None, Some("private")),
        (Some("max-age=60"), Some("private, max-age=60")),
        (Some("public, max-age=60"), Some("public, max-age=60")),
        (Some("s-maxage=60"), Some("s-maxage=60")),
        (Some("no-store"), Some("no-store")),
    ] {
        let field = given.map(|value| format!("cache-control: {value}\r\n")).unwrap_or_default();
        let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\n{field}content-length: 0\r\n\r\n")).await;
        let stack = TestStack::with(&toml(&upstream.target(), "optional", "")).await;
        let parts = |value: &str| {
            let mut parts: Vec<_> = value.split(',').map(|part| part.trim().to_owned()).collect();
            parts.sort();
            parts
        };
        let answer = stack.logged_in("mina").await.fetch("/x/").await.is(200);
        let got = parts(
            &answer.headers.get_all("cache-control").iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join(","),
        );
        let is_private_enough = given == Some("no-store") && got.contains(&"no-store".to_owned());
        assert!(is_private_enough || got == parts(expected.unwrap()), "{given:?}: {got:?}");
        // Without a Bearer nothing is added.
        let stranger = stack.browser().fetch("/x/").await.is(200);
        assert_eq!(stranger.header("cache-control"), given);
    }
}

#[tokio::test]
async fn answers_to_requests_with_identity_headers_are_private_without_a_bearer_too() {
    for (status, given, expected) in [
        ("200 OK", "", Some("private")),
        ("304 Not Modified", "", Some("private")),
        ("404 Not Found", "cache-control: max-age=60\r\n", Some("max-age=60, private")),
        ("200 OK", "cache-control: public, max-age=60\r\n", Some("public, max-age=60")),
    ] {
        let upstream = Upstream::answering(format!("HTTP/1.1 {status}\r\n{given}content-length: 0\r\n\r\n")).await;
        let set = "headers = { set = { x-person = \"{claims.sub}\" } }";
        let stack = Setup::new()
            .with(&toml(&upstream.target(), "optional", set))
            .with("upstreams.x.bearer = \"none\"")
            .start()
            .await;
        let answer = stack.logged_in("mina").await.fetch("/x/").await;
        assert!(upstream.last().header("x-person").is_some() && upstream.last().header("authorization").is_none());
        assert_eq!(answer.header("cache-control"), expected, "{status} {given}");
        let stranger = stack.browser().fetch("/x/").await;
        assert_eq!(stranger.header("cache-control").is_some(), !given.is_empty(), "nobody's answer is as it came");
    }
}

#[tokio::test]
async fn answers_to_requests_that_say_nothing_of_the_user_are_as_they_came() {
    let upstream = Upstream::saying("ok").await;
    let set = "headers = { set = { x-tenant = \"a\" } }";
    for (cookies, expected) in [("[]", None), ("[\"sb_at\"]", Some("private"))] {
        let stack = Setup::new()
            .with(&toml(&upstream.target(), "optional", set))
            .with(&format!("upstreams.x = {{ bearer = \"none\", cookies = {cookies} }}"))
            .start()
            .await;
        let answer = stack.logged_in("mina").await.fetch("/x/").await.is(200);
        assert_eq!(answer.header("cache-control"), expected, "{cookies}");
    }
}

#[tokio::test]
async fn an_upstream_sets_none_of_our_cookies_under_no_name_either() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nset-cookie: =sb_at=x\r\nset-cookie: = sb_rt=x; Path=/\r\nset-cookie: sb_did\r\n\
         set-cookie: theme=sb_at\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let stack = in_front_of(&upstream, "").await;
    let answer = exchange(&stack, "GET /x/ HTTP/1.1", "").await;
    let set: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: ")).collect();
    assert_eq!(set, ["theme=sb_at"]);
}

#[tokio::test]
async fn a_trailer_is_held_to_the_list_of_the_head() {
    let upstream = Upstream::saying("ok").await;
    let other = "[[routes]]\npath = \"/other\"\nupstream = \"x\"\naccess = \"user\"\nheaders = { set = { x-person = \"{claims.sub}\" } }";
    let stack = TestStack::with(&(toml(&upstream.target(), "public", "") + other)).await;
    let forged = [
        "x-person",
        "x.person",
        "X-User-Id",
        "Proxy",
        "X-Original-URI",
        "x-http-method",
        "x-request-id",
        "remote_user",
    ];
    let lines = forged.map(|name| format!("{name}: forged\r\n")).concat();
    let head = format!(
        "POST /x/ HTTP/1.1\r\ntransfer-encoding: chunked\r\nte: trailers\r\ntrailer: x-sum, {}",
        forged.join(", ")
    );
    let answer = exchange(&stack, &head, &format!("2\r\nok\r\n0\r\nx-sum: 7\r\n{lines}\r\n")).await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
    let heard = upstream.last();
    let body = String::from_utf8_lossy(&heard.body);
    assert!(body.contains("x-sum: 7") && !body.contains("forged"), "{body}");
    assert_eq!(heard.header("trailer"), Some("x-sum"));
}

#[tokio::test]
async fn an_answer_with_cookies_is_stored_nowhere() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 0\r\n\r\n").await;
    let stack = TestStack::with(&toml(&upstream.target(), "user", "")).await;
    let browser = stack.logged_in("mina").await;
    stack.expire_tokens();
    let answer = browser.fetch("/x/").await.is(200).says("refreshed");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn path_and_query_arrive_as_they_were_sent() {
    let upstream = Upstream::saying("ok").await;
    let stack = in_front_of(&upstream, "").await;
    for path in ["/x/%E2%82%AC?q=%20+%2B&&=", "/x/a;b=c?d;e", "/x/~user/!$&'()*+,=:@", "/x/?%", "/x/%C3%A9/?x=/../y"] {
        exchange(&stack, &format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!(upstream.last().line(), format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn the_clients_address_can_come_with_the_proxy_protocol() {
    let upstream = Upstream::saying("ok").await;
    let server = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1/32\"]";
    let stack = TestStack::with(&(toml(&upstream.target(), "public", "") + server)).await;
    let head = format!("GET /x/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", stack.gateway.host());
    let answer =
        Raw::exchange(stack.gateway.address(), format!("PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n{head}")).await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
    assert_eq!(upstream.last().header("x-forwarded-for"), Some("203.0.113.9"));
    assert_eq!(Raw::exchange(stack.gateway.address(), head).await, "", "a connection without it is not a balancer's");
}

#[tokio::test]
async fn each_upstream_gets_the_bearer_that_the_file_says() {
    let (access, id, none) = (Upstream::saying("ok").await, Upstream::saying("ok").await, Upstream::saying("ok").await);
    let mut setup = Setup::new();
    for (name, upstream) in [("access", &access), ("id", &id), ("none", &none)] {
        setup = setup.with(&format!(
            "upstreams.{name} = {{ targets = [\"{}\"], bearer = \"{name}\" }}\n[[routes]]\npath = \"/{name}\"\nupstream = \"{name}\"\naccess = \"user\"",
            upstream.target()
        ));
    }
    let stack = setup.start().await;
    let browser = stack.logged_in("mina").await;
    for path in ["/access", "/id", "/none"] {
        browser.fetch(path).await.is(200);
    }
    let issuer = |upstream: &Upstream| {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let heard = upstream.last();
        let token = heard.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice::<serde_json::Value>(&claims).unwrap()["iss"].clone()
    };
    assert_eq!(issuer(&access), stack.backend.origin());
    assert_eq!(issuer(&id), stack.provider.issuer());
    assert_eq!(none.last().header("authorization"), None);
}
