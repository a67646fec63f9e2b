//! What passes through and how: bodies in both directions, heads as they should be, and faults that are told apart.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{Notify, mpsc};

use crate::harness::{Raw, Setup, Upstream, World, ok, raw};

/// A world in which `/x/…` goes to that upstream for anyone, as the rest of the route says.
async fn before(upstream: &Upstream, route: &str) -> World {
    World::with(&toml(&upstream.target(), "public", route)).await
}

fn toml(target: &str, access: &str, route: &str) -> String {
    format!(
        "upstreams.x = {{ targets = [\"{target}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"{access}\"\n{route}\n"
    )
}

/// One raw request to the gateway under its own host; `head` has no empty line at its end.
async fn exchange(world: &World, head: &str, body: &str) -> String {
    let request = format!("{head}\r\nhost: {}\r\nconnection: close\r\n\r\n{body}", world.gateway.host());
    Raw::exchange(world.gateway.address(), request).await
}

#[tokio::test]
async fn an_answer_streams() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let upstream = Upstream::start(move |mut wire| {
        let gate = Arc::clone(&opened);
        async move {
            while wire.request().await.is_some() {
                wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
                gate.notified().await;
                wire.send("6\r\nsecond\r\n0\r\n\r\n").await;
            }
        }
    })
    .await;
    let world = before(&upstream, "").await;
    let mut answer = world.browser().fetch("/x/").open().await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    gate.notify_one();
    assert_eq!(answer.next().await.unwrap().unwrap(), "second");
    assert!(answer.next().await.is_none());
}

#[tokio::test]
async fn a_request_streams() {
    let (heard, mut hears) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut wire| {
        let heard = heard.clone();
        async move {
            if wire.head().await.is_some() {
                wire.until(b"first\r\n").await.unwrap();
                heard.send(()).await.unwrap();
                wire.until(b"0\r\n\r\n").await.unwrap();
                wire.send(ok("all of it")).await;
            }
        }
    })
    .await;
    let world = before(&upstream, "").await;
    let (send, receive) = mpsc::channel::<Result<Frame<Bytes>, io::Error>>(1);
    let body = stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|frame| (frame, receive)) });
    let ask = world.browser().post("/x/").streaming(StreamBody::new(body).boxed_unsync());
    let answer = tokio::spawn(ask.into_future());
    send.send(Ok(Frame::data("first".into()))).await.unwrap();
    hears.recv().await.unwrap();
    drop(send);
    assert_eq!(answer.await.unwrap().is(200).text(), "all of it");
}

#[tokio::test]
async fn a_large_body_passes_in_both_directions() {
    let world = World::start().await;
    let browser = world.logged_in("mina").await;
    let body = Bytes::from(vec![7_u8; 20 * 1024 * 1024]);
    let answer = browser.post("/api/upload").body(body.clone()).await.is(200);
    assert_eq!(answer.json()["bytes"], body.len());
    let answer = browser.fetch("/api/download?bytes=20000000").await.is(200);
    assert_eq!(answer.body.len(), 20_000_000);
    assert!(answer.body.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % (16 * 1024) % 256));
}

#[tokio::test]
async fn a_head_request_keeps_the_length_and_has_no_body() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 1234\r\netag: \"x\"\r\n\r\n").await;
    let world = before(&upstream, "").await;
    let answer = world.browser().request(Method::HEAD, "/x/").await.is(200);
    assert_eq!(answer.header("content-length"), Some("1234"));
    assert_eq!(answer.header("etag"), Some("\"x\""));
    assert!(answer.body.is_empty());
    assert_eq!(upstream.last().line(), "HEAD /x/ HTTP/1.1");
}

#[tokio::test]
async fn answers_that_have_no_body_pass_as_they_are() {
    for (head, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ] {
        let upstream = Upstream::answering(head).await;
        let world = before(&upstream, "").await;
        for _ in 0..2 {
            let answer = world.browser().fetch("/x/").await.is(status);
            assert!(answer.body.is_empty());
        }
    }
}

