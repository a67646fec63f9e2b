//! Logins from their start to the time after the logout.

use std::collections::HashSet;

use futures_util::future::join_all;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use url::Url;
use vestibule::{
    demo::{ProviderOptions, provider::Endpoint},
    secret::Random,
};

use super::{asks, heads, log_in, takes_id_tokens};
use crate::harness::{Issuer, Protocol, Provider, Setup, StoreServer, TestStack, json_answer};

const EVIL: &str = "https://evil.example";

#[tokio::test]
async fn ghsa_59jp_rwph_878r_without_a_session_only_the_gateways_own_page_is_sent() {
    let stack = TestStack::start().await;
    let asks = [
        stack.browser().post("/api/me").body("x=y"),
        stack.browser().navigate("/api/me").with_method(Method::POST).form(&[("x", "y")]),
        stack.browser().plain(Method::POST, "/api/me").body("x"),
    ];
    for ask in asks {
        let answer = ask.await;
        assert!(matches!(answer.status.as_u16(), 302 | 303 | 401), "{answer}");
        assert!(!answer.text().contains("example.test"), "{answer}");
    }
    assert_eq!((stack.backend.counters().served, stack.backend.requests("/api/me")), (0, 0));
}

/// Also CVE-2026-71326 (Traefik) and CVE-2021-32701 (Oathkeeper).
#[tokio::test]
async fn cve_2026_33496_five_hundred_requests_of_two_people_of_two_providers_get_only_their_own_tokens() {
    let setup = Setup::new().backend_trusts_anyone();
    let first = setup.clone().start().await;
    let second = Provider::start(ProviderOptions::new(first.clock.clone(), Random::system())).await.unwrap();
    let toml = format!(
        "[providers.other]\nissuer = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\nscopes = [\"openid\", \"email\"]",
        second.issuer(),
        second.client_id(),
        second.client_secret().expose()
    );
    let gateway = first.gateway_beside(&toml);
    let (mina, jun) = (gateway.browser().over(Protocol::Http2), gateway.browser().over(Protocol::Http2));
    mina.login_with("demo", "/", "mina").await;
    jun.login_with("other", "/", "jun").await;
    let before = first.backend.refresh_calls();
    first.expire_tokens();
    let both = (0..250).flat_map(|_| [(mina.clone(), "mina@example.test"), (jun.clone(), "jun@example.test")]);
    let answers = join_all(both.map(|(browser, own)| async move { (browser.fetch("/api/me").await, own) })).await;
    assert_eq!(answers.len(), 500);
    for (answer, own) in answers {
        assert_eq!(answer.is(200).json()["email"], own);
    }
    assert_eq!(first.backend.refresh_calls() - before, 2);
}

#[tokio::test]
async fn ghsa_392p_2q2v_4372_five_hundred_requests_at_two_instances_refresh_once() {
    let store = StoreServer::redis().await;
    let keys = "session.keys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]";
    let stack = Setup::new().with(keys).with(&store.toml).start().await;
    let second = stack.gateway_beside("");
    let mina = stack.logged_in("mina").await;
    stack.expire_tokens();
    let here = mina.copy().over(Protocol::Http2);
    let there = mina.copy().at(&second).over(Protocol::Http2);
    let tabs = (0..250).flat_map(|_| [here.clone(), there.clone()]);
    for answer in join_all(tabs.map(|tab| async move { tab.fetch("/api/me").await })).await {
        answer.is(200);
    }
    assert_eq!((stack.backend.refresh_calls(), stack.backend.counters().reuse_detected), (1, 0));
}

