//! A login, an app's ID token and a refresh, with a provider that is correct, malicious or unreachable.

use std::time::Duration;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::{
    fake::{CLIENT, Fake, METADATA, Signer, b64},
    *,
};
use crate::{
    scripted::Reply,
    secret::{AccessToken, IdToken, RefreshToken, Secret},
};

mod given;
mod id_tokens;
mod refresh;

const REDIRECT: &str = "https://app.example.kr/auth/callback/corp";

async fn attempt(provider: &Provider) -> Attempt {
    provider.authorization(REDIRECT, &[]).await.unwrap().attempt
}

fn callback(attempt: &Attempt) -> CallbackParams {
    CallbackParams { code: Secret::new("code+1"), state: attempt.state.clone(), iss: None }
}

fn tokens(id_token: &IdToken) -> Reply {
    Reply::json(
        200,
        &json!({"access_token": "at1", "refresh_token": "rt1", "token_type": "Bearer", "expires_in": "3600", "id_token": id_token.expose()}),
    )
}

/// Logs in with an ID token of these claims (the attempt's nonce is added unless they have one).
async fn login(fake: &Fake, provider: &Provider, mut claims: Value) -> Result<Identity, OidcError> {
    let attempt = attempt(provider).await;
    if claims.get("nonce").is_none() {
        claims["nonce"] = json!(attempt.nonce.expose());
    }
    fake.answer("/token", tokens(&fake.id_token(claims)));
    provider.redeem(callback(&attempt), &attempt, REDIRECT).await
}

#[tokio::test]
async fn the_authorization_request_is_protected_and_its_secrets_are_new_each_time() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    settings.authorize_params = vec![
        ("access_type".to_owned(), "offline".to_owned()),
        ("prompt".to_owned(), "consent".to_owned()),
        ("code_challenge_method".to_owned(), "plain".to_owned()),
    ];
    settings.response_mode = ResponseMode::FormPost;
    let provider = fake.provider_with(settings);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..100 {
        let Authorization { url, attempt } =
            provider.authorization(REDIRECT, &[("prompt", "login"), ("state", "mine")]).await.unwrap();
        let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        query.sort();
        let challenge = b64(digest::digest(&digest::SHA256, attempt.verifier.expose().as_bytes()).as_ref());
        let mut expected = vec![
            ("access_type", "offline"),
            ("client_id", CLIENT),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
            ("nonce", attempt.nonce.expose()),
            ("prompt", "login"),
            ("redirect_uri", REDIRECT),
            ("response_mode", "form_post"),
            ("response_type", "code"),
            ("scope", "openid email"),
            ("state", attempt.state.expose()),
            ("tenant", "1"),
        ];
        expected.sort_unstable();
        assert_eq!(query, expected.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>());
        assert!((43..=128).contains(&attempt.verifier.expose().len()));
        for secret in [&attempt.state, &attempt.nonce, &attempt.verifier] {
            assert!(secret.expose().len() >= 22 && seen.insert(secret.expose().to_owned()));
        }
    }
    assert_eq!(fake.server.count(METADATA), 1, "discovery is asked once");
}

#[tokio::test]
async fn cve_2024_23647_each_of_10000_logins_has_a_new_pkce_verifier() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let mut seen = std::collections::HashSet::new();
    for _ in 0..10_000 {
        let Authorization { url, attempt } = provider.authorization(REDIRECT, &[]).await.unwrap();
        assert!(url.as_str().contains("code_challenge_method=S256") && url.as_str().contains("code_challenge="));
        assert!(seen.insert(attempt.verifier.expose().to_owned()));
    }
}

