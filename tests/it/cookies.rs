//! The session's cookies: attributes, sealing, splitting, and damaged ones.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::json;

use crate::harness::{Browser, Setup, TestStack, Upstream, ok, secs};

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

#[tokio::test]
async fn each_cookie_has_its_attributes_and_its_lifetime() {
    let stack = TestStack::start().await;
    let answer = stack.browser().login_as("mina").await;
    for name in ["sb_at", "sb_rt"] {
        let line = answer.set_cookie(name).unwrap();
        for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(line.contains(attribute), "{line}");
        }
        // On loopback without TLS.
        assert!(!line.contains("Secure") && !line.contains("Domain"), "{line}");
    }
    assert!(answer.set_cookie("sb_rt").unwrap().contains("; Max-Age=2592000"), "{answer}");
    let device = answer.set_cookie("sb_did").unwrap();
    assert!(
        device.contains("; SameSite=Lax") && device.contains("; Path=/") && device.contains("; Max-Age=34560000"),
        "{device}"
    );
    assert!(!device.contains("HttpOnly"), "{device}");
    let id = device.trim_start_matches("sb_did=").split(';').next().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 4);
}

#[tokio::test]
async fn the_access_tokens_cookie_lives_as_long_as_the_token() {
    let stack = TestStack::start().await;
    stack.backend.set_access_token_life(secs(1234));
    let browser = stack.logged_in("mina").await;
    let left = browser.time_left("sb_at").unwrap().as_secs();
    assert!((1230..=1234).contains(&left), "{left}");
}

#[tokio::test]
async fn a_sealed_cookie_does_not_show_its_content() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    for name in ["sb_at", "sb_rt"] {
        let value = browser.cookie(name).unwrap();
        assert!(!value.contains("eyJ") && !value.contains("rt.") && value.len() > 100, "{name}");
    }
    let again = stack.logged_in("mina").await;
    assert_ne!(browser.cookie("sb_rt"), again.cookie("sb_rt"));
}

#[tokio::test]
async fn behind_https_every_cookie_is_secure_and_may_have_the_host_prefix() {
    let https = Setup::new().known_as("https://app.example.test").with(&format!("session.keys = [\"{}\"]", key(7)));
    let stack = https.clone().start().await;
    let answer = stack.browser().login_as("mina").await;
    for name in ["sb_at", "sb_rt", "sb_did"] {
        assert!(answer.set_cookie(name).unwrap().contains("; Secure"), "{answer}");
    }
    let stack = https.with("session.host_prefix = true").start().await;
    let browser = stack.browser();
    let answer = browser.login_as("mina").await;
    for name in ["__Host-sb_at", "__Host-sb_rt", "__Host-sb_did"] {
        let line = answer.set_cookie(name).unwrap();
        assert!(line.contains("; Secure") && line.contains("; Path=/") && !line.contains("Domain"), "{line}");
    }
    browser.fetch("/api/me").await.is(200).says("valid");
    let gone = browser.post("/auth/logout").await.is(200);
    assert!(gone.set_cookie("__Host-sb_rt").unwrap().contains("; Secure"), "{gone}");
    assert_eq!(browser.cookie_names().into_iter().collect::<Vec<_>>(), ["__Host-sb_did"]);
}