/// Also GHSA-x883-2vmg-xwf7 (Authelia).
#[tokio::test]
async fn cve_2021_41230_a_removed_role_is_gone_after_the_next_refresh() {
    let admin = "[[routes]]\npath = \"/public/ping\"\nupstream = \"backend\"\naccess = { roles = [\"admin\"] }";
    let stack = Setup::with_provider_as_authority().with(admin).start().await;
    let jun = stack.logged_in("jun").await;
    jun.fetch("/public/ping").await.is(200);
    stack.expire_tokens();
    let id_token = stack.provider.id_token("jun", &json!({ "role": "user" }));
    let tokens = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": id_token });
    stack.provider.next_answer(Endpoint::Token, json_answer(StatusCode::OK, &tokens));
    jun.fetch("/public/ping").await.is(403).says("refreshed");
}

#[tokio::test]
async fn cve_2024_39315_no_answer_of_ours_shows_a_token() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let upstream = stack.backend.recorded_at("/auth/demo");
    assert_eq!(upstream.len(), 1);
    let mut answers = vec![
        browser.fetch("/auth/session").await.is(200),
        browser.post("/auth/refresh").await.is(200),
        browser.navigate("/auth/login").await.is(303),
        browser.fetch("/.well-known/jwks.json").await.is(200),
    ];
    let credentials =
        json!({ "email": vestibule::demo::backend::EMAIL, "password": vestibule::demo::backend::PASSWORD });
    answers.push(stack.browser().post("/auth/login").json(&credentials).await.is(200));
    answers.push(browser.post("/auth/logout").await.is(200));
    for answer in answers {
        let text = answer.text();
        assert!(!text.contains(".eyJ") && !text.contains("rt.") && !text.contains("demo-jun"), "{answer}");
        for line in answer.set_cookies() {
            assert!(!line.contains(".eyJ") && !line.contains("rt."), "{line}");
        }
    }
}

#[tokio::test]
async fn cve_2021_29652_no_foreign_page_logs_anybody_out_or_sends_codes() {
    let stack = Setup::with_codes().start().await;
    let browser = stack.logged_in("mina").await;
    for path in [
        "/auth/logout",
        "/auth/refresh",
        "/auth/login",
        "/auth/sms/send",
        "/auth/sms/verify",
        "/auth/email/send",
        "/auth/email/resend",
    ] {
        browser.foreign_form(path, EVIL).form(&[("phone", "010-1234-5678")]).await.is(403);
        let script = browser.plain(Method::POST, path).header("origin", EVIL).header("sec-fetch-site", "cross-site");
        script.json(&json!({ "phone": "010-1234-5678" })).await.is(403).problem("cross_origin");
        let same_site = browser.plain(Method::POST, path).header("sec-fetch-site", "same-site").json(&json!({}));
        same_site.await.is(403).problem("cross_origin");
    }
    // A GET changes nothing.
    browser.navigate("/auth/logout").header("sec-fetch-site", "cross-site").await.is(405);
    browser.fetch("/api/me").await.is(200).says("valid");
    assert_eq!((stack.backend.messages().len(), stack.backend.counters().signouts), (0, 0));
}

/// Also CVE-2024-21492 (caddy-security). That it holds at every instance of a fleet is
/// `fleet::a_logout_at_one_instance_ends_the_session_at_all`.
#[tokio::test]
async fn cve_2026_34454_after_a_logout_copies_of_its_cookies_are_refused() {
    let stack = TestStack::start().await;
    let browser = stack.logged_in("mina").await;
    let kept = browser.copy();
    // The GET shows a page and changes no session.
    let page = stack.browser().navigate("/auth/login?error=denied").await.is(200);
    assert!(page.set_cookies().is_empty(), "{page}");
    browser.post("/auth/logout").await.is(200);
    kept.copy().fetch("/api/me").await.is(401).says("invalid");
    stack.expire_tokens();
    kept.fetch("/api/me").await.is(401).says("invalid");
    assert_eq!((stack.backend.counters().signouts, stack.backend.refresh_calls()), (1, 0));
    assert_eq!(stack.backend.recorded_at("/api/me").len(), 0);
}

