//! `[limits]`: how many wrong guesses a client and an account have, and how many connections a client has.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{Answer, Browser, BrowserRequest, Issuer, Raw, Setup, TestStack, Upstream, free_port, secs};

/// The harness is the load balancer, so that a test can set the client's address.
const BEHIND: &str = "server.trusted_proxies = [\"127.0.0.1\"]\n";

fn log_in(browser: &Browser, client: &str, email: &str, password: &str) -> BrowserRequest {
    let body = json!({ "email": email, "password": password });
    browser.post("/auth/login").header("x-forwarded-for", client).header("accept-language", "ko").json(&body)
}

/// Checks the answer 429.
#[track_caller]
fn is_limited(answer: Answer) -> u64 {
    let answer = answer.is(429).problem("too_many");
    let wait: u64 = answer.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=7200).contains(&wait), "{answer}");
    assert_eq!(answer.json()["retryAfter"], wait, "{answer}");
    wait
}

#[tokio::test]
async fn an_account_over_its_limit_gets_429_and_the_backend_is_not_asked() {
    let stack = TestStack::with(&format!("{BEHIND}limits.failures_per_account = \"3/h\"")).await;
    let browser = stack.browser();
    let capitals = format!(" {} ", EMAIL.to_uppercase());
    for (client, email) in [("192.0.2.1", EMAIL), ("192.0.2.2", &capitals), ("192.0.2.3", EMAIL)] {
        log_in(&browser, client, email, "wrong").await.is(401).problem("bad_credentials");
    }
    let asked = stack.backend.recorded_at("/auth/login").len();
    let over = log_in(&browser, "192.0.2.4", EMAIL, "wrong").await.is(429);
    let text = format!("{}초 후에 다시 시도해주세요", over.header("retry-after").unwrap());
    assert_eq!(over.json()["error"], text);
    is_limited(over);
    let wait = is_limited(log_in(&browser, "192.0.2.5", EMAIL, PASSWORD).await);
    assert_eq!(stack.backend.recorded_at("/auth/login").len(), asked);

    log_in(&browser, "192.0.2.1", "somebody@example.test", "wrong").await.is(401);
    stack.advance(secs(wait));
    log_in(&browser, "192.0.2.1", EMAIL, PASSWORD).await.is(200);
}

#[tokio::test]
async fn an_unknown_account_is_limited_like_any_other() {
    let stack = TestStack::with("limits.failures_per_account = \"1/h\"").await;
    let browser = stack.browser();
    for email in [EMAIL, "nobody@example.test"] {
        log_in(&browser, "", email, "wrong").await.is(401).problem("bad_credentials");
        is_limited(log_in(&browser, "", email, "wrong").await);
    }
}

#[tokio::test]
async fn a_client_is_limited_over_all_accounts() {
    let stack = TestStack::with(&format!("{BEHIND}limits.failures_per_client = \"5/h\"")).await;
    let browser = stack.browser();
    for n in 0..5 {
        log_in(&browser, &format!("2001:db8::{n}"), &format!("p{n}@example.test"), "wrong").await.is(401);
    }
    is_limited(log_in(&browser, "2001:db8::99", EMAIL, PASSWORD).await);
    log_in(&browser, "2001:db8:0:1::99", EMAIL, PASSWORD).await.is(200);
}

#[tokio::test]
async fn right_guesses_and_an_unreachable_backend_are_not_counted() {
    let stack = TestStack::with("limits = { failures_per_client = \"1/h\", failures_per_account = \"1/h\" }").await;
    for _ in 0..4 {
        log_in(&stack.browser(), "", EMAIL, PASSWORD).await.is(200);
        stack.logged_in("mina").await;
    }
    stack.backend.set_authority_fault(vestibule::demo::Fault::Unavailable);
    for _ in 0..3 {
        log_in(&stack.browser(), "", EMAIL, PASSWORD).await.is(503);
    }
}