#[tokio::test]
async fn trailers_pass_to_whoever_asks_for_them() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\nset-cookie: sb_at=evil\r\n\r\n",
    )
    .await;
    let world = before(&upstream, "").await;
    let answer = exchange(&world, "GET /x/ HTTP/1.1\r\nte: trailers", "").await;
    assert!(answer.to_lowercase().contains("\r\nx-sum: 42\r\n"), "{answer}");
    assert!(!answer.contains("evil"), "{answer}");
    let plain = exchange(&world, "GET /x/ HTTP/1.1", "").await;
    assert!(plain.contains("ok") && !plain.to_lowercase().contains("\r\nx-sum: 42"), "{plain}");

    // A request's pass where they are announced, and none that had to come before the body.
    let head = "POST /x/ HTTP/1.1\r\ntransfer-encoding: chunked\r\ntrailer: x-sum, content-length, x-user-id, cookie";
    let body =
        "2\r\nok\r\n0\r\nx-sum: 42\r\ncontent-length: 9\r\nx-user-id: root\r\ncookie: a=b\r\nx-unannounced: 1\r\n\r\n";
    exchange(&world, head, body).await;
    let heard = upstream.last();
    assert_eq!(heard.header("trailer"), Some("x-sum"));
    assert_eq!(String::from_utf8(heard.body).unwrap().to_lowercase(), "2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n");
}

#[tokio::test]
async fn whoever_expects_100_gets_it_before_the_body_or_a_final_answer_instead() {
    let upstream = Upstream::saying("done").await;
    let world = World::with(
        &(toml(&upstream.target(), "public", "")
            + "[[routes]]\npath = \"/closed\"\nupstream = \"x\"\naccess = \"user\""),
    )
    .await;
    let host = world.gateway.host();
    let mut visitor = Raw::connect(world.gateway.address()).await;
    visitor
        .send(format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"))
        .await;
    assert_eq!(raw::status(&visitor.head().await), 100);
    visitor.send("body").await;
    assert_eq!(raw::status(&visitor.head().await), 200);
    assert_eq!(upstream.last().body, b"body");

    let mut visitor = Raw::connect(world.gateway.address()).await;
    visitor
        .send(format!("POST /closed HTTP/1.1\r\nhost: {host}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n"))
        .await;
    let refused = visitor.rest().await;
    assert_eq!(raw::status(&refused), 401, "final, with nothing before it, and the end of the connection");
    assert_eq!(upstream.heard().len(), 1);

    let unasked = exchange(&world, "POST /x/ HTTP/1.1\r\ncontent-length: 4", "body").await;
    assert_eq!(raw::status(&unasked), 200, "no 100 for who did not ask: {unasked}");
}

#[tokio::test]
async fn whoever_expects_anything_else_is_told_so_before_the_body() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let host = world.gateway.host();
    for expected in ["tea", "100-continue, tea"] {
        let mut visitor = Raw::connect(world.gateway.address()).await;
        let head = format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\nexpect: {expected}\r\ncontent-length: 4\r\n\r\n");
        visitor.send(head).await;
        let answer = visitor.rest().await;
        assert_eq!(raw::status(&answer), 417, "{expected}: {answer}");
    }
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_request_that_comes_round_again_is_stopped() {
    let port = crate::harness::free_port();
    let route = toml(&format!("http://127.0.0.1:{port}"), "public", "");
    let world = Setup::new().port(port).with(&route).start().await;
    let answer = exchange(&world, "GET /x/round HTTP/1.1\r\nconnection: cdn-loop", "").await;
    assert_eq!(raw::status(&answer), 508, "{answer}");
}

#[tokio::test]
async fn an_upstream_sees_which_gateways_a_request_came_through() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    exchange(&world, "GET /x/ HTTP/1.1", "").await;
    assert_eq!(upstream.last().header("cdn-loop"), Some("vestibule"));
    // nginx does not compress what it answers to a request with `Via`.
    assert_eq!(upstream.last().header("via"), None);
    exchange(&world, "GET /x/ HTTP/1.1\r\ncdn-loop: cdn.example\r\nvia: 1.1 cdn", "").await;
    assert_eq!(upstream.last().all("cdn-loop"), ["cdn.example", "vestibule"]);
    assert_eq!(upstream.last().header("via"), Some("1.1 cdn"));
}

