//! The callback of a login: which callbacks are refused, and with which page.

use http::Method;
use vestibule::demo::{Fault, hook::ScriptedAnswer, provider::Endpoint};

use crate::harness::{Answer, CallbackTamper, IdTokenTamper, TestStack, secs};

const ID_TOKEN_TAMPERS: [IdTokenTamper; 15] = [
    IdTokenTamper::WrongNonce,
    IdTokenTamper::MissingNonce,
    IdTokenTamper::WrongAudience,
    IdTokenTamper::ForeignAuthorizedParty,
    IdTokenTamper::WrongIssuer,
    IdTokenTamper::Expired,
    IdTokenTamper::IssuedInFuture,
    IdTokenTamper::MissingExpiry,
    IdTokenTamper::MissingSubject,
    IdTokenTamper::AlgNone,
    IdTokenTamper::AlgConfusion,
    IdTokenTamper::ForeignKey,
    IdTokenTamper::UnknownKeyId,
    IdTokenTamper::BrokenSignature,
    IdTokenTamper::MissingToken,
];

/// An error page, or the login page with a message.
fn is_refused(answer: &Answer) -> bool {
    answer.status.is_client_error()
        || answer.status.is_server_error()
        || answer.location().starts_with("/auth/login?error=")
}

#[tokio::test]
async fn a_bad_id_token_logs_nobody_in() {
    let stack = TestStack::start().await;
    for tamper in ID_TOKEN_TAMPERS {
        stack.provider.tamper(Some(tamper));
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/", "mina").await;
        let answer = browser.follow(&callback).await;
        assert!(is_refused(&answer), "{tamper:?}: {answer}");
        assert!(!browser.is_logged_in(), "{tamper:?}");
    }
    assert_eq!(stack.backend.counters().exchanges, 0);
    stack.provider.tamper(None);
    stack.browser().login_as("mina").await;
}

#[tokio::test]
async fn a_bad_authorization_response_logs_nobody_in() {
    let stack = TestStack::start().await;
    for tamper in [
        CallbackTamper::WrongIssuer,
        CallbackTamper::MissingIssuer,
        CallbackTamper::WrongState,
        CallbackTamper::MissingState,
        CallbackTamper::WrongCode,
    ] {
        stack.provider.tamper_callback(Some(tamper));
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/", "mina").await;
        let answer = browser.follow(&callback).await;
        assert!(is_refused(&answer), "{tamper:?}: {answer}");
        assert!(!browser.is_logged_in(), "{tamper:?}");
    }
    assert_eq!(stack.backend.counters().exchanges, 0);
}

#[tokio::test]
async fn a_wrong_absent_or_used_state_gets_a_page_with_a_link_to_start_again() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let absent = browser.navigate("/auth/callback/demo?code=x").await;
    let wrong = browser.navigate("/auth/callback/demo?code=x&state=never-given").await;
    for page in [absent, wrong] {
        let page = page.is(400);
        assert!(
            page.text().contains("This login attempt has expired") && page.text().contains("/auth/login"),
            "{page}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    }
    let korean = browser.speaking("ko").navigate("/auth/callback/demo?code=x&state=y").await.is(400);
    assert!(korean.text().contains("로그인 시도가 만료되었습니다"), "{korean}");

    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let (copy, stranger) = (browser.copy(), stack.browser());
    browser.follow(&callback).await.is(303);
    stranger.follow(&callback).await.is(400);
    stack.advance(secs(61));
    let late = copy.follow(&callback).await.is(400);
    assert!(
        late.text().contains("/auth/login?return_to=%2Fdeep"),
        "the link leads on to where the login was to: {late}"
    );
    assert!(!stranger.is_logged_in() && !copy.is_logged_in());
}

#[tokio::test]
async fn a_callback_that_comes_twice_gets_the_same_redirect_and_the_session_once() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let (preload, cut_off, after_a_logout) = (browser.copy(), browser.copy(), browser.copy());
    let (first, second) = tokio::join!(browser.follow(&callback), preload.follow(&callback));
    for answer in [first, second] {
        assert_eq!(answer.is(303).says("refreshed").location(), "/deep");
    }
    assert_eq!(cut_off.follow(&callback).await.is(303).says("refreshed").location(), "/deep");
    for browser in [&browser, &preload, &cut_off] {
        browser.fetch("/api/me").await.is(200).says("valid");
    }
    assert_eq!(stack.backend.counters().exchanges, 1);
    // The newest tokens: those of a refresh, if there was one in between.
    let tokens_before = browser.cookie_header();
    browser.post("/auth/refresh").await.is(200);
    assert_ne!(browser.cookie_header(), tokens_before);
    let newest = after_a_logout.copy();
    newest.follow(&callback).await.is(303);
    newest.fetch("/api/me").await.is(200).says("valid");
    browser.post("/auth/logout").await.is(200);
    after_a_logout.follow(&callback).await.is(400).says("anonymous");
    assert!(!after_a_logout.is_logged_in());
}