#[tokio::test]
async fn the_login_page_shows_that_there_were_too_many_attempts() {
    for limit in ["failures_per_client", "failures_per_account"] {
        let stack = TestStack::with(&format!("limits.{limit} = \"1/h\"")).await;
        let browser = stack.browser().speaking("ko");
        let fields = [("email", EMAIL), ("password", "wrong"), ("return_to", "/deep")];
        let form = || browser.navigate("/auth/login").with_method(http::Method::POST).form(&fields);
        let wrong = form().await.is(303);
        assert_eq!(wrong.location(), "/auth/login?error=bad_credentials&return_to=%2Fdeep");
        let over = form().await.is(303);
        assert_eq!(over.location(), "/auth/login?error=too_many&return_to=%2Fdeep");
        let page = browser.follow(&over).await.is(200).text();
        assert!(page.contains("잘못된 시도가 너무 많습니다"), "{page}");
    }
}

#[tokio::test]
async fn wrong_codes_count_for_the_client_on_pages_too() {
    let toml = format!("{BEHIND}limits.failures_per_client = \"2/h\"");
    let stack = Setup::with_codes().with(&toml).start().await;
    let browser = stack.browser();
    let from = |client: &str, ask: BrowserRequest| ask.header("x-forwarded-for", client);
    let verify = |client| {
        from(client, browser.post("/auth/sms/verify").json(&json!({ "phone": "010-1234-5678", "code": "123456" })))
    };
    verify("192.0.2.1").await.is(400).problem("code_wrong");
    // Text that cannot be a code does not count as a guess.
    let no_code = json!({ "phone": "010-1234-5678", "code": "x" });
    from("192.0.2.1", browser.post("/auth/sms/verify").json(&no_code)).await.is(400).problem("code_form");
    let page = || {
        let fields = [("phone", "010-1234-5678"), ("code", "123456"), ("return_to", "/deep")];
        from("192.0.2.1", browser.navigate("/auth/sms/verify").with_method(http::Method::POST).form(&fields))
    };
    let wrong = page().await.is(303);
    assert!(wrong.location().contains("error=code_wrong"), "{wrong}");
    let over = page().await.is(303);
    assert!(over.location().contains("error=too_many&retry="), "{over}");
    assert!(over.location().contains("return_to=%2Fdeep"), "{over}");
    is_limited(verify("192.0.2.1").await);
    verify("192.0.2.2").await.is(400).problem("code_wrong");
}

#[tokio::test]
async fn id_tokens_of_no_login_count_for_the_client_and_callbacks_of_none_for_nobody() {
    const ID_TOKEN_LOGIN: &str = r#"providers.demo.id_token_login = { audiences = ["vestibule"] }"#;
    let stack = TestStack::with(&format!("{ID_TOKEN_LOGIN}\nlimits.failures_per_client = \"3/20s\"")).await;
    let token = stack.provider.id_token("mina", &json!({})).unwrap();
    let show = |token: &str| {
        stack.browser().plain(http::Method::POST, "/auth/demo").json(&json!({ "id_token": token, "deviceName": "x" }))
    };
    show(&token).await.is(200);
    show(&token).await.is(401).problem("used_id_token");
    show("a.b.c").await.is(401).problem("invalid_id_token");
    let browser = stack.browser();
    let login = browser.as_far_as_callback("demo", "/deep", "mina").await;
    for _ in 0..5 {
        stack.browser().navigate("/auth/callback/demo?state=made-up&code=x").await.is(400);
    }
    show("a.b.d").await.is(401).problem("invalid_id_token");
    let other = stack.provider.id_token("jun", &json!({})).unwrap();
    is_limited(show(&other).await);
    // A callback of a login that was begun is no guess, and is not held up by the guesses of others.
    assert_eq!(browser.follow(&login).await.is(303).location(), "/deep");
}