#[tokio::test]
async fn a_question_that_may_go_no_further_is_answered_here() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let answer = exchange(&world, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: 0", "").await;
    assert!(raw::status(&answer) == 204 && answer.contains("allow: GET, HEAD"), "{answer}");
    assert!(upstream.heard().is_empty());
    exchange(&world, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: 7", "").await;
    assert_eq!(upstream.last().header("max-forwards"), Some("6"));
    let answer = exchange(&world, "OPTIONS /x/ HTTP/1.1\r\nmax-forwards: some", "").await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    let answer = exchange(&world, "TRACE /x/ HTTP/1.1\r\nmax-forwards: 0", "").await;
    assert!(raw::status(&answer) == 405 && answer.contains("allow: GET, HEAD"), "{answer}");
    assert_eq!(upstream.heard().len(), 1);
}

#[tokio::test]
async fn informational_answers_of_an_upstream_end_here() {
    let upstream = Upstream::answering(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 199 Odd\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    let world = before(&upstream, "").await;
    for _ in 0..2 {
        let answer = exchange(&world, "POST /x/ HTTP/1.1\r\ncontent-length: 4", "body").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && !answer.contains("link:"), "{answer}");
    }
}

#[tokio::test]
async fn an_upstream_that_answers_head_with_a_body_harms_nobody_else() {
    let upstream = Upstream::start(|mut wire| async move {
        while let Some(heard) = wire.request().await {
            let body =
                if heard.line().starts_with("HEAD") { "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil" } else { "" };
            wire.send(ok("fine") + body).await;
        }
    })
    .await;
    let world = before(&upstream, "").await;
    for _ in 0..5 {
        let answer = world.browser().request(Method::HEAD, "/x/").await.is(200);
        assert!(answer.body.is_empty());
        assert_eq!(world.browser().fetch("/x/").await.is(200).text(), "fine");
    }
}

#[tokio::test]
async fn the_gateways_own_answers_name_no_product_and_no_version() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    for (target, status) in
        [("/x/", 200), ("/nothing-here", 404), ("/auth/login", 200), ("/auth/session", 200), ("/x/%00", 400)]
    {
        let answer = exchange(&world, &format!("GET {target} HTTP/1.1\r\naccept: text/html"), "").await;
        assert_eq!(raw::status(&answer), status, "{answer}");
        for name in ["server:", "via:", "x-powered-by:", "hyper", env!("CARGO_PKG_VERSION")] {
            let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
            assert!(!head.contains(&format!("\r\n{name}")) && !head.contains(&format!("vestibule/{name}")), "{answer}");
        }
        assert!(!answer.contains(concat!("Vestibule ", env!("CARGO_PKG_VERSION"))), "{answer}");
    }
}