#[tokio::test]
async fn a_callback_runs_to_its_end_though_its_visitor_hangs_up_and_the_retry_gets_the_session() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let mut address = callback.location();
    address = address.strip_prefix(stack.gateway.public_url().as_str().trim_end_matches('/')).unwrap();
    let mut raw = crate::harness::Raw::connect(stack.gateway.address()).await;
    raw.send(&format!(
        "GET {address} HTTP/1.1\r\nhost: {}\r\ncookie: {}\r\nsec-fetch-mode: navigate\r\n\r\n",
        stack.gateway.host(),
        browser.cookie_header()
    ))
    .await;
    drop(raw);
    assert_eq!(browser.follow(&callback).await.is(303).location(), "/deep");
    assert!(browser.is_logged_in());
    assert_eq!(stack.backend.counters().exchanges, 1);
}

#[tokio::test]
async fn a_callback_without_the_cookie_of_its_attempt_counts_against_nobody() {
    let stack = TestStack::with("limits.failures_per_client = \"3/h\"").await;
    let foreign = stack.browser();
    for n in 0..20 {
        foreign.navigate(&format!("/auth/callback/demo?code=x&state={}", "A".repeat(40 + n % 3))).await.is(400);
    }
    stack.browser().login_as("mina").await;
    // With the cookie of an attempt another state is a guess.
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/deep", "mina").await;
    let kept = browser.copy();
    let state = callback.location().split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let guess = format!("/auth/callback/demo?code=x&state={}{}", &state[..30], "B".repeat(state.len() - 30));
    for _ in 0..3 {
        kept.copy().navigate(&guess).await.is(400);
    }
    kept.copy().navigate(&guess).await.is(429);
    // The right state is none: the login goes on.
    assert_eq!(browser.follow(&callback).await.is(303).location(), "/deep");
}

#[tokio::test]
async fn a_bad_callback_does_not_change_an_open_session() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let answer = browser.navigate("/auth/callback/demo?code=x&state=y").await.is(303);
    assert_eq!(answer.location(), "/");
    assert!(!answer.clears("sb_at") && !answer.clears("sb_rt"), "{answer}");
    assert_eq!(browser.fetch("/api/me").await.is(200).says("valid").json()["email"], "mina@example.test");
}

#[tokio::test]
async fn an_attempt_belongs_to_the_browser_that_began_it() {
    let stack = TestStack::start().await;
    let (attacker, victim) = (stack.browser(), stack.browser());
    let callback = attacker.as_far_as_callback("demo", "/", "sora").await;
    victim.follow(&callback).await.is(400);
    assert!(!victim.is_logged_in());
}

#[tokio::test]
async fn an_attempt_older_than_ten_minutes_has_expired() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let keeps_all = browser.copy();
    let held = keeps_all.cookie_header();
    stack.advance(secs(660));
    // Also for a browser that keeps expired cookies.
    for (name, value) in held.split("; ").filter_map(|pair| pair.split_once('=')) {
        keeps_all.set_cookie(name, value);
    }
    keeps_all.follow(&callback).await.is(400);
    assert!(!keeps_all.is_logged_in());
}

#[tokio::test]
async fn tabs_that_log_in_at_once_all_succeed_and_only_the_newest_five_attempts_are_kept() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let mut callbacks = Vec::new();
    for tab in 0..8 {
        callbacks.push(browser.as_far_as_callback("demo", &format!("/tab/{tab}"), "mina").await);
    }
    let attempts = browser.cookie_names().into_iter().filter(|name| name.starts_with("sb_tx")).count();
    assert_eq!(attempts, 5);
    for tab in [5, 3, 7, 4, 6] {
        let answer = browser.follow(&callbacks[tab]).await.is(303);
        assert_eq!(answer.location(), format!("/tab/{tab}"));
    }
    assert!(!browser.cookie_names().iter().any(|name| name.starts_with("sb_tx")), "finished attempts are deleted");
}

#[tokio::test]
async fn access_denied_at_the_provider_leads_back_to_the_login_page() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    stack.provider.next_error(Endpoint::Authorize, "access_denied");
    let callback = browser.as_far_as_callback("demo", "/x", "mina").await;
    let mut answer = browser.follow(&callback).await;
    while answer.status.is_redirection() {
        answer = browser.follow(&answer).await;
    }
    // A page, also if a provider is the only login method: a redirect to the provider would be a loop.
    assert!(answer.text().contains("/auth/login/demo") && answer.text().contains("role=\"alert\""), "{answer}");
    assert!(!browser.is_logged_in());
}

#[tokio::test]
async fn while_the_provider_or_the_backend_is_down_a_login_fails_and_the_next_one_works() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    stack.provider.set_down(true);
    let answer = browser.follow(&callback).await.is(503);
    assert!(answer.header("retry-after").is_some());
    stack.provider.set_down(false);
    // The provider has not taken the code: the page loaded again goes on.
    let reloaded = browser.copy();
    assert_eq!(reloaded.follow(&callback).await.is(303).says("refreshed").location(), "/");
    assert!(reloaded.is_logged_in());
    stack.backend.set_authority_fault(Fault::Unavailable);
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    browser.follow(&callback).await.is(503);
    assert!(!browser.is_logged_in());
    stack.backend.set_authority_fault(Fault::None);
    browser.login_as("mina").await;
}