#[tokio::test]
async fn a_refusal_of_a_provider_does_not_count_as_a_guess() {
    let stack = TestStack::with("limits.failures_per_client = \"1/h\"").await;
    stack.provider.tamper(Some(crate::harness::IdTokenTamper::WrongNonce));
    for _ in 0..3 {
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/", "mina").await;
        assert!(browser.follow(&callback).await.is(303).location().starts_with("/auth/login?error="));
    }
    stack.provider.tamper(None);
    stack.logged_in("mina").await;
}

#[tokio::test]
async fn while_the_store_is_unreachable_guesses_get_503_and_pages_are_shown() {
    let toml = format!("store = {{ kind = \"redis\", url = \"redis://127.0.0.1:{}\" }}", free_port());
    let stack = TestStack::with(&toml).await;
    log_in(&stack.browser(), "", EMAIL, PASSWORD).await.is(503).problem("store_unavailable");
    assert_eq!(stack.backend.recorded_at("/auth/login").len(), 0);
    stack.browser().navigate("/auth/login").await.is(200);
    stack.browser().fetch("/auth/session").await.is(200).says("anonymous");
}

/// Checks that the connection is served.
async fn served(mut stream: TcpStream, host: &str) -> TcpStream {
    let head = format!("GET /auth/session HTTP/1.1\r\nhost: {host}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    stream
}

async fn metrics(stack: &TestStack) -> String {
    let head = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    Raw::exchange(stack.gateway.admin(), head).await
}

async fn closed(mut stream: TcpStream) {
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_over_its_connection_limit_is_closed_and_another_is_served() {
    let stack = TestStack::with("limits.connections_per_client = 2\nserver.admin_listen = \"127.0.0.1:0\"").await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    let from = |ip: &'static str| async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{ip}:0").parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap()
    };
    let _first = served(from("127.0.0.1").await, host).await;
    let second = served(from("127.0.0.1").await, host).await;
    closed(from("127.0.0.1").await).await;
    let _other = served(from("127.0.0.2").await, host).await;
    assert!(metrics(&stack).await.contains("vestibule_connections_refused_total 1\n"));

    drop(second);
    while !metrics(&stack).await.contains("vestibule_connections 2\n") {}
    let _next = served(from("127.0.0.1").await, host).await;
}

#[tokio::test]
async fn connections_of_a_trusted_load_balancer_are_not_limited_per_client() {
    let stack = TestStack::with(&format!("{BEHIND}limits.connections_per_client = 1")).await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(served(TcpStream::connect(address).await.unwrap(), host).await);
    }
}

#[tokio::test]
async fn behind_the_proxy_protocol_the_address_in_its_header_counts() {
    let toml = format!("{BEHIND}server.proxy_protocol = true\nlimits.connections_per_client = 1");
    let stack = TestStack::with(&toml).await;
    let (address, host) = (stack.gateway.address(), stack.gateway.host());
    let from = |ip: &'static str| async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("PROXY TCP4 {ip} 127.0.0.1 40000 80\r\n").as_bytes()).await.unwrap();
        stream
    };
    let _first = served(from("192.0.2.1").await, host).await;
    closed(from("192.0.2.1").await).await;
    let _other = served(from("192.0.2.2").await, host).await;
}

/// A gateway that accepts raw access tokens of that issuer, with a page for those who have one.
async fn raw_tokens(issuer: &Issuer, page: &Upstream) -> TestStack {
    let toml = format!(
        "{BEHIND}session.seal = false\n{}\n[upstreams.page]\ntargets = [\"{}\"]\n[[routes]]\npath = \"/page\"\nupstream = \"page\"\naccess = \"user\"\n[[routes]]\npath = \"/open\"\nupstream = \"page\"\naccess = \"public\"",
        issuer.verify_toml(),
        page.target()
    );
    TestStack::with(&toml).await
}