#[tokio::test]
async fn the_upstream_is_told_who_asks_and_how() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let spoofed = "GET /x/ HTTP/1.1\r\nX-Forwarded-For: 1.2.3.4\r\nx-forwarded-host: evil\r\nx-forwarded-proto: https\r\n\
                   Forwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nx-forwarded-port: 1";
    exchange(&world, spoofed, "").await;
    let heard = upstream.last();
    assert_eq!(heard.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(heard.header("x-forwarded-host"), Some(world.gateway.host()));
    assert_eq!(heard.header("x-forwarded-proto"), Some("http"));
    assert!(!heard.head.contains("1.2.3.4") && !heard.head.contains("evil"), "{}", heard.head);
    assert!(heard.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_nobody_else() {
    let upstream = Upstream::saying("ok").await;
    let world = World::with(
        &(toml(&upstream.target(), "public", "") + "[server]\ntrusted_proxies = [\"127.0.0.1/32\", \"10.0.0.0/8\"]"),
    )
    .await;
    exchange(
        &world,
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
async fn headers_that_could_pass_for_ours_do_not_pass() {
    let upstream = Upstream::saying("ok").await;
    let world =
        World::with(&toml(&upstream.target(), "public", "headers = { set = { x-person = \"{claims.sub}\" } }")).await;
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
    let answer = exchange(&world, &format!("{head}\r\nx-fine: kept"), "").await;
    if raw::status(&answer) == 200 {
        let heard = upstream.last();
        assert!(!heard.head.contains("forged"), "{}", heard.head);
        assert_eq!(heard.header("x-fine"), Some("kept"));
    } else {
        assert_eq!(raw::status(&answer), 400, "{answer}");
    }
}

#[tokio::test]
async fn hop_by_hop_headers_end_here_in_both_directions() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nconnection: keep-alive, x-private\r\nx-private: secret\r\nkeep-alive: timeout=5\r\nproxy-authenticate: x\r\ncontent-length: 2\r\nx-fine: kept\r\n\r\nok",
    )
    .await;
    let world = before(&upstream, "").await;
    let head = "GET /x/ HTTP/1.1\r\nconnection: x-hop, cookie, authorization, host\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\nproxy-authorization: Basic x\r\n\
                te: gzip\r\nproxy-connection: keep-alive\r\ncookie: a=b\r\nauthorization: Basic eDp5";
    // A second Connection field closes.
    let answer = exchange(&world, head, "").await;
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
    let world = World::with(&toml(&upstream.target(), "user", route)).await;
    let browser = world.logged_in("jun").await;
    let answer = browser.fetch("/x/").header("x-unwanted", "1").header("x-fixed", "forged").await.is(200);
    assert_eq!(answer.header("server"), None);
    let heard = upstream.last();
    assert_eq!(heard.header("x-person"), Some("demo-jun/admin"));
    assert_eq!(heard.header("x-fixed"), Some("1"));
    assert_eq!(heard.header("x-unwanted"), None);
}

#[tokio::test]
async fn a_body_over_the_routes_limit_is_413() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "body_limit = \"10KiB\"").await;
    let browser = world.browser();
    browser.post("/x/").body(vec![0; 10 * 1024]).await.is(200);
    browser.post("/x/").body(vec![0; 10 * 1024 + 1]).await.is(413);
    assert_eq!(upstream.heard().len(), 1, "a length that is too large is refused before the upstream is asked");
    // Without a length: cut off when it is too much.
    let mut visitor = Raw::connect(world.gateway.address()).await;
    let head = format!("POST /x/ HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n", world.gateway.host());
    visitor.send(head).await;
    for _ in 0..12 {
        visitor.send(format!("400\r\n{}\r\n", "x".repeat(1024))).await;
    }
    assert_eq!(raw::status(&visitor.head().await), 413);
    assert_eq!(upstream.heard().len(), 1, "no whole request reached the upstream");
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_502_and_the_session_stays() {
    let gone = Upstream::saying("x").await.target();
    let world = World::with(&toml(&gone, "user", "")).await;
    let browser = world.logged_in("mina").await;
    let answer = browser.fetch("/x/").await.is(502).says("valid");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(answer.set_cookies().is_empty());
    let page = browser.navigate("/x/").await.is(502);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page}");
}

#[tokio::test]
async fn of_three_targets_one_may_be_gone_and_nobody_notices() {
    let (one, two) = (Upstream::saying("ok").await, Upstream::saying("ok").await);
    let gone = Upstream::saying("x").await.target();
    let world = World::with(&format!(
        "upstreams.x = {{ targets = [\"{}\", \"{gone}\", \"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        one.target(),
        two.target()
    ))
    .await;
    for _ in 0..15 {
        world.browser().fetch("/x/").await.is(200);
        world.browser().post("/x/").body("once").await.is(200);
    }
    let posts = [one.heard(), two.heard()].concat().iter().filter(|heard| heard.line().starts_with("POST")).count();
    assert_eq!(posts, 15);
}

#[tokio::test]
async fn what_was_sent_to_a_target_that_breaks_off_is_sent_to_no_other() {
    let breaking = Upstream::start(|mut wire| async move { drop(wire.request().await) }).await;
    let sound = Upstream::saying("ok").await;
    let world = World::with(&format!(
        "upstreams.x = {{ targets = [\"{}\", \"{}\"] }}\n[[routes]]\npath = \"/x/{{*rest}}\"\nupstream = \"x\"\naccess = \"public\"",
        breaking.target(),
        sound.target()
    ))
    .await;
    let mut broken = 0;
    for _ in 0..20 {
        let status = world.browser().post("/x/").body("once").await.status;
        assert!(status == 200 || status == 502, "{status}");
        broken += usize::from(status == 502);
    }
    assert_eq!((breaking.heard().len(), sound.heard().len()), (broken, 20 - broken));
    assert!(broken <= 3, "after three failures in a row the target is left out: {broken}");
}