#[tokio::test]
async fn cookie_names_begin_with_the_configured_prefix() {
    let stack = TestStack::with("session.cookie_prefix = \"app_\"").await;
    let browser = stack.browser();
    browser.login_as("mina").await;
    assert_eq!(browser.cookie_names().into_iter().collect::<Vec<_>>(), ["app_at", "app_did", "app_rt"]);
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn a_damaged_cookie_counts_as_absent_and_is_cleared_and_the_others_stay() {
    let stack = TestStack::start().await;
    let good = stack.logged_in("mina").await;
    let (at, rt) = (good.cookie("sb_at").unwrap(), good.cookie("sb_rt").unwrap());
    let flipped = |value: &str| {
        let mut bytes = value.as_bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    // A damaged access token: the refresh token is used.
    for spoiled in [flipped(&at), at[..at.len() - 5].to_owned(), format!("{at}AAAA")] {
        let browser = stack.logged_in("mina").await;
        browser.set_cookie("sb_at", &spoiled);
        browser.set_cookie("theme", "dark");
        browser.fetch("/api/me").await.is(200).says("refreshed");
        assert_eq!(browser.cookie("theme").as_deref(), Some("dark"));
    }
    // A damaged refresh token: the access token is used until it expires.
    let browser = stack.logged_in("mina").await;
    browser.set_cookie("sb_rt", &flipped(&rt));
    let answer = browser.fetch("/api/me").await.is(200).says("valid");
    assert!(answer.clears("sb_rt") && !answer.clears("sb_at"), "{answer}");
    stack.expire_tokens();
    browser.fetch("/api/me").await.is(401).says("anonymous");
    // Both are damaged.
    let browser = stack.browser();
    browser.set_cookie("sb_at", &flipped(&at));
    browser.set_cookie("sb_rt", &flipped(&rt));
    let answer = browser.fetch("/api/me").await.is(401).says("invalid");
    assert!(answer.clears("sb_at") && answer.clears("sb_rt"), "{answer}");
}

#[tokio::test]
async fn a_cookie_sealed_for_one_purpose_does_not_open_for_another() {
    let stack = TestStack::start().await;
    let good = stack.logged_in("mina").await;
    let browser = stack.browser();
    browser.set_cookie("sb_at", &good.cookie("sb_rt").unwrap());
    browser.fetch("/api/me").await.is(401);
    let browser = stack.browser();
    browser.set_cookie("sb_rt", &good.cookie("sb_at").unwrap());
    browser.fetch("/api/me").await.is(401);
    assert_eq!(stack.backend.refresh_calls(), 0);
}

#[tokio::test]
async fn a_cookie_sealed_with_an_unknown_key_is_ignored_and_never_cleared() {
    let stack = TestStack::with(&format!("session.keys = [\"{}\"]", key(1))).await;
    let browser = stack.logged_in("mina").await;
    let other = stack.gateway_beside(&format!("session.keys = [\"{}\"]", key(2)));
    let there = browser.at(&other);
    let answer = there.fetch("/api/me").await.is(401);
    assert!(answer.set_cookies().is_empty(), "{answer}");
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn keys_are_rotated_without_logging_anyone_out() {
    let stack = TestStack::with(&format!("session.keys = [\"{}\"]", key(1))).await;
    let browser = stack.logged_in("mina").await;
    let second = stack.gateway_beside(&format!("session.keys = [\"{}\", \"{}\"]", key(2), key(1)));
    browser.at(&second).fetch("/api/me").await.is(200).says("valid");
    stack.expire_tokens();
    browser.at(&second).fetch("/api/me").await.is(200).says("refreshed");
    let third = stack.gateway_beside(&format!("session.keys = [\"{}\"]", key(2)));
    browser.at(&third).fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn of_two_cookies_of_one_name_the_one_that_opens_counts_and_two_of_different_sessions_are_both_ignored() {
    let stack = TestStack::start().await;
    let (mina, jun) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    let ask = |cookies: String| stack.browser().plain(Method::GET, "/api/me").header("cookie", &cookies);
    let (at, other) = (mina.cookie("sb_at").unwrap(), jun.cookie("sb_at").unwrap());
    ask(format!("sb_at={at}; sb_at=planted")).await.is(200);
    ask(format!("sb_at=planted; sb_at={at}")).await.is(200);
    ask(format!("sb_at={at}; sb_at={at}")).await.is(200);
    ask(format!("sb_at={at}; sb_at={other}")).await.is(401);
    ask(format!("sb_at={other}; sb_at={at}")).await.is(401);
}

#[tokio::test]
async fn an_unsplit_session_counts_among_any_number_of_planted_copies_and_parts() {
    for seal in ["session.seal = true", "session.seal = false"] {
        let stack = TestStack::with(seal).await;
        let browser = stack.logged_in("mina").await;
        let (own, key_id) = (browser.cookie_header(), browser.cookie("sb_rt").unwrap()[..8].to_owned());
        let ask = |cookies: String| stack.browser().plain(Method::GET, "/api/me").header("cookie", &cookies);
        for planted in [
            "sb_at=planted; ".repeat(200),
            format!("sb_at={key_id}.1.planted; ").repeat(200),
            format!("sb_at={key_id}.60.; ").repeat(200),
            "sb_at.1=planted; ".repeat(5),
            "sb_rt.1=planted; sb_at.3=planted; sb_at.99=planted; ".to_owned(),
        ] {
            for header in [format!("{planted}{own}"), format!("{own}; {planted}")] {
                let answer = ask(header).await.is(200).says("valid");
                assert!(answer.set_cookies().is_empty(), "{seal} {planted:.40}: {answer}");
            }
        }
    }
}

#[tokio::test]
async fn more_than_four_copies_of_a_part_end_the_reading_of_split_values_and_clear_nothing() {
    let (_authority, stack) = long_tokens(&[5000]).await;
    let browser = stack.logged_in("mina").await;
    let own = ["sb_at", "sb_at.1"].map(|name| format!("{name}={}", browser.cookie(name).unwrap())).join("; ");
    let ask = |cookies: String| stack.browser().plain(Method::GET, "/long").header("cookie", &cookies);
    let planted = "sb_at.1=planted; ";
    for copies in 1..=3 {
        ask(format!("{}{own}", planted.repeat(copies))).await.is(200).says("valid");
        ask(format!("{own}; {}", planted.repeat(copies))).await.is(200).says("valid");
    }
    let answer = ask(format!("{}{own}", planted.repeat(4))).await.is(401).says("anonymous");
    assert!(answer.set_cookies().is_empty(), "{answer}");
    let first = format!("{}; ", own.split(';').next().unwrap());
    let answer = ask(format!("{}{own}", first.repeat(4))).await.is(401).says("anonymous");
    assert!(answer.set_cookies().is_empty(), "{answer}");
}

#[tokio::test]
async fn of_a_split_value_and_planted_copies_of_several_parts_the_choice_that_opens_counts() {
    let (_authority, stack) = long_tokens(&[9000]).await;
    let browser = stack.logged_in("mina").await;
    let part = |name: &str| format!("{name}={}", browser.cookie(name).unwrap());
    let [first, second, third] = ["sb_at", "sb_at.1", "sb_at.2"].map(part);
    let rest: Vec<_> =
        ["sb_at.3", "sb_at.4"].iter().filter(|name| browser.cookie(name).is_some()).map(|n| part(n)).collect();
    for planted in [
        ["sb_at=p", "sb_at.1=p", "sb_at.2=p", &first, &second, &third],
        [&first, "sb_at.1=p", &second, &third, "sb_at.2=p", "sb_at=p"],
        [&first, &second, "sb_at.1=p", "sb_at.2=p", "sb_at.2=q", &third],
    ] {
        let header = [&planted.join("; "), &rest.join("; ")].map(String::as_str).join("; ");
        stack.browser().plain(Method::GET, "/long").header("cookie", &header).await.is(200).says("valid");
    }
}

#[tokio::test]
async fn of_many_forged_unsealed_tokens_in_one_request_four_are_verified_and_nothing_is_cleared() {
    let stack = TestStack::with("session.seal = false").await;
    let at = stack.logged_in("mina").await.cookie("sb_at").unwrap();
    let (signed, signature) = at.rsplit_once('.').unwrap();
    let forged =
        |n: usize| format!("sb_at={signed}.{}{}", "A".repeat(signature.len() - 1), ['A', 'Q', 'g', 'w'][n % 4]);
    let ask = |cookies: String| stack.browser().plain(Method::GET, "/api/me").header("cookie", &cookies);
    let few = (0..3).map(forged).collect::<Vec<_>>().join("; ");
    let answer = ask(few).await.is(401).says("invalid");
    assert!(answer.clears("sb_at"), "{answer}");
    let many = (0..20).map(forged).collect::<Vec<_>>().join("; ");
    for _ in 0..20 {
        // The client's budget of a hundred forged tokens lasts for more than five such requests.
        let answer = ask(many.clone()).await.is(401).says("anonymous");
        assert!(answer.set_cookies().is_empty(), "{answer}");
    }
}

#[tokio::test]
async fn of_two_unsealed_tokens_the_genuine_one_counts_and_two_of_different_people_are_both_ignored() {
    let stack = TestStack::with("session.seal = false").await;
    let (mina, jun) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    let ask = |cookies: String| stack.browser().plain(Method::GET, "/api/me").header("cookie", &cookies);
    let (at, other) = (mina.cookie("sb_at").unwrap(), jun.cookie("sb_at").unwrap());
    ask(format!("sb_at={at}; sb_at=planted")).await.is(200);
    ask(format!("sb_at=planted; sb_at={at}")).await.is(200);
    ask(format!("sb_at={at}; sb_at={at}")).await.is(200);
    let newer = stack.logged_in("mina").await.cookie("sb_at").unwrap();
    assert_eq!(ask(format!("sb_at={newer}; sb_at={at}")).await.is(200).json()["email"], "mina@example.test");
    ask(format!("sb_at={at}; sb_at={other}")).await.is(401);
    ask(format!("sb_at={other}; sb_at={at}")).await.is(401);
    let (one, two) = (mina.cookie_header(), jun.cookie_header());
    ask(format!("{one}; {two}")).await.is(401);
}

#[tokio::test]
async fn an_access_token_and_a_refresh_token_of_different_logins_are_the_session_of_the_later_login() {
    let stack = TestStack::start().await;
    let mina = stack.logged_in("mina").await;
    stack.advance(secs(1));
    let jun = stack.logged_in("jun").await;
    let mixed = |at: &Browser, rt: &Browser| {
        let browser = stack.browser();
        browser.set_cookie("sb_at", &at.cookie("sb_at").unwrap());
        browser.set_cookie("sb_rt", &rt.cookie("sb_rt").unwrap());
        browser
    };
    let (newer_access, newer_refresh) = (mixed(&jun, &mina), mixed(&mina, &jun));
    assert_eq!(newer_access.fetch("/api/me").await.is(200).says("valid").json()["email"], "jun@example.test");
    // The refresh token of the other person is not used, also not by `POST /refresh` or past the end.
    newer_access.post("/auth/refresh").await.is(200).says("valid");
    let kept = newer_access.cookie("sb_at").unwrap();
    stack.expire_tokens();
    newer_access.set_cookie("sb_at", &kept);
    newer_access.fetch("/api/me").await.is(401).says("invalid");
    assert_eq!(stack.backend.refresh_calls(), 0);
    let refreshed = newer_refresh.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(refreshed.json()["email"], "jun@example.test");
    assert_eq!(mina.fetch("/api/me").await.is(200).says("refreshed").json()["email"], "mina@example.test");
    assert_eq!(stack.backend.refresh_calls(), 2);
}

#[tokio::test]
async fn an_unsealed_access_token_of_another_person_than_the_refresh_tokens_is_ignored_while_its_session_lives() {
    let stack = TestStack::with("session.seal = false").await;
    let (mina, jun) = (stack.logged_in("mina").await, stack.logged_in("jun").await);
    let mixed = stack.browser();
    let (at, rt) = (jun.cookie("sb_at").unwrap(), mina.cookie("sb_rt").unwrap());
    mixed.set_cookie("sb_at", &at);
    mixed.set_cookie("sb_rt", &rt);
    let answer = mixed.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(answer.json()["email"], "mina@example.test");
    // A login as somebody else ends the session before, and its answer may be cut after the first cookie.
    mina.post("/auth/logout").await.is(200);
    mixed.set_cookie("sb_at", &at);
    mixed.set_cookie("sb_rt", &rt);
    assert_eq!(mixed.fetch("/api/me").await.is(200).says("valid").json()["email"], "jun@example.test");
}

#[tokio::test]
async fn crafted_cookie_headers_are_harmless() {
    let stack = TestStack::start().await;
    let many = "a=b; ".repeat(3000);
    for header in
        [";;;", "=", "sb_at", "sb_at=", "sb_at.999999=x", "sb_at.1=x", "sb_at=x; sb_at.2=y", "sb_rt=\"", &many]
    {
        let answer = stack.browser().plain(Method::GET, "/api/me").header("cookie", header).await;
        assert_eq!(answer.status, 401, "{header}: {answer}");
    }
    stack.logged_in("mina").await.fetch("/api/me").await.is(200);
}

#[tokio::test]
async fn session_cookies_do_not_reach_the_upstream_and_other_cookies_pass_byte_for_byte() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"user\"",
        upstream.target()
    ))
    .await;
    let browser = stack.logged_in("mina").await;
    let own = browser.cookie_header();
    let ask = browser.plain(Method::GET, "/x").header("cookie", &format!("a=\"b c\"; {own}; a=2; odd; sb_other=1"));
    ask.await.is(200);
    let heard = upstream.last();
    let cookie = heard.header("cookie").unwrap();
    assert!(
        cookie.starts_with("a=\"b c\"; a=2; odd") && !cookie.contains("sb_at") && !cookie.contains("sb_rt"),
        "{cookie}"
    );
    assert!(heard.header("authorization").unwrap().starts_with("Bearer ey"));
}

#[tokio::test]
async fn a_route_can_forward_the_access_tokens_cookie() {
    let upstream = Upstream::saying("ok").await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"], cookies = [\"sb_at\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"user\"",
        upstream.target()
    ))
    .await;
    let browser = stack.logged_in("mina").await;
    browser.fetch("/x").await.is(200);
    assert_eq!(upstream.last().header("cookie"), Some(format!("sb_at={}", browser.cookie("sb_at").unwrap()).as_str()));
}