#[tokio::test]
async fn forged_access_tokens_are_checked_a_hundred_times_for_a_client_and_then_once_a_second() {
    let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
    let stack = raw_tokens(&issuer, &page).await;
    let token = |n: usize| issuer.token(&issuer.access_claims(&stack.clock, &json!({ "n": n })));
    let forged = |n: usize| {
        let good = token(n);
        format!("{}.{}", good.rsplit_once('.').unwrap().0, "A".repeat(86))
    };
    let show = |client: &str, path: &str, token: &str| {
        let cookie = format!("sb_at={token}");
        stack.browser().plain(http::Method::GET, path).header("x-forwarded-for", client).header("cookie", &cookie)
    };
    // A token that was verified before is accepted, whatever other clients send.
    let live = token(0);
    show("192.0.2.1", "/page", &live).await.is(200).says("valid");
    let mut checked = 0;
    let over = loop {
        let answer = show("192.0.2.1", "/page", &forged(checked)).await;
        if answer.status == 429 {
            break answer.says("unavailable");
        }
        assert!(answer.is(401).says("invalid").clears("sb_at"));
        checked += 1;
        assert!(checked < 1000, "there is no end to them");
    };
    assert!(checked >= 100, "{checked}");
    assert!(over.set_cookies().is_empty(), "{over}");
    assert_eq!(is_limited(over), 1);
    // One check is added each second, so it may take several tries until there is none left.
    for path in ["/page", "/auth/session"] {
        let mut tries = 0;
        loop {
            while show("192.0.2.1", "/page", &forged(0)).await.status != 429 {}
            tries += 1;
            let answer = show("192.0.2.1", path, &token(tries)).await;
            if answer.status == 429 {
                assert!(answer.set_cookies().is_empty(), "{answer}");
                is_limited(answer.says("unavailable"));
                break;
            }
        }
    }
    // A token that is refused before its signature is checked is not counted, and other clients are not affected.
    show("192.0.2.1", "/page", "made.up.token").await.is(401).says("invalid");
    show("192.0.2.1", "/page", &live).await.is(200).says("valid");
    show("192.0.2.1", "/open", &token(9000)).await.is(200);
    show("192.0.2.2", "/page", &forged(0)).await.is(401);

    stack.advance(secs(1));
    show("192.0.2.1", "/page", &token(9001)).await.is(200).says("valid");
    assert_eq!(issuer.asked(), 1, "nobody but the first asked for the keys");
}

#[tokio::test]
async fn a_session_with_a_refresh_token_goes_on_while_its_client_shows_forged_ones() {
    let stack = TestStack::with("session.seal = false").await;
    let mina = stack.logged_in("mina").await;
    let token = mina.cookie("sb_at").unwrap();
    let signed = token.rsplit_once('.').unwrap().0;
    let forger = stack.browser();
    // Each is another one: the same one is not checked, and not counted, again.
    for number in 0.. {
        forger.set_cookie("sb_at", &format!("{signed}.{number:A>86}"));
        if forger.fetch("/api/me").await.status == 429 {
            break;
        }
    }
    // Her access token was not verified here, but the refresh token opens her session.
    let answer = mina.fetch("/api/me").await.is(200);
    assert_eq!(answer.json()["email"], "mina@example.test");
    assert_eq!(stack.backend.counters().unauthorized, 0);
}

#[tokio::test]
async fn what_a_foreign_page_sends_counts_against_nobody() {
    let stack = TestStack::with("limits.failures_per_client = \"2/h\"\nlimits.failures_per_account = \"2/h\"").await;
    let browser = stack.browser();
    for path in ["/auth/login", "/auth/demo", "/auth/refresh"] {
        for _ in 0..5 {
            let form = browser.foreign_form(path, "https://evil.example").form(&[("email", EMAIL), ("password", "x")]);
            form.await.is(403);
        }
    }
    log_in(&browser, "", EMAIL, "wrong").await.is(401).problem("bad_credentials");
    log_in(&browser, "", EMAIL, PASSWORD).await.is(200);
}
