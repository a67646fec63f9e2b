//! Claims of tokens: issuer, audience, times and subject.

use serde_json::{Value, json};

use super::{Changes, log_in, show, takes_access_tokens, takes_id_tokens};
use crate::harness::{Issuer, Upstream};

fn far(seconds: i64, clock: &vestibule::clock::Clock) -> Value {
    json!(clock.now().as_secs() + seconds)
}

/// Also GHSA-wxg7-w2v3-w38g (Zitadel) and GHSA-wcvh-g65p-v576 (`mod_auth_openidc`).
#[tokio::test]
async fn cve_2026_55669_a_token_for_another_audience_or_time_is_refused() {
    let (issuer, page) = (Issuer::start().await, Upstream::saying("page").await);
    let stack = takes_access_tokens(&issuer, &page).await;
    let clock = &stack.clock;
    let of_both: Vec<Changes> = vec![
        ("aud", json!("another")),
        ("aud", json!(["another", "third"])),
        ("aud", Value::Null),
        ("aud", json!({ "api": true })),
        ("iss", json!("https://evil.example")),
        ("iss", Value::Null),
        ("exp", Value::Null),
        ("exp", json!(1e300)),
        ("exp", json!("4102444800")),
        ("exp", json!(-1)),
        ("exp", far(-120, clock)),
        ("nbf", far(300, clock)),
        ("nbf", json!("now")),
    ];
    let of_id_tokens: Vec<Changes> = vec![
        ("aud", json!(["client", "another"])),
        ("azp", json!("another")),
        ("iat", far(300, clock)),
        ("iat", far(-700, clock)),
        ("iat", Value::Null),
        ("iat", json!("now")),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(5)),
    ];
    for (claim, value) in &of_both {
        let answer = show(&stack, &issuer.token(&issuer.access_claims(clock, &json!({ *claim: value })))).await;
        assert_eq!(answer.status, 401, "{claim} {value}: {answer}");
    }
    show(&stack, &issuer.token(&issuer.access_claims(clock, &json!({})))).await.is(200);
    assert_eq!(page.heard().len(), 1);

    let stack = takes_id_tokens(&issuer).start().await;
    let both_parties = json!({ "aud": ["client", "another"], "azp": "another" });
    let sets = of_both.iter().chain(&of_id_tokens).map(|(claim, value)| json!({ *claim: value }));
    for changes in sets.chain([both_parties]) {
        let token = issuer.token(&issuer.id_claims(&stack.clock, &changes));
        let answer = log_in(&stack, &token).await;
        assert_eq!(answer.status, 401, "{changes}: {answer}");
        assert!(answer.problem("invalid_id_token").set_cookies().is_empty());
    }
    let good = json!({ "aud": ["client", "another"], "azp": "client" });
    log_in(&stack, &issuer.token(&issuer.id_claims(&stack.clock, &good))).await.is(200);
}

#[tokio::test]
async fn cve_2026_40574_only_a_plain_verified_address_of_the_domain_is_admitted() {
    let issuer = Issuer::start().await;
    let stack = takes_id_tokens(&issuer).with("providers.kit.allow = { email_domains = [\"corp.com\"] }").start().await;
    let with = async |email: &str, verified: Value| {
        let claims = issuer.id_claims(&stack.clock, &json!({ "email": email, "email_verified": verified }));
        log_in(&stack, &issuer.token(&claims)).await
    };
    with("a@corp.com", json!(true)).await.is(200);
    for email in [
        "a@evil@corp.com",
        "a@@corp.com",
        "a@evil.example,b@corp.com",
        "\"a@evil.example\"@corp.com",
        "a(@evil.example)@corp.com",
        "a\u{ff20}corp.com",
        "corp.com",
        "@corp.com",
        "a@badcorp.com",
        "a@sub.corp.com",
        "a@corp.com.evil.example",
        "a@corp.com\u{0}",
        "<a@corp.com>",
    ] {
        let answer = with(email, json!(true)).await;
        assert_eq!(answer.status, 403, "{email}: {answer}");
        assert!(answer.set_cookies().is_empty(), "{answer}");
    }
    for verified in [json!(false), json!("true"), json!(1), Value::Null] {
        with("a@corp.com", verified).await.is(403);
    }
}

#[tokio::test]
async fn ghsa_g38m_r43w_p2q7_the_same_address_at_another_issuer_is_another_person() {
    let (issuer, other) = (Issuer::start().await, Issuer::start().await);
    let second = other.provider_toml().replace("[providers.kit]", "[providers.other]");
    let expose = "session.expose_claims = [\"sub\", \"email\"]";
    let stack = takes_id_tokens(&issuer).with(&second).with(expose).start().await;
    let who = json!({ "email": "mina@example.test", "email_verified": true });
    let first = log_in(&stack, &issuer.token(&issuer.id_claims(&stack.clock, &who))).await.is(200).json();
    let mut subjects = vec![first["user"]["sub"].clone()];
    for verified in [json!(false), json!("true"), json!(true), Value::Null] {
        let who = json!({ "email": "mina@example.test", "email_verified": verified });
        let token = other.token(&other.id_claims(&stack.clock, &who));
        let body = json!({ "id_token": token, "deviceName": "test" });
        let answer = stack.browser().plain(http::Method::POST, "/auth/other").json(&body).await.is(200).json();
        assert_ne!(answer["user"]["sub"], subjects[0], "{answer}");
        subjects.push(answer["user"]["sub"].clone());
    }
    // Verified or not, the address does not decide: issuer and subject identify the person.
    assert!(subjects[1..].iter().all(|subject| *subject == subjects[1]), "{subjects:?}");
}