#[tokio::test]
async fn a_code_becomes_an_identity() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    assert_eq!(provider.reachable(), Reachability::Untried);
    let identity = login(&fake, &provider, json!({"email": "a@b.kr"})).await.unwrap();
    assert_eq!((&identity.claims["sub"], &identity.profile["email"]), (&json!("u1"), &json!("a@b.kr")));
    let got = identity.tokens.unwrap();
    assert_eq!((got.access_token.expose(), got.refresh_token.unwrap().expose()), ("at1", "rt1"));
    assert_eq!(got.expires_in, Some(json!("3600")));
    let asked = fake.server.seen().into_iter().find(|seen| seen.target == "/token").unwrap();
    assert_eq!(asked.header("authorization"), Some("Basic Y2xpZW50JTNBMTpzJTI2Y3JldA=="), "both parts form-encoded");
    assert_eq!(asked.field("grant_type").as_deref(), Some("authorization_code"));
    assert_eq!(asked.field("code").as_deref(), Some("code+1"));
    assert_eq!(asked.field("redirect_uri").as_deref(), Some(REDIRECT));
    assert_eq!(asked.field("code_verifier").map(|verifier| verifier.len()), Some(43));
    assert_eq!((asked.field("client_secret"), asked.field("state")), (None, None));
    assert_eq!(provider.reachable(), Reachability::Reachable);
}

#[tokio::test]
async fn naver_receives_secret_and_state_as_form_fields_and_its_wrapped_profile_is_read() {
    let fake = Fake::start().await;
    let provider = fake.provider_with(Settings { preset: Preset::Naver, ..fake.settings() });
    fake.answer(
        METADATA,
        fake.metadata_with(json!({
            "code_challenge_methods_supported": null, "userinfo_endpoint": fake.server.url("/me")
        })),
    );
    fake.answer(
        "/me",
        Reply::json(200, &json!({"resultcode": "00", "response": {"id": "u1", "email": "a@naver.com"}})),
    );
    let identity = login(&fake, &provider, json!({})).await.unwrap();
    assert_eq!(identity.profile["email"], "a@naver.com");
    let asked = fake.server.seen().into_iter().find(|seen| seen.target == "/token").unwrap();
    assert_eq!((asked.header("authorization"), asked.field("client_secret").as_deref()), (None, Some("s&cret")));
    assert!(asked.field("state").is_some());
    fake.answer("/token", Reply::json(200, &json!({"error": "invalid_request"})));
    assert!(provider.revoke(None, Some(&AccessToken::new("a"))).await.is_err(), "an error with status 200 is an error");
    assert_eq!(fake.server.seen().last().unwrap().field("grant_type").as_deref(), Some("delete"));
}

#[tokio::test]
async fn a_callback_of_another_attempt_or_issuer_is_refused_before_any_token_request() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let (attempt, other) = (attempt(&provider).await, attempt(&provider).await);
    let wrong_state = provider.redeem(callback(&other), &attempt, REDIRECT).await;
    assert!(matches!(wrong_state, Err(OidcError::Attempt)));
    let mixed_up = CallbackParams { iss: Some("https://evil.example".to_owned()), ..callback(&attempt) };
    assert!(matches!(provider.redeem(mixed_up, &attempt, REDIRECT).await, Err(OidcError::Attempt)));
    assert_eq!(fake.server.count("/token"), 0);

    fake.answer(METADATA, fake.metadata_with(json!({"authorization_response_iss_parameter_supported": true})));
    let announced = fake.provider();
    let missing = announced.redeem(callback(&attempt), &attempt, REDIRECT).await;
    assert!(matches!(missing, Err(OidcError::Attempt)));
    fake.answer("/token", Reply::json(400, &json!({"error": "invalid_grant"})));
    let right = CallbackParams { iss: Some(fake.issuer()), ..callback(&attempt) };
    let refused = announced.redeem(right, &attempt, REDIRECT).await;
    assert!(matches!(refused, Err(OidcError::Refused(refusal)) if refusal.error == "invalid_grant"));
}