#[tokio::test]
async fn an_answer_that_is_no_http_is_502() {
    for rubbish in [
        "rubbish\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx y: z\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        "",
    ] {
        let upstream = Upstream::start(move |mut wire| async move {
            if wire.request().await.is_some() {
                wire.send(rubbish).await;
            }
        })
        .await;
        let world = before(&upstream, "").await;
        let answer = world.browser().fetch("/x/").await;
        assert_eq!(answer.status, 502, "{rubbish:?}: {answer}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_too_slow_is_504() {
    let silent = Upstream::start(|mut wire| async move {
        wire.request().await;
        wire.until_closed().await;
    })
    .await;
    let world = World::with(&toml(&silent.target(), "user", "timeout = \"300ms\"")).await;
    let browser = world.logged_in("mina").await;
    let answer = browser.fetch("/x/").await.is(504).says("valid");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_never_a_clean_end() {
    for head in ["content-length: 100", "transfer-encoding: chunked"] {
        let start = if head.starts_with('c') { "some of it" } else { "a\r\nsome of it\r\n" };
        let text = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{start}");
        for resets in [false, true] {
            let text = text.clone();
            let upstream = Upstream::start(move |mut wire| {
                let text = text.clone();
                async move {
                    if wire.request().await.is_some() {
                        wire.send(text).await;
                        if resets {
                            wire.reset();
                        }
                    }
                }
            })
            .await;
            let world = before(&upstream, "").await;
            let outcome = world.browser().fetch("/x/").try_send().await;
            assert!(outcome.is_err(), "{head}, reset {resets}: {}", outcome.unwrap());
        }
    }
}

#[tokio::test]
async fn a_silent_stream_is_cut_after_its_idle_time() {
    let upstream = Upstream::start(|mut wire| async move {
        wire.request().await;
        wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
        wire.until_closed().await;
    })
    .await;
    let world = before(&upstream, "idle_timeout = \"300ms\"").await;
    let mut answer = world.browser().fetch("/x/").open().await;
    assert_eq!(answer.next().await.unwrap().unwrap(), "first");
    assert!(answer.next().await.unwrap().is_err(), "a cut, not a clean end");
}

#[tokio::test]
async fn heads_that_are_too_large_are_431() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let long = exchange(&world, &format!("GET /x/ HTTP/1.1\r\nx-long: {}", "x".repeat(33 * 1024)), "").await;
    assert_eq!(raw::status(&long), 431, "{}", long.get(..200).unwrap_or(&long));
    let many = (0..101).fold("GET /x/ HTTP/1.1".to_owned(), |head, n| format!("{head}\r\nx-{n}: 1"));
    assert_eq!(raw::status(&exchange(&world, &many, "").await), 431);
    assert!(upstream.heard().is_empty());
    let fine = (0..90).fold("GET /x/ HTTP/1.1".to_owned(), |head, n| format!("{head}\r\nx-{n}: 1"));
    assert_eq!(raw::status(&exchange(&world, &fine, "").await), 200);
}

#[tokio::test]
async fn a_head_or_body_that_does_not_come_is_408() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "idle_timeout = \"300ms\"").await;
    let host = world.gateway.host();
    let (address, mut slow_head) = (world.gateway.address(), Raw::connect(world.gateway.address()).await);
    slow_head.send(format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nx-slow:")).await;
    let mut slow_body = Raw::connect(address).await;
    slow_body.send(format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 10\r\n\r\nhalf")).await;
    let body = slow_body.rest().await;
    assert_eq!(raw::status(&body), 408, "{body}");
    let head = slow_head.rest().await;
    assert!(raw::status(&head) == 408 || head.is_empty(), "{head}");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_request_that_two_parsers_could_read_differently_is_400() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let host = world.gateway.host();
    let mut taken = Vec::new();
    let heads = [
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\na"),
        format!("GET /x/#y HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1, 1\r\n\r\na"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: +1\r\n\r\na"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: -1\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length:\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
        format!(
            "POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n"
        ),
        format!("POST /x/ HTTP/1.0\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nhost: {host}\r\n\r\n"),
        "GET /x/ HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /x/ HTTP/1.1\r\nhost : {host}\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\n folded: x\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\nx: a\0b\r\n\r\n"),
        format!("GET /x/ HTTP/1.1\r\nhost: {host}\r\n: empty\r\n\r\n"),
        format!("GET /x/\u{1} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET x HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("GET http://user@{host}/x/ HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n\r\n"),
        format!("POST /x/ HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n\r\n"),
    ];
    for head in heads {
        let mut visitor = Raw::connect(world.gateway.address()).await;
        visitor.send(&head).await;
        let answer = visitor.rest().await;
        if raw::status(&answer) != 400 {
            taken.push((head, answer));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    assert!(upstream.heard().is_empty(), "{:?}", upstream.heard());
}

#[tokio::test]
async fn what_follows_a_refused_request_is_not_read_as_another() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let host = world.gateway.host();
    let smuggled = format!(
        "POST /x/ HTTP/1.1\r\nhost: {host}\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /x/smuggled HTTP/1.1\r\nhost: {host}\r\n\r\n"
    );
    let mut visitor = Raw::connect(world.gateway.address()).await;
    visitor.send(smuggled).await;
    let answer = visitor.rest().await;
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    assert!(upstream.heard().is_empty(), "{answer} {:?}", upstream.heard());
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    let world = World::start().await;
    let host = world.gateway.host();
    let mut visitor = Raw::connect(world.gateway.address()).await;
    let request = |ms: u32| format!("GET /public/slow?ms={ms} HTTP/1.1\r\nhost: {host}\r\n\r\n");
    visitor.send(request(80) + &request(1) + &request(20)).await;
    for ms in [80, 1, 20] {
        let head = visitor.head().await;
        let length =
            head.to_lowercase().split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
        let body = String::from_utf8(visitor.exactly(length).await).unwrap();
        assert!(body.contains(&format!(":{ms}}}")), "{body}");
    }
}

#[tokio::test]
async fn methods_that_are_no_business_of_a_gateway_are_refused() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    let host = world.gateway.host();
    for (line, status) in [
        ("TRACE /x/ HTTP/1.1", 405),
        (&*format!("CONNECT {host} HTTP/1.1"), 405),
        ("CONNECT evil.example:443 HTTP/1.1", 405),
    ] {
        let answer = exchange(&world, line, "").await;
        assert!([status, 400, 421, 501].contains(&raw::status(&answer)), "{line}: {answer}");
    }
    let answer = exchange(&world, "OPTIONS * HTTP/1.1", "").await;
    assert!([200, 204].contains(&raw::status(&answer)), "{answer}");
    assert!(upstream.heard().is_empty());
}

#[tokio::test]
async fn a_redirect_is_passed_on_and_never_followed() {
    let world = World::start().await;
    let browser = world.logged_in("mina").await;
    let answer = browser.fetch("/api/status/307?to=http://elsewhere.example/x").await.is(307);
    assert_eq!(answer.location(), "http://elsewhere.example/x");
    assert_eq!(world.backend.counters().served, 1);
}

#[tokio::test]
async fn what_belongs_to_one_person_stays_out_of_shared_caches() {
    for (given, expected) in [
        (None, Some("private")),
        (Some("max-age=60"), Some("private, max-age=60")),
        (Some("public, max-age=60"), Some("public, max-age=60")),
        (Some("s-maxage=60"), Some("s-maxage=60")),
        (Some("no-store"), Some("no-store")),
    ] {
        let field = given.map(|value| format!("cache-control: {value}\r\n")).unwrap_or_default();
        let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\n{field}content-length: 0\r\n\r\n")).await;
        let world = World::with(&toml(&upstream.target(), "optional", "")).await;
        let parts = |value: &str| {
            let mut parts: Vec<_> = value.split(',').map(|part| part.trim().to_owned()).collect();
            parts.sort();
            parts
        };
        let answer = world.logged_in("mina").await.fetch("/x/").await.is(200);
        let got = parts(
            &answer.headers.get_all("cache-control").iter().map(|v| v.to_str().unwrap()).collect::<Vec<_>>().join(","),
        );
        let is_private_enough = given == Some("no-store") && got.contains(&"no-store".to_owned());
        assert!(is_private_enough || got == parts(expected.unwrap()), "{given:?}: {got:?}");
        // Without a Bearer nothing is added.
        let stranger = world.browser().fetch("/x/").await.is(200);
        assert_eq!(stranger.header("cache-control"), given);
    }
}

#[tokio::test]
async fn an_answer_with_cookies_is_stored_nowhere() {
    let upstream =
        Upstream::answering("HTTP/1.1 200 OK\r\ncache-control: public, max-age=60\r\ncontent-length: 0\r\n\r\n").await;
    let world = World::with(&toml(&upstream.target(), "user", "")).await;
    let browser = world.logged_in("mina").await;
    world.expire_tokens();
    let answer = browser.fetch("/x/").await.is(200).says("refreshed");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn path_and_query_arrive_as_they_were_sent() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    for path in ["/x/%E2%82%AC?q=%20+%2B&&=", "/x/a;b=c?d;e", "/x/~user/!$&'()*+,=:@", "/x/?%", "/x/%C3%A9/?x=/../y"] {
        exchange(&world, &format!("GET {path} HTTP/1.1"), "").await;
        assert_eq!(upstream.last().line(), format!("GET {path} HTTP/1.1"));
    }
}

#[tokio::test]
async fn a_connection_that_the_upstream_closed_is_not_the_visitors_trouble() {
    // Each connection serves one request and closes without saying so.
    let upstream = Upstream::start(|mut wire| async move {
        if wire.request().await.is_some() {
            wire.send(ok("x")).await;
        }
    })
    .await;
    let world = before(&upstream, "").await;
    let browser = world.browser();
    for _ in 0..20 {
        browser.fetch("/x/").await.is(200);
    }
    assert_eq!(upstream.connections(), 20);
}

#[tokio::test]
async fn an_upstream_connection_serves_many_requests() {
    let upstream = Upstream::saying("ok").await;
    let world = before(&upstream, "").await;
    for _ in 0..50 {
        world.browser().fetch("/x/").await.is(200);
    }
    let threads = std::thread::available_parallelism().unwrap().get();
    assert!(upstream.connections() <= threads, "{} connections for {threads} threads", upstream.connections());
}

#[tokio::test]
async fn an_upstream_may_listen_on_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|length| length > 0) {}
            stream.write_all(ok("from the socket").as_bytes()).await.unwrap();
        }
    });
    let world = Setup::new().with(&toml(&format!("unix:{}", path.display()), "public", "")).start().await;
    assert_eq!(world.browser().fetch("/x/").await.is(200).text(), "from the socket");
}