#[tokio::test]
async fn an_upstream_cannot_write_our_cookies_or_our_status() {
    let answer = "HTTP/1.1 200 OK\r\nset-cookie: sb_at=evil; Path=/\r\nset-cookie: sb_rt=evil\r\nset-cookie: own=1; Path=/x\r\n\
                  set-cookie: own2=2\r\nx-auth-status: valid\r\nX-Auth-Status: refreshed\r\ncontent-length: 2\r\n\r\nok";
    let upstream = Upstream::answering(answer).await;
    let stack = TestStack::with(&format!(
        "upstreams.x = {{ targets = [\"{}\"] }}\n[[routes]]\npath = \"/x\"\nupstream = \"x\"\naccess = \"optional\"",
        upstream.target()
    ))
    .await;
    let answer = stack.browser().fetch("/x").await.is(200).says("anonymous");
    assert_eq!(answer.set_cookies(), ["own=1; Path=/x", "own2=2"]);
}

/// An authority whose tokens have these lengths, one after the other.
async fn long_tokens(lengths: &'static [usize]) -> (Upstream, TestStack) {
    let authority = Upstream::start(move |mut wire| async move {
        while let Some(request) = wire.request().await {
            if request.line().starts_with("GET") {
                wire.send(ok(&request.header("authorization").unwrap_or("").len().to_string())).await;
                continue;
            }
            let asked: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
            let turn = asked["refreshToken"]
                .as_str()
                .map_or(0, |token| token.trim_start_matches("rt").parse::<usize>().unwrap());
            let token = "x".repeat(lengths[turn.min(lengths.len() - 1)]);
            let body = json!({ "accessToken": token, "refreshToken": format!("rt{}", turn + 1), "expiresIn": 300 })
                .to_string();
            wire.send(ok(&body).replace("text/plain", "application/json")).await;
        }
    })
    .await;
    let setup = Setup::new().without("authority").with(&format!(
        r#"
        upstreams.long = {{ targets = ["{}"] }}
        [authority]
        kind = "backend"
        upstream = "long"
        exchange = {{ path = "/exchange", json = {{ id_token = "{{id_token}}" }} }}
        refresh = {{ path = "/refresh", json = {{ refreshToken = "{{refresh_token}}" }} }}
        [[routes]]
        path = "/long"
        upstream = "long"
        access = "user"
        "#,
        authority.target()
    ));
    (authority, setup.start().await)
}

