//! A login, an app's ID token and a refresh, against a provider that is honest, hostile, slow or unreachable.

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

/// Logs in with an ID token of these claims (the attempt's nonce is put in unless they have one).
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
async fn cve_2024_23647_of_ten_thousand_logins_each_has_its_own_verifier_and_none_goes_without() {
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
    assert_eq!(got.expires_in, Some(Duration::from_secs(3600)));
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
    assert!(provider.revoke(None, Some(&AccessToken::new("a"))).await.is_err(), "an error is one with status 200 too");
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
    assert!(matches!(refused, Err(OidcError::Refused { error }) if error == "invalid_grant"));
}

#[tokio::test]
async fn an_id_token_with_a_wrong_claim_is_refused() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let now = fake.clock.now().as_secs();
    for (changes, flaw) in [
        (json!({"aud": "other"}), Flaw::Audience),
        (json!({"aud": null}), Flaw::Audience),
        (json!({"aud": []}), Flaw::Audience),
        (json!({"aud": [CLIENT, "other"]}), Flaw::Audience),
        (json!({"aud": [CLIENT, "other"], "azp": "other"}), Flaw::Audience),
        (json!({"azp": "other"}), Flaw::Audience),
        (json!({"iss": "https://evil.example"}), Flaw::Issuer),
        (json!({"iss": format!("{}/", fake.issuer())}), Flaw::Issuer),
        (json!({"iss": null}), Flaw::Issuer),
        (json!({"sub": null}), Flaw::Subject),
        (json!({"sub": 7}), Flaw::Subject),
        (json!({"exp": null}), Flaw::Time),
        (json!({"exp": 1e300}), Flaw::Time),
        (json!({"exp": -1}), Flaw::Time),
        (json!({"exp": "9999999999"}), Flaw::Time),
        (json!({"exp": now - 61}), Flaw::Time),
        (json!({"iat": now + 120}), Flaw::Time),
        (json!({"iat": null}), Flaw::Time),
        (json!({"nbf": now + 120}), Flaw::Time),
        (json!({"nbf": {}}), Flaw::Time),
        (json!({"nonce": "other"}), Flaw::Nonce),
        (json!({"nonce": ""}), Flaw::Nonce),
        (json!({"at_hash": "AAAA"}), Flaw::AccessToken),
        (json!({"at_hash": 7}), Flaw::AccessToken),
    ] {
        let result = login(&fake, &provider, changes.clone()).await;
        assert!(matches!(result, Err(OidcError::Untrusted(found)) if found == flaw), "{changes}: {:?}", result.err());
    }
    for changes in [
        json!({"aud": [CLIENT]}),
        json!({"aud": ["other", CLIENT], "azp": CLIENT}),
        json!({"exp": now - 30}),
        json!({"iat": now + 30, "nbf": now + 30}),
        json!({"exp": 4_000_000_000.5}),
        json!({"at_hash": b64(&digest::digest(&digest::SHA256, b"at1").as_ref()[..16])}),
    ] {
        assert!(login(&fake, &provider, changes.clone()).await.is_ok(), "{changes}");
    }
    let attempt = attempt(&provider).await;
    fake.answer("/token", Reply::json(200, &json!({"access_token": "a"})));
    let without = provider.redeem(callback(&attempt), &attempt, REDIRECT).await;
    assert!(matches!(without, Err(OidcError::Untrusted(Flaw::Form))));
}

async fn accepted(provider: &Provider, token: &str) -> bool {
    let audiences = [CLIENT.to_owned()];
    match provider.verify_id_token(&IdToken::new(token), &audiences, None, None).await {
        Ok(_) => true,
        Err(IdTokenError::Invalid(_)) => false,
        Err(IdTokenError::Unavailable(error)) => panic!("{error}"),
    }
}