#[tokio::test]
async fn a_visitor_who_hangs_up_ends_the_request_at_the_upstream() {
    let (ended, mut ends) = mpsc::channel(1);
    let upstream = Upstream::start(move |mut wire| {
        let ended = ended.clone();
        async move {
            wire.request().await;
            wire.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
            wire.until_closed().await;
            ended.send(()).await.unwrap();
        }
    })
    .await;
    let world = before(&upstream, "").await;
    let mut answer = world.browser().fetch("/x/").open().await;
    answer.next().await.unwrap().unwrap();
    drop(answer);
    crate::harness::within_patience("the end of the upstream's connection", ends.recv()).await.unwrap();
}

#[tokio::test]
async fn a_balancer_may_say_who_asks_with_the_proxy_protocol() {
    let upstream = Upstream::saying("ok").await;
    let server = "[server]\nproxy_protocol = true\ntrusted_proxies = [\"127.0.0.1/32\"]";
    let world = World::with(&(toml(&upstream.target(), "public", "") + server)).await;
    let head = format!("GET /x/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", world.gateway.host());
    let answer =
        Raw::exchange(world.gateway.address(), format!("PROXY TCP4 203.0.113.9 127.0.0.1 4000 80\r\n{head}")).await;
    assert_eq!(raw::status(&answer), 200, "{answer}");
    assert_eq!(upstream.last().header("x-forwarded-for"), Some("203.0.113.9"));
    assert_eq!(Raw::exchange(world.gateway.address(), head).await, "", "a connection without it is not a balancer's");
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
    let world = setup.start().await;
    let browser = world.logged_in("mina").await;
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
    assert_eq!(issuer(&access), world.backend.origin());
    assert_eq!(issuer(&id), world.provider.issuer());
    assert_eq!(none.last().header("authorization"), None);
}