#[tokio::test]
async fn a_long_token_is_split_and_a_shorter_one_deletes_what_is_left_over() {
    let (_authority, stack) = long_tokens(&[9000, 5000, 100]).await;
    let browser = stack.logged_in("mina").await;
    let parts = |names: std::collections::BTreeSet<String>| {
        names.into_iter().filter(|n| n.starts_with("sb_at")).collect::<Vec<_>>()
    };
    let at_first = parts(browser.cookie_names());
    assert!(at_first.len() >= 3 && at_first[..2] == ["sb_at", "sb_at.1"], "{at_first:?}");
    assert_eq!(browser.fetch("/long").await.is(200).says("valid").text(), "9007");
    // Without its middle part the token counts as absent.
    let broken = browser.copy();
    broken.remove_cookie("sb_at.1");
    broken.fetch("/long").await.is(200).says("refreshed");

    let answer = browser.post("/auth/refresh").await.is(200);
    let then = parts(browser.cookie_names());
    assert!(then.len() < at_first.len(), "{then:?} {answer}");
    stack.advance(secs(10));
    browser.post("/auth/refresh").await.is(200);
    assert_eq!(parts(browser.cookie_names()), ["sb_at"]);
    assert_eq!(browser.fetch("/long").await.is(200).says("valid").text(), "107");
}