#[tokio::test]
async fn without_valid_metadata_no_login_begins_and_discovery_is_tried_once_a_second() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    for (reply, expected) in [
        (fake.metadata_with(json!({"issuer": "https://evil.example"})), "`https://evil.example`"),
        (fake.metadata_with(json!({"code_challenge_methods_supported": ["plain"]})), "S256"),
        (Reply::text(200, "text/html", "<html>"), "came a page"),
        (Reply::text(200, "text/html", "{"), "cannot be read"),
        (Reply::text(200, "application/json", vec![b' '; (1 << 20) + 1]), "larger"),
        (Reply::json(302, &json!({})).with("location", "/elsewhere"), "302"),
        (Reply::Reset, "did not answer"),
    ] {
        fake.answer(METADATA, reply);
        let before = fake.server.count(METADATA);
        for _ in 0..5 {
            let Err(OidcError::Unavailable(error)) = provider.authorization(REDIRECT, &[]).await else {
                panic!("{expected}")
            };
            assert!(error.to_string().contains(expected), "{error}");
        }
        // A GET whose connection ends without an answer is sent once more.
        let requests = if expected == "did not answer" { 2 } else { 1 };
        assert_eq!(fake.server.count(METADATA), before + requests);
        assert_eq!(provider.reachable(), Reachability::Unreachable);
        fake.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(fake.server.count("/elsewhere"), 0);
    fake.reset(METADATA);
    assert!(provider.authorization(REDIRECT, &[]).await.is_ok());
}

#[tokio::test]
async fn userinfo_adds_to_the_identity_and_must_be_about_the_same_person() {
    let fake = Fake::start().await;
    fake.answer(METADATA, fake.metadata_with(json!({"userinfo_endpoint": fake.server.url("/me")})));
    let provider = fake.provider();
    fake.answer("/me", Reply::json(200, &json!({"sub": "u1", "email": "a@b.kr", "iss": "https://evil.example"})));
    let identity = login(&fake, &provider, json!({})).await.unwrap();
    assert_eq!((&identity.profile["email"], &identity.profile["iss"]), (&json!("a@b.kr"), &json!(fake.issuer())));
    assert!(!identity.claims.contains_key("email"), "claims of userinfo are not added to those of the ID token");
    assert_eq!(fake.server.seen().last().unwrap().header("authorization"), Some("Bearer at1"));

    for other in [json!({"sub": "u2"}), json!({"email": "a@b.kr"}), json!({"sub": 1})] {
        fake.answer("/me", Reply::json(200, &other));
        assert!(
            matches!(login(&fake, &provider, json!({})).await, Err(OidcError::Untrusted(found)) if found == Flaw::Subject),
            "{other}"
        );
    }
    fake.answer("/me", Reply::json(403, &json!({})));
    assert!(login(&fake, &provider, json!({})).await.is_ok(), "a refusal of userinfo is no outage");
    let down = [
        Reply::json(503, &json!({})),
        Reply::json(429, &json!({})),
        Reply::json(408, &json!({})),
        Reply::text(200, "text/html", "<html>"),
        Reply::text(403, "application/json", "<html>"),
        Reply::text(200, "application/json", "[]"),
        Reply::Reset,
        Reply::Cut,
    ];
    for down in down {
        fake.answer("/me", down);
        assert!(matches!(login(&fake, &provider, json!({})).await, Err(OidcError::Unavailable(_))));
    }
}

#[tokio::test]
async fn an_answer_of_the_token_endpoint_without_tokens_or_refusal_is_an_outage_at_login() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let attempt = attempt(&provider).await;
    for reply in [
        Reply::json(500, &json!({"error": "server_error"})),
        Reply::json(502, &json!({})),
        Reply::text(200, "text/html", "<html>"),
        Reply::text(200, "application/json", vec![b'x'; 1 << 20]),
        Reply::Reset,
        Reply::Cut,
    ] {
        fake.answer("/token", reply.clone());
        let result = provider.redeem(callback(&attempt), &attempt, REDIRECT).await;
        assert!(matches!(result, Err(OidcError::Unavailable(_))), "{reply:?}");
    }
}