#[tokio::test]
async fn cve_2024_23647_every_login_has_a_challenge_of_its_own() {
    let stack = TestStack::start().await;
    let starts = heads(
        &stack,
        (0..1000).map(|n| {
            asks(
                &stack,
                &format!("/auth/login/demo?return_to=/{n}&code_challenge=x&code_challenge_method=plain"),
                "a=b",
            )
        }),
    )
    .await;
    let mut challenges = HashSet::new();
    for head in starts {
        let location = head.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
        let url: Url = location.parse().unwrap();
        let all = |name: &str| {
            url.query_pairs().filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(all("code_challenge_method"), ["S256"], "{location}");
        let challenge = all("code_challenge");
        assert!(
            challenge.len() == 1 && challenge[0].len() == 43 && challenges.insert(challenge[0].clone()),
            "{location}"
        );
    }
    // Without the verifier the provider refuses the code (RFC 7636).
    assert_eq!(challenges.len(), 1000);
}

/// Also GHSA-5rr4-8452-hf4v (Better Auth).
#[tokio::test]
async fn cve_2024_21498_no_request_decides_which_server_the_gateway_calls() {
    let (issuer, attacker) = (Issuer::start().await, Issuer::start().await);
    let stack = takes_id_tokens(&issuer).start().await;
    let to = attacker.origin();
    let browser = stack.browser();
    let fields = [
        "issuer",
        "iss",
        "redirect_uri",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "client_id",
        "request_uri",
        "provider",
        "return_to",
    ];
    let query: String =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields.map(|name| (name, &to))).finish();
    let headers = ["x-forwarded-host", "forwarded", "x-original-url", "x-forwarded-server", "referer", "x-issuer"];
    let start =
        headers.iter().fold(browser.navigate(&format!("/auth/login/kit?{query}")), |ask, name| ask.header(name, &to));
    let start = start.await.is(303);
    let location: Url = start.location().parse().unwrap();
    assert_eq!(location.origin().ascii_serialization(), issuer.origin());
    let back = location.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap().1.into_owned();
    assert_eq!(back, stack.gateway.public_url().join("/auth/callback/kit").unwrap().as_str());
    let state = location.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let callback = format!("/auth/callback/kit?code=x&state={state}&{query}");
    browser.navigate(&callback).await;
    let token = issuer.token(&issuer.id_claims(&stack.clock, &json!({ "jku": to, "iss": to })));
    log_in(&stack, &token).await.is(401);
    let body = fields.iter().fold(json!({ "id_token": token }), |mut body, name| {
        body[name] = json!(to);
        body
    });
    browser.plain(Method::POST, "/auth/kit").json(&body).await.is(401);
    assert_eq!(attacker.asked(), 0);

    // A discovery document with another issuer than the configured one is refused.
    let liar = Issuer::start().await;
    let metadata =
        json!({ "issuer": to, "authorization_endpoint": to, "token_endpoint": to, "jwks_uri": format!("{to}/jwks") })
            .to_string();
    liar.answers(
        "/.well-known/openid-configuration",
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{metadata}", metadata.len()),
    );
    let stack = takes_id_tokens(&liar).start().await;
    stack.browser().navigate("/auth/login/kit").await.is(503);
    log_in(&stack, &attacker.token(&attacker.id_claims(&stack.clock, &json!({})))).await.is(503);
    assert_eq!(attacker.asked(), 0);
}

/// The object of `GET /session` has only the claims of `expose_claims`.
#[tokio::test]
async fn cve_2024_39315_the_object_of_a_session_has_the_claims_that_the_file_lists() {
    let stack = TestStack::with("session.expose_claims = [\"name\"]").await;
    let object = stack.logged_in("mina").await.fetch("/auth/session").await.is(200).json();
    let user: Vec<_> = object["user"].as_object().unwrap().keys().collect();
    assert_eq!(user, ["name"], "{object}");
    let own: HashSet<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(own, HashSet::from(["authenticated", "user", "roles", "expiresAt", "refreshAt", "deviceId"]));
    assert_ne!(object["deviceId"], Value::Null);
}