#[tokio::test]
async fn a_malformed_token_answer_logs_nobody_in() {
    let stack = TestStack::start().await;
    for body in ["<html>", "{}", "[]", r#"{"access_token":5}"#, r#"{"access_token":"x","token_type":"Bearer"}"#] {
        let scripted = ScriptedAnswer::Answer {
            status: http::StatusCode::OK,
            content_type: "application/json",
            body: body.into(),
        };
        stack.provider.next_answer(Endpoint::Token, scripted);
        let browser = stack.browser();
        let callback = browser.as_far_as_callback("demo", "/", "mina").await;
        let answer = browser.follow(&callback).await;
        assert!(is_refused(&answer), "{body}: {answer}");
        assert!(!browser.is_logged_in());
    }
}

#[tokio::test]
async fn a_login_works_after_the_provider_was_down_at_first() {
    let stack = TestStack::start().await;
    stack.provider.set_down(true);
    let browser = stack.browser();
    browser.fetch("/public/ping").await.is(200);
    let start = browser.navigate("/auth/login/demo").await.is(503);
    assert!(start.header("retry-after").is_some());
    stack.provider.set_down(false);
    stack.advance(secs(30));
    browser.login_as("mina").await;
}

#[tokio::test]
async fn the_answer_to_a_callback_has_no_referrer_and_is_not_stored() {
    let stack = TestStack::start().await;
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/x", "mina").await;
    let done = browser.follow(&callback).await.is(303);
    let denied = {
        let browser = stack.browser();
        stack.provider.next_error(Endpoint::Authorize, "server_error");
        let callback = browser.as_far_as_callback("demo", "/x", "mina").await;
        browser.follow(&callback).await.is(303)
    };
    for answer in [done, denied] {
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{answer}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
        assert!(answer.body.is_empty() && !answer.location().contains("code="), "{answer}");
    }
}

#[tokio::test]
async fn tokens_in_a_callbacks_address_are_not_read() {
    let stack = TestStack::start().await;
    let id_token = stack.provider.id_token("sora", &serde_json::json!({})).unwrap();
    let browser = stack.browser();
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let mut address = url::Url::parse(callback.location()).unwrap();
    let state = address.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let front = [("access_token", "forged"), ("id_token", &id_token), ("token_type", "Bearer")];
    address.query_pairs_mut().clear().append_pair("state", &state).extend_pairs(front);
    let answer = browser.navigate(&format!("{}?{}", address.path(), address.query().unwrap())).await;
    assert!(is_refused(&answer), "{answer}");
    assert!(!browser.is_logged_in());
    // Together with a code they are ignored.
    let callback = browser.as_far_as_callback("demo", "/", "mina").await;
    let mut address = url::Url::parse(callback.location()).unwrap();
    address.query_pairs_mut().extend_pairs(front);
    browser.navigate(&format!("{}?{}", address.path(), address.query().unwrap())).await.is(303);
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["email"], "mina@example.test");
}

#[tokio::test]
async fn each_error_of_a_provider_has_its_own_text_on_a_page_without_a_redirect() {
    let stack = TestStack::start().await;
    let mut said = Vec::new();
    for error in ["access_denied", "login_required", "temporarily_unavailable", "invalid_scope"] {
        let browser = stack.browser();
        stack.provider.next_error(Endpoint::Authorize, error);
        let callback = browser.as_far_as_callback("demo", "/x", "mina").await;
        let to_page = browser.follow(&callback).await.is(303);
        let page = browser.follow(&to_page).await.is(200);
        assert!(page.text().contains("role=\"alert\"") && page.header("refresh").is_none(), "{error}: {page}");
        said.push(to_page.location().to_owned());
    }
    said.sort();
    said.dedup();
    assert_eq!(said.len(), 4, "{said:?}");
}

#[tokio::test]
async fn a_callback_by_form_post_finds_its_attempt() {
    let stack = TestStack::with("providers.demo.response_mode = \"form_post\"").await;
    let browser = stack.browser();
    let start = browser.navigate("/auth/login/demo?return_to=/x").await;
    let attempt = start.set_cookies().into_iter().find(|line| line.starts_with("sb_tx")).unwrap().to_owned();
    assert!(attempt.contains("SameSite=None") && attempt.contains("Secure"), "{attempt}");
    let page = browser.visit(&format!("{}&auto=mina", start.location())).await.is(200).text();
    let fields: Vec<_> = page
        .split("<input type=\"hidden\" name=\"")
        .skip(1)
        .map(|input| {
            let (name, rest) = input.split_once("\" value=\"").unwrap();
            (name, rest.split('"').next().unwrap())
        })
        .collect();
    let answer = browser.foreign_form("/auth/callback/demo", &stack.provider.issuer()).form(&fields).await.is(303);
    assert_eq!(answer.location(), "/x");
    assert!(browser.is_logged_in());
}

#[tokio::test]
async fn the_callback_refuses_other_methods() {
    let stack = TestStack::start().await;
    let answer = stack.browser().request(Method::PUT, "/auth/callback/demo").await;
    assert_eq!(answer.status, 405, "{answer}");
}