#[tokio::test]
async fn a_code_that_was_not_sent_or_that_the_provider_does_not_handle_now_is_unused() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let attempt = attempt(&provider).await;
    for status in [429, 503] {
        fake.answer("/token", Reply::json(status, &json!({})));
        let result = provider.redeem(callback(&attempt), &attempt, REDIRECT).await;
        assert!(matches!(result, Err(OidcError::CodeUnused(_))), "{status}: {result:?}");
    }
    let elsewhere = format!("http://{}/token", crate::scripted::dead_address().await);
    fake.answer(METADATA, fake.metadata_with(json!({"token_endpoint": elsewhere})));
    let result = fake.provider().redeem(callback(&attempt), &attempt, REDIRECT).await;
    assert!(matches!(result, Err(OidcError::CodeUnused(_))), "{result:?}");
    fake.answer(METADATA, Reply::json(503, &json!({})));
    let result = fake.provider().redeem(callback(&attempt), &attempt, REDIRECT).await;
    assert!(matches!(result, Err(OidcError::CodeUnused(_))), "{result:?}");
}

/// A provider with metadata that names a userinfo endpoint, which answers with this JWT.
async fn with_signed_userinfo(fake: &Fake, token: &str) -> Result<Identity, OidcError> {
    fake.answer(METADATA, fake.metadata_with(json!({"userinfo_endpoint": fake.server.url("/me")})));
    fake.answer("/me", Reply::text(200, "application/jwt", token));
    login(fake, &fake.provider(), json!({})).await
}