#[tokio::test]
async fn a_session_too_large_for_cookies_fails_and_the_page_names_the_server_store() {
    let (_authority, stack) = long_tokens(&[20_000]).await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let answer = browser.follow(&callback).await;
    assert!(answer.status.is_server_error(), "{answer}");
    assert!(!browser.is_logged_in());
    assert!(answer.text().contains("store = &quot;server&quot;") || answer.text().contains("server"), "{answer}");
}

#[tokio::test]
async fn an_unsealed_access_token_is_the_raw_jwt_and_is_verified() {
    let stack = TestStack::with("session.seal = false").await;
    let browser = stack.logged_in("mina").await;
    let token = browser.cookie("sb_at").unwrap();
    assert_eq!(token.split('.').count(), 3);
    let me = browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!(me.json()["email"], "mina@example.test");
    assert!(!browser.cookie("sb_rt").unwrap().contains("rt."));

    let (head, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    let other = stack.logged_in("jun").await.cookie("sb_at").unwrap();
    let others_payload = other.split('.').nth(1).unwrap();
    let none = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
    for forged in [
        format!("{head}.{others_payload}.{signature}"),
        format!("{head}.{payload}."),
        format!("{none}.{payload}."),
        format!("{none}.{payload}.{signature}"),
        format!("{head}.{payload}.{}", "A".repeat(signature.len())),
        stack.provider.id_token("mina", &json!({})).unwrap(),
    ] {
        let browser = stack.browser();
        browser.set_cookie("sb_at", &forged);
        browser.fetch("/api/me").await.is(401);
    }
    assert_eq!(stack.backend.counters().unauthorized, 0, "no forged token reached the backend");
}

#[tokio::test]
async fn an_unsealed_access_token_that_has_expired_is_refreshed() {
    let stack = TestStack::with("session.seal = false").await;
    let browser = stack.logged_in("mina").await;
    let expired = browser.cookie("sb_at").unwrap();
    stack.expire_tokens();
    browser.set_cookie("sb_at", &expired);
    browser.fetch("/api/me").await.is(200).says("refreshed");
    assert_eq!(stack.backend.refresh_calls(), 1);
}

#[tokio::test]
async fn a_device_id_of_the_apps_own_is_taken_if_it_is_a_uuid() {
    let stack = TestStack::start().await;
    let own = "0d3adb33-f00d-4bad-8bad-0123456789ab";
    for (cookie, taken) in [(own, true), ("not-a-uuid", false), ("../../x", false)] {
        let browser = stack.browser();
        browser.set_cookie("sb_did", cookie);
        browser.login_as("mina").await;
        let session = browser.fetch("/auth/session").await.json();
        assert_eq!(session["deviceId"] == own, taken, "{cookie}");
        assert_eq!(browser.cookie("sb_did").unwrap() == cookie, taken, "{cookie}");
    }
}
