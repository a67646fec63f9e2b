//! Cookies of different generations, and cookies that no browser sends.

use http::{Method, StatusCode};
use serde_json::json;
use vestibule::demo::provider::Endpoint;

use super::{all_are, asks, heads, is_alive};
use crate::harness::{Browser, Setup, TestStack, Upstream, json_answer, ok};

/// The provider's own tokens are the session's, and `/page` is for those who have one.
async fn stack(page: &Upstream) -> TestStack {
    let page = page.target();
    let toml = format!(
        "[upstreams.page]\ntargets = [\"{page}\"]\nbearer = \"access\"\n[[routes]]\npath = \"/page\"\nupstream = \"page\"\naccess = \"user\""
    );
    Setup::with_provider_as_authority().with(&toml).start().await
}

/// The end of a navigation: the number of the gateway's redirects, and whether it is the page or the provider's login.
async fn goes(stack: &TestStack, browser: &Browser) -> (usize, bool) {
    let mut answer = browser.navigate("/page").await;
    let mut redirects = 0;
    while answer.status.is_redirection() && redirects < 10 {
        redirects += 1;
        if answer.location().starts_with(&stack.provider.issuer()) {
            return (redirects, false);
        }
        answer = browser.follow(&answer).await;
    }
    assert_eq!(answer.status, 200, "{answer}");
    (redirects, true)
}

/// Issues 38919, 33943, 39210 and 42968 of Envoy.
#[tokio::test]
async fn envoy_38919_no_mix_of_old_and_new_cookies_causes_a_redirect_loop() {
    let page = Upstream::answering(ok("page")).await;
    let stack = stack(&page).await;
    let first = stack.browser();
    let callback = first.as_far_as_callback("demo", "/", "mina").await;
    let attempt = first.cookie_header();
    let (attempt_name, attempt) = attempt.split_once('=').unwrap();
    first.follow(&callback).await.is(303);
    let old = [first.cookie("sb_at").unwrap(), first.cookie("sb_rt").unwrap()];
    stack.expire_tokens();
    first.fetch("/page").await.is(200).says("refreshed");
    let new = [first.cookie("sb_at").unwrap(), first.cookie("sb_rt").unwrap()];
    let second = stack.logged_in("jun").await;
    let other = [second.cookie("sb_at").unwrap(), second.cookie("sb_rt").unwrap()];
    let bent = other.clone().map(|value| format!("{}AAAA", &value[..value.len() - 4]));
    let unknown = ["00000000.1.AAAA".to_owned(), "00000000.1.AAAA".to_owned()];
    let sets = [None, Some(&old), Some(&new), Some(&other), Some(&bent), Some(&unknown)];
    let mut combinations = 0;
    for access in sets {
        for refresh in sets {
            for flow in [None, Some(attempt), Some("bent")] {
                let browser = stack.browser();
                for (name, value) in [("sb_at", access.map(|set| &set[0])), ("sb_rt", refresh.map(|set| &set[1]))] {
                    if let Some(value) = value {
                        browser.set_cookie(name, value);
                    }
                }
                if let Some(flow) = flow {
                    browser.set_cookie(attempt_name, flow);
                }
                let (redirects, is_in) = goes(&stack, &browser).await;
                assert!(redirects <= 2, "{redirects} redirects with {access:?} {refresh:?} {flow:?}");
                // One valid cookie is enough; whether the old ones are accepted depends on when the new ones were used.
                if access != Some(&old) && refresh != Some(&old) {
                    let is_good = |set| set == Some(&new) || set == Some(&other);
                    assert_eq!(is_in, is_good(refresh) || is_good(access), "{access:?} {refresh:?}");
                }
                combinations += 1;
            }
        }
    }
    assert_eq!(combinations, 108);
}

#[tokio::test]
async fn envoy_38919_a_refresh_without_id_token_or_refresh_token_leaves_the_session() {
    let page = Upstream::answering(ok("page")).await;
    let stack = stack(&page).await;
    let browser = stack.logged_in("mina").await;
    for n in 0..3 {
        stack.expire_tokens();
        let bare = json!({ "access_token": format!("at-{n}"), "token_type": "Bearer", "expires_in": 300 });
        stack.provider.next_answer(Endpoint::Token, json_answer(StatusCode::OK, &bare));
        assert_eq!(goes(&stack, &browser).await, (0, true));
        assert_eq!(page.last().header("authorization"), Some(format!("Bearer at-{n}").as_str()));
    }
    // If the provider refuses the token, one login follows.
    stack.expire_tokens();
    stack.provider.revoke_subject("demo-mina");
    assert_eq!(goes(&stack, &browser).await, (2, false));
}

/// Also CVE-2024-24814.
#[tokio::test]
async fn cve_2023_28625_a_crafted_cookie_header_opens_no_session() {
    let stack = TestStack::start().await;
    let (pairs, names) = ("a=b; ".repeat(3000), "sb_at=x; ".repeat(1000));
    let chunks = (0..1000).map(|n| format!("sb_at.{n}=x; ")).collect::<Vec<_>>().concat();
    let crafted = [
        ";;;",
        "=",
        "==",
        "; =; =",
        "sb_at",
        "sb_at=",
        "sb_at==",
        "sb_at=\"",
        "sb_at=;sb_at=;sb_at",
        "sb_at.999999=x",
        "sb_at=x; sb_at.999999=y",
        "sb_at.18446744073709551616=x",
        "sb_at.-1=x",
        "sb_at.=x",
        "sb_at..1=x",
        "sb_at.01=x",
        "sb_at=x; sb_at.2=y",
        "sb_tx=",
        "sb_tx-=x",
        "sb_tx_x=\u{7e}",
        "sb_rt=00000000.99.AAAA",
        "sb_at=00000000.18446744073709551615.AAAA",
        &pairs,
        &names,
        &chunks,
    ];
    let requests = crafted.iter().map(|cookie| asks(&stack, "/api/me", cookie.trim_end()));
    all_are(&heads(&stack, requests).await, 401);
    stack.browser().plain(Method::GET, "/auth/session").header("cookie", ";;;=").await.is(200);
    is_alive(&stack).await;
    assert_eq!(stack.backend.counters().served, 0);
}