#[tokio::test]
async fn tokens_with_a_forged_header_or_signature_are_refused_and_make_nothing_be_fetched() {
    let fake = Fake::start().await;
    let (rsa, other) = (Signer::rsa(), Signer::ec());
    let oct = json!({"kid": "oct", "kty": "oct", "k": b64(b"public knowledge")});
    let keys = json!({"keys": [fake.signer.jwk("k1"), rsa.jwk("k2"), oct, {"kty": "AKP", "alg": "ML-DSA-44"}, {"kty": "RSA"}, 7]});
    fake.answer("/jwks", Reply::json(200, &keys));
    let provider = fake.provider();
    let claims = fake.claims(json!({}));
    let good = fake.signer.sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims);
    assert!(accepted(&provider, &good).await);
    assert!(accepted(&provider, &rsa.sign(r#"{"alg":"RS256","kid":"k2"}"#, &claims)).await);
    assert!(accepted(&provider, &rsa.sign(r#"{"alg":"RS256"}"#, &claims)).await, "the only key that fits");

    let hmac = |secret: &[u8]| Signer::Hmac(secret.to_vec());
    let constant = |bytes: &[u8]| Signer::Constant(bytes.to_vec());
    let jwk = other.jwk("k1");
    let parts: Vec<&str> = good.split('.').collect();
    let swapped_claims = b64(fake.claims(json!({"sub": "root"})).to_string().as_bytes());
    let kit = [
        constant(b"").sign(r#"{"alg":"none"}"#, &claims),
        constant(b"x").sign(r#"{"alg":"none","kid":"k1"}"#, &claims),
        constant(b"x").sign(r#"{"alg":"None","kid":"k1"}"#, &claims),
        constant(b"x").sign(r#"{"alg":"NONE","kid":"k1"}"#, &claims),
        constant(b"x").sign(r#"{"alg":"","kid":"k1"}"#, &claims),
        constant(b"x").sign(r#"{"kid":"k1"}"#, &claims),
        constant(b"x").sign(r#"{"alg":null,"kid":"k1"}"#, &claims),
        hmac(rsa.pem().as_bytes()).sign(r#"{"alg":"HS256","kid":"k2"}"#, &claims),
        hmac(rsa.pem().trim_end().as_bytes()).sign(r#"{"alg":"HS256","kid":"k2"}"#, &claims),
        hmac(rsa.pem().as_bytes()).sign(r#"{"alg":"HS256"}"#, &claims),
        hmac(fake.signer.pem().as_bytes()).sign(r#"{"alg":"HS256","kid":"k1"}"#, &claims),
        hmac(b"public knowledge").sign(r#"{"alg":"HS256","kid":"oct"}"#, &claims),
        hmac(b"s&cret").sign(r#"{"alg":"HS256"}"#, &claims),
        hmac(b"").sign(r#"{"alg":"HS256","kid":"k1"}"#, &claims),
        constant(&[0; 64]).sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims),
        constant(&[0xff; 64]).sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims),
        constant(&[]).sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims),
        constant(&[0; 256]).sign(r#"{"alg":"RS256","kid":"k2"}"#, &claims),
        other.sign(r#"{"alg":"ES256","kid":"k1"}"#, &claims),
        other.sign(r#"{"alg":"ES256"}"#, &claims),
        other.sign(r#"{"alg":"ES256","kid":"../../k1"}"#, &claims),
        other.sign(r#"{"alg":"ES256","kid":"k1' or 1=1"}"#, &claims),
        other.sign(&json!({"alg": "ES256", "kid": "k1", "jwk": jwk}).to_string(), &claims),
        other.sign(&json!({"alg": "ES256", "kid": "k9", "jku": fake.server.url("/evil")}).to_string(), &claims),
        other.sign(&json!({"alg": "ES256", "kid": "k9", "x5u": fake.server.url("/evil")}).to_string(), &claims),
        fake.signer.sign(r#"{"alg":"ES256","kid":"k2"}"#, &claims),
        fake.signer.sign(r#"{"alg":"RS256","kid":"k1"}"#, &claims),
        fake.signer.sign(r#"{"alg":"ES384","kid":"k1"}"#, &claims),
        fake.signer.sign(r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, &claims),
        fake.signer.sign(r#"{"alg":"ES256","kid":"k1","b64":false,"crit":["b64"]}"#, &claims),
        fake.signer.sign(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, &claims),
        fake.signer.sign(r#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#, &claims),
        fake.signer.sign(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#, &claims),
        rsa.sign(r#"{"alg":"PS256","kid":"k2"}"#, &claims),
        format!("{}.{swapped_claims}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}="),
        format!("{good}."),
        format!("{good}.a.b"),
        format!(" {good}"),
        format!("{good}\n"),
        "a.b.c.d.e".to_owned(),
        ".".repeat(1 << 20),
        "..".to_owned(),
        String::new(),
    ];
    for (number, token) in kit.iter().enumerate() {
        assert!(!accepted(&provider, token).await, "{number}: {}", &token[..token.len().min(80)]);
    }
    let fetched: Vec<_> = fake.server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(fetched, [METADATA, "/jwks"], "no token makes us fetch anything");
}

#[tokio::test]
async fn an_ed25519_signature_is_accepted_under_both_names_of_its_algorithm() {
    let fake = Fake::start().await;
    let ed = Signer::ed();
    fake.answer("/jwks", Reply::json(200, &json!({"keys": [ed.jwk("e")]})));
    let provider = fake.provider();
    for name in ["EdDSA", "Ed25519"] {
        let token = ed.sign(&json!({"alg": name, "kid": "e"}).to_string(), &fake.claims(json!({})));
        assert!(accepted(&provider, &token).await, "{name}");
    }
}

#[tokio::test]
async fn an_id_token_of_an_app_must_be_recent_and_have_a_listed_audience() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let listed = ["web".to_owned(), "android".to_owned()];
    let now = fake.clock.now().as_secs();
    for (changes, ok) in [
        (json!({"aud": "web", "azp": "android", "nonce": "n"}), true),
        (json!({"aud": "web", "azp": "other", "nonce": "n"}), false),
        (json!({"aud": CLIENT, "nonce": "n"}), false),
        (json!({"aud": "web", "nonce": "m"}), false),
        (json!({"aud": "web", "nonce": "n", "iat": now - 500, "exp": now + 3000}), true),
        (json!({"aud": "web", "nonce": "n", "iat": now - 700, "exp": now + 3000}), false),
    ] {
        let token = fake.id_token(changes.clone());
        let verified = provider.verify_id_token(&token, &listed, Some("n"), Some(Duration::from_secs(600))).await;
        assert_eq!(verified.is_ok(), ok, "{changes}");
    }
}

#[tokio::test]
async fn unknown_key_ids_cause_one_fetch_in_30_seconds_and_old_keys_stay_when_it_fails() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let good = fake.id_token(json!({}));
    assert!(accepted(&provider, good.expose()).await);
    fake.clock.advance(Duration::from_secs(31));
    for reply in [
        Reply::text(500, "text/plain", "no"),
        Reply::text(200, "text/html", "<html>"),
        Reply::text(200, "application/json", vec![b' '; (1 << 20) + 1]),
        Reply::json(200, &json!({"keys": 7})),
        Reply::Reset,
    ] {
        fake.answer("/jwks", reply);
        let before = fake.server.count("/jwks");
        let claims = fake.claims(json!({"exp": 4_000_000_000_u32}));
        for number in 0..200 {
            let header = json!({"alg": "ES256", "kid": format!("random{number}")}).to_string();
            assert!(!accepted(&provider, &Signer::ec().sign(&header, &claims)).await);
        }
        assert_eq!(fake.server.count("/jwks"), before + 1);
        let good = fake.id_token(json!({}));
        assert!(accepted(&provider, good.expose()).await, "the old key stays");
        fake.clock.advance(Duration::from_secs(30));
    }
    let newer = Signer::ec();
    fake.answer("/jwks", Reply::json(200, &json!({"keys": [newer.jwk("k2")]})));
    let token = newer.sign(r#"{"alg":"ES256","kid":"k2"}"#, &fake.claims(json!({})));
    assert!(accepted(&provider, &token).await, "a rotated key is found");
    let retired = fake.id_token(json!({}));
    assert!(!accepted(&provider, retired.expose()).await, "one that is no longer published is over");
}

#[tokio::test]
async fn discovery_fails_closed_is_asked_once_a_second_and_recovers() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    for (reply, expected) in [
        (fake.metadata_with(json!({"issuer": "https://evil.example"})), "another issuer"),
        (fake.metadata_with(json!({"code_challenge_methods_supported": ["plain"]})), "S256"),
        (Reply::text(200, "text/html", "<html>"), "cannot be read"),
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
        assert_eq!(fake.server.count(METADATA), before + 1);
        assert_eq!(provider.reachable(), Reachability::Unreachable);
        fake.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(fake.server.count("/elsewhere"), 0);
    fake.usual(METADATA);
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
    assert!(!identity.claims.contains_key("email"), "what is not in the ID token is not its word");
    assert_eq!(fake.server.seen().last().unwrap().header("authorization"), Some("Bearer at1"));

    for other in [json!({"sub": "u2"}), json!({"email": "a@b.kr"}), json!({"sub": 1})] {
        fake.answer("/me", Reply::json(200, &other));
        assert!(
            matches!(login(&fake, &provider, json!({})).await, Err(OidcError::Untrusted(Flaw::Subject))),
            "{other}"
        );
    }
    fake.answer("/me", Reply::json(403, &json!({})));
    assert!(login(&fake, &provider, json!({})).await.is_ok(), "not wanting to tell is no outage");
    for down in [Reply::json(503, &json!({})), Reply::Reset, Reply::Cut] {
        fake.answer("/me", down);
        assert!(matches!(login(&fake, &provider, json!({})).await, Err(OidcError::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_useless_answer_of_the_token_endpoint_is_an_outage_at_login() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let attempt = attempt(&provider).await;
    for reply in [
        Reply::json(500, &json!({"error": "server_error"})),
        Reply::json(429, &json!({})),
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
async fn a_refresh_needs_no_id_token_and_one_of_another_person_or_client_is_refused() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let previous = fake.claims(json!({"auth_time": 1000, "role": "admin"}));
    let previous = previous.as_object().unwrap();
    let refresh = async |reply: Reply| {
        fake.answer("/token", reply);
        provider.refresh(&RefreshToken::new("rt0"), Some(previous)).await
    };
    let plain = refresh(Reply::json(200, &json!({"access_token": "at2", "expires_in": 60}))).await.unwrap();
    assert_eq!((plain.tokens.access_token.expose(), plain.tokens.refresh_token, plain.profile), ("at2", None, None));
    let asked = fake.server.seen().pop().unwrap();
    assert_eq!(
        (asked.field("grant_type"), asked.field("refresh_token")),
        (Some("refresh_token".to_owned()), Some("rt0".to_owned()))
    );

    let fresh =
        refresh(tokens(&fake.id_token(json!({"auth_time": 1000, "role": "user", "aud": [CLIENT]})))).await.unwrap();
    assert_eq!(fresh.profile.unwrap()["role"], "user", "what it says is read anew");
    for changes in [
        json!({"sub": "u2"}),
        json!({"aud": "other"}),
        json!({"iss": "x"}),
        json!({"aud": [CLIENT, "b"], "azp": CLIENT}),
        json!({"auth_time": 999}),
    ] {
        let result = refresh(tokens(&fake.id_token(changes.clone()))).await;
        assert_eq!(result.err(), Some(RefreshError::Failed { retry_after: None }), "{changes}");
    }
}

#[tokio::test]
async fn refreshed_tokens_are_kept_when_no_key_can_be_fetched_to_verify_the_id_token() {
    let fake = Fake::start().await;
    fake.answer("/jwks", Reply::json(503, &json!({})));
    fake.answer("/token", tokens(&fake.id_token(json!({}))));
    let refreshed = fake.provider().refresh(&RefreshToken::new("rt0"), None).await.unwrap();
    assert_eq!(
        (refreshed.tokens.access_token.expose(), refreshed.tokens.id_token, refreshed.profile),
        ("at1", None, None)
    );
}

#[tokio::test]
async fn only_invalid_grant_refuses_a_refresh_token() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let failed = |seconds: Option<u64>| RefreshError::Failed { retry_after: seconds.map(Duration::from_secs) };
    for (reply, expected) in [
        (Reply::json(400, &json!({"error": "invalid_grant"})), RefreshError::Refused),
        (Reply::json(401, &json!({"error": "invalid_grant", "error_code": "KOE322"})), RefreshError::Refused),
        (Reply::json(400, &json!({"error": "invalid_request"})), failed(None)),
        (Reply::json(401, &json!({"error": "invalid_client"})), failed(None)),
        (Reply::json(401, &json!({})), failed(None)),
        (Reply::text(403, "text/html", "<html>invalid_grant"), failed(None)),
        (Reply::json(429, &json!({"error": "invalid_grant"})).with("retry-after", "7"), failed(Some(7))),
        (Reply::json(500, &json!({"error": "invalid_grant"})), failed(None)),
        (Reply::json(503, &json!({})).with("retry-after", "99999"), failed(Some(3600))),
        (Reply::json(302, &json!({})).with("location", "/login"), failed(None)),
        (Reply::json(200, &json!({"error": "server_error"})), failed(None)),
        (Reply::text(200, "application/json", "{\"access_token\":"), failed(None)),
        (Reply::text(200, "application/json", vec![b'x'; 1 << 20]), failed(None)),
        (Reply::Reset, RefreshError::Unanswered),
        (Reply::Cut, RefreshError::Unanswered),
    ] {
        fake.answer("/token", reply.clone());
        let result = provider.refresh(&RefreshToken::new("rt0"), None).await;
        assert_eq!(result.err(), Some(expected), "{reply:?}");
    }
    fake.answer(METADATA, Reply::json(503, &json!({})));
    let unknown = fake.provider();
    assert_eq!(unknown.refresh(&RefreshToken::new("rt0"), None).await.err(), Some(RefreshError::Unsent));
}

#[tokio::test]
async fn logout_revokes_the_tokens_and_gives_the_address_of_the_providers_own_logout() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    fake.answer("/revoke", Reply::json(200, &json!({})));
    let (access, refresh) = (AccessToken::new("a"), RefreshToken::new("r"));
    assert!(provider.revoke(Some(&refresh), Some(&access)).await.unwrap());
    let asked = fake.server.seen().pop().unwrap();
    assert_eq!(
        (asked.field("token"), asked.field("token_type_hint")),
        (Some("r".to_owned()), Some("refresh_token".to_owned()))
    );
    fake.answer("/revoke", Reply::json(503, &json!({})));
    assert!(provider.revoke(Some(&refresh), None).await.is_err());

    let url = provider.end_session_url(Some(&IdToken::new("i")), "https://app/", Some("s")).await.unwrap();
    let query = "client_id=client%3A1&post_logout_redirect_uri=https%3A%2F%2Fapp%2F&id_token_hint=i&state=s";
    assert_eq!((url.path(), url.query()), ("/end", Some(query)));
    let kakao = fake.provider_with(Settings { preset: Preset::Kakao, ..fake.settings() });
    let url = kakao.end_session_url(None, "https://app/", None).await.unwrap();
    assert_eq!(
        (url.path(), url.query()),
        ("/oauth/logout", Some("client_id=client%3A1&logout_redirect_uri=https%3A%2F%2Fapp%2F"))
    );

    fake.answer(METADATA, fake.metadata_with(json!({"revocation_endpoint": null, "end_session_endpoint": null})));
    let without = fake.provider();
    assert!(!without.revoke(Some(&refresh), None).await.unwrap());
    assert_eq!(without.end_session_url(None, "https://app/", None).await, None);
}