#[tokio::test]
async fn a_userinfo_that_is_a_signed_jwt_is_verified_and_used() {
    let fake = Fake::start().await;
    for claims in [
        fake.claims(json!({"email": "a@b.kr"})),
        json!({"sub": "u1", "email": "a@b.kr"}),
        // Only ID tokens with several audiences need `azp`.
        fake.claims(json!({"email": "a@b.kr", "aud": [CLIENT, "x"]})),
    ] {
        let token = fake.signer.sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims);
        let identity = with_signed_userinfo(&fake, &format!("\u{feff}{token}\n")).await.unwrap();
        assert_eq!(identity.profile["email"], "a@b.kr", "{claims}");
    }
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let sign = |changes: Value| fake.signer.sign(header, &fake.claims(changes));
    for (token, flaw) in [
        (sign(json!({"aud": "other"})), Flaw::Audience),
        (sign(json!({"aud": [CLIENT, "x"], "azp": "x"})), Flaw::Audience),
        (sign(json!({"iss": "https://evil.example"})), Flaw::Issuer),
        (sign(json!({"sub": "u2"})), Flaw::Subject),
        (sign(json!({"sub": null})), Flaw::Subject),
        (sign(json!({"exp": fake.clock.now().as_secs() - 61})), Flaw::Time),
        (sign(json!({"exp": "soon"})), Flaw::Time),
        (sign(json!({"iat": fake.clock.now().as_secs() + 120})), Flaw::Time),
        (sign(json!({"nbf": fake.clock.now().as_secs() + 120})), Flaw::Time),
        (Signer::ec().sign(header, &fake.claims(json!({}))), Flaw::Signature),
        (Signer::Constant(vec![1]).sign(r#"{"alg":"none"}"#, &fake.claims(json!({}))), Flaw::Algorithm),
        ("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d".to_owned(), Flaw::Encrypted),
    ] {
        let refused = with_signed_userinfo(&fake, &token).await;
        let Err(error @ OidcError::Untrusted(found)) = &refused else { panic!("{flaw:?}: {refused:?}") };
        assert!(*found == flaw && error.to_string().contains("userinfo"), "{flaw:?}: {error}");
    }
}

#[tokio::test]
async fn listed_tenants_are_the_only_ones_also_at_an_issuer_that_stands_for_one() {
    let fake = Fake::start().await;
    let provider = fake.provider_with(Settings { tenants: Tenants::Listed(vec!["t1".to_owned()]), ..fake.settings() });
    assert!(login(&fake, &provider, json!({"tid": "t1"})).await.is_ok());
    for claims in [json!({"tid": "t2"}), json!({})] {
        let refused = login(&fake, &provider, claims).await;
        assert!(matches!(&refused, Err(OidcError::Untrusted(found)) if *found == Flaw::Tenant), "{refused:?}");
    }
}

#[tokio::test]
async fn an_id_token_of_a_shared_issuer_is_of_the_tenant_that_it_names_and_that_is_taken() {
    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let fake = Fake::start().await;
    fake.answer(
        "/common/v2.0/.well-known/openid-configuration",
        fake.metadata_with(json!({"issuer": format!("{}/{{tenantid}}/v2.0", fake.issuer())})),
    );
    let of = |tenant: &str| format!("{}/{tenant}/v2.0", fake.issuer());
    let provider = |tenants| {
        let issuer = of("common").parse().unwrap();
        fake.provider_with(Settings { issuer, tenants, ..fake.settings() })
    };
    let listed = |tenant: &str| Tenants::Listed(vec![tenant.to_owned()]);
    for (tenants, claims, flaw) in [
        (Tenants::Any, json!({"iss": of(TENANT), "tid": TENANT}), None),
        (listed(&TENANT.to_uppercase()), json!({"iss": of(TENANT), "tid": TENANT}), None),
        (listed("other"), json!({"iss": of(TENANT), "tid": TENANT}), Some(Flaw::Tenant)),
        (Tenants::Listed(vec![]), json!({"iss": of(TENANT), "tid": TENANT}), Some(Flaw::Tenant)),
        (Tenants::Any, json!({"iss": of(TENANT), "tid": "other"}), Some(Flaw::Issuer)),
        (Tenants::Any, json!({"iss": of(TENANT)}), Some(Flaw::Issuer)),
        (Tenants::Any, json!({"iss": of("{tenantid}")}), Some(Flaw::Tenant)),
        (Tenants::Any, json!({"iss": of("common"), "tid": TENANT}), Some(Flaw::Issuer)),
        (Tenants::Any, json!({"iss": "https://evil.example", "tid": TENANT}), Some(Flaw::Issuer)),
    ] {
        let result = login(&fake, &provider(tenants.clone()), claims.clone()).await;
        match (&result, flaw) {
            (Ok(identity), None) => assert_eq!(identity.claims["tid"], TENANT),
            (Err(OidcError::Untrusted(found)), Some(flaw)) => assert_eq!(found, &flaw, "{claims}"),
            _ => panic!("{tenants:?} {claims}: {result:?}"),
        }
    }
    // RFC 9207: the callback's issuer must be the token's.
    let provider = provider(Tenants::Any);
    let attempt = attempt(&provider).await;
    let claims = json!({"iss": of(TENANT), "tid": TENANT, "nonce": attempt.nonce.expose()});
    fake.answer("/token", tokens(&fake.id_token(claims)));
    for (iss, is_taken) in [(of(TENANT), true), (of("other"), false), ("https://evil.example".to_owned(), false)] {
        let callback = CallbackParams { iss: Some(iss.clone()), ..callback(&attempt) };
        assert_eq!(provider.redeem(callback, &attempt, REDIRECT).await.is_ok(), is_taken, "{iss}");
    }
}

#[tokio::test]
async fn given_addresses_win_over_the_metadata_and_given_parameters_are_sent() {
    let (fake, inside) = (Fake::start().await, Fake::start().await);
    // Outside nothing answers: the metadata names addresses that only browsers reach.
    let outside = "http://outside.example";
    let metadata = json!({
        "issuer": outside, "authorization_endpoint": format!("{outside}/authorize"),
        "token_endpoint": format!("{outside}/token"), "jwks_uri": format!("{outside}/jwks"),
        "userinfo_endpoint": format!("{outside}/me"),
    });
    inside.answer("/inside/discovery", fake.metadata_with(metadata));
    inside.answer("/jwks", Reply::json(200, &json!({"keys": [fake.signer.jwk("k1")]})));
    inside.answer("/me", Reply::json(200, &json!({"sub": "u1", "email": "a@b.kr"})));
    let at = |path: &str| Some(inside.server.url(path));
    let param = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let addresses = Addresses {
        discovery: at("/inside/discovery"),
        authorize: None,
        token: at("/token"),
        jwks: at("/jwks"),
        userinfo: at("/me"),
        revoke: None,
    };
    let provider = fake.provider_with(Settings {
        issuer: outside.parse().unwrap(),
        addresses,
        token_params: param("resource", "r"),
        refresh_params: param("scope", "api://x/use"),
        ..fake.settings()
    });
    let Authorization { url, attempt } = provider.authorization(REDIRECT, &[]).await.unwrap();
    assert!(url.as_str().starts_with("http://outside.example/authorize?"), "{url}");
    let claims = json!({"iss": outside, "nonce": attempt.nonce.expose()});
    inside.answer("/token", tokens(&fake.id_token(claims)));
    let identity = provider.redeem(callback(&attempt), &attempt, REDIRECT).await.unwrap();
    assert_eq!(identity.profile["email"], "a@b.kr");
    let asked = |server: &Fake| server.server.seen().into_iter().rfind(|seen| seen.target == "/token").unwrap();
    assert_eq!((asked(&inside).field("resource").as_deref(), asked(&inside).field("scope")), (Some("r"), None));
    provider.refresh(&RefreshToken::new("rt0"), None).await.unwrap();
    let refresh = asked(&inside);
    assert_eq!((refresh.field("resource"), refresh.field("scope").as_deref()), (None, Some("api://x/use")));
    assert!(fake.server.seen().is_empty());
}

#[tokio::test]
async fn a_rejected_id_token_is_told_with_the_values_that_differ() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let told = async |token: String| {
        let attempt = attempt(&provider).await;
        fake.answer("/token", tokens(&IdToken::new(token)));
        provider.redeem(callback(&attempt), &attempt, REDIRECT).await.unwrap_err().to_string()
    };
    let sign = |header: &str, changes: Value| fake.signer.sign(header, &fake.claims(changes));
    let es256 = r#"{"alg":"ES256","kid":"k1"}"#;
    for (token, parts) in [
        (sign(es256, json!({"aud": ["account", "b"]})), vec![r#"`["account","b"]`"#.to_owned(), format!("`{CLIENT}`")]),
        (
            sign(es256, json!({"iss": "https://else.example/"})),
            vec!["`https://else.example/`".to_owned(), format!("`{}`", fake.issuer())],
        ),
        (sign(r#"{"alg":"HS256"}"#, json!({})), vec!["HS256".to_owned(), "RS256, ES256".to_owned()]),
        (sign(r#"{"alg":"ES256K"}"#, json!({})), vec!["ES256K".to_owned(), "RS256, ES256".to_owned()]),
        (sign(r#"{"alg":"ES256","kid":"gone"}"#, json!({"nonce": null})), vec!["nonce".to_owned()]),
        ("eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d".to_owned(), vec!["encrypted".to_owned()]),
    ] {
        let told = told(token).await;
        assert!(parts.iter().all(|part| told.contains(part)), "{told} lacks one of {parts:?}");
    }
    let misconfigured = login(&fake, &provider, json!({"aud": "other"})).await.unwrap_err();
    assert!(misconfigured.is_misconfigured());
    assert!(!login(&fake, &provider, json!({"nonce": "other"})).await.unwrap_err().is_misconfigured());
}
