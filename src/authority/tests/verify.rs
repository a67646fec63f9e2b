//! `[authority.verify]`: which access tokens are accepted, with which kind of key.

use serde_json::{Value, json};

use super::*;
use crate::{
    oidc::{Claims, fake, fake::Fake},
    scripted::Reply,
};

fn verify(keys: VerifyKeys) -> Settings {
    let verify = VerifySettings {
        keys,
        algorithms: vec![],
        issuer: Some("https://api.example.kr".to_owned()),
        audience: Some("sigbang".to_owned()),
    };
    Settings { verify: Some(verify), ..settings() }
}

fn access_claims(clock: &Clock, changes: Value) -> Value {
    let now = clock.now().as_secs();
    let mut claims = json!({"iss": "https://api.example.kr", "aud": "sigbang", "sub": "u1", "iat": now, "exp": now + 60, "role": "admin"});
    let Value::Object(changes) = changes else { panic!("an object") };
    claims.as_object_mut().unwrap().extend(changes);
    claims
}

async fn verified(authority: &Authority, token: &str, leeway: Duration) -> Result<Claims, VerifyError> {
    authority.read_access_token(token, Some(leeway))?.verify().await
}

fn verdict(result: &Result<Claims, VerifyError>) -> &'static str {
    match result {
        Ok(_) => "genuine",
        Err(VerifyError::Expired) => "expired",
        Err(VerifyError::Invalid) => "invalid",
        Err(VerifyError::Forged) => "forged",
        Err(VerifyError::Unavailable(_)) => "unavailable",
    }
}

#[tokio::test]
async fn an_access_token_is_accepted_only_with_the_right_signature_issuer_audience_type_and_times() {
    let api = ScriptedBackend::start().await;
    let signer = fake::Signer::ec();
    let authority = api.authority_with(verify(VerifyKeys::PublicKey(signer.pem())), vec![]);
    let now = api.clock.now().as_secs();
    let leeway = Duration::from_secs(5);
    for (header, changes, expected) in [
        (r#"{"alg":"ES256"}"#, json!({}), "genuine"),
        (r#"{"alg":"ES256","kid":"any","typ":"JWT"}"#, json!({}), "genuine"),
        (r#"{"alg":"ES256","typ":"at+jwt"}"#, json!({"aud": ["x", "sigbang"]}), "genuine"),
        (r#"{"alg":"ES256","typ":"application/AT+JWT"}"#, json!({"exp": now - 3}), "genuine"),
        (r#"{"alg":"ES256","typ":"vestibule-proof+jwt"}"#, json!({}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"exp": now - 6}), "expired"),
        (r#"{"alg":"ES256"}"#, json!({"exp": null}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"exp": 1e300}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"nbf": now + 30}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"iss": "https://evil.example"}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"iss": null}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"aud": "sigbang-proof"}), "invalid"),
        (r#"{"alg":"ES256"}"#, json!({"aud": null}), "invalid"),
        (r#"{"alg":"none"}"#, json!({}), "invalid"),
        (r#"{"alg":"HS256"}"#, json!({}), "invalid"),
    ] {
        let token = signer.sign(header, &access_claims(&api.clock, changes.clone()));
        assert_eq!(verdict(&verified(&authority, &token, leeway).await), expected, "{header} {changes}");
    }
    let claims = access_claims(&api.clock, json!({}));
    for (bad, expected) in [
        (fake::Signer::ec().sign(r#"{"alg":"ES256"}"#, &claims), "forged"),
        // Refused before a signature is checked.
        (fake::Signer::Hmac(signer.pem().into_bytes()).sign(r#"{"alg":"HS256"}"#, &claims), "invalid"),
        ("opaque".to_owned(), "invalid"),
    ] {
        assert_eq!(verdict(&verified(&authority, &bad, leeway).await), expected);
    }
    let without = api.authority();
    let token = signer.sign(r#"{"alg":"ES256"}"#, &claims);
    assert_eq!(verdict(&verified(&without, &token, leeway).await), "invalid", "no key verifies it");
}

#[tokio::test]
async fn with_a_shared_secret_only_hs256_is_accepted() {
    let api = ScriptedBackend::start().await;
    let secret = VerifyKeys::Secret(Secret::new("c2VjcmV0"));
    let authority = api.authority_with(verify(secret), vec![]);
    let claims = access_claims(&api.clock, json!({}));
    let leeway = Duration::ZERO;
    let good = fake::Signer::Hmac(b"c2VjcmV0".to_vec()).sign(r#"{"alg":"HS256"}"#, &claims);
    assert_eq!(verdict(&verified(&authority, &good, leeway).await), "genuine");
    for (signer, header, expected) in [
        (fake::Signer::Hmac(b"secret".to_vec()), r#"{"alg":"HS256"}"#, "forged"),
        (fake::Signer::Hmac(b"c2VjcmV0".to_vec()), r#"{"alg":"HS512"}"#, "invalid"),
        (fake::Signer::ec(), r#"{"alg":"ES256"}"#, "invalid"),
    ] {
        assert_eq!(verdict(&verified(&authority, &signer.sign(header, &claims), leeway).await), expected);
    }
}

#[tokio::test]
async fn claims_of_new_tokens_say_whether_their_signature_was_verified() {
    let api = ScriptedBackend::start().await;
    let (signer, fake) = (fake::Signer::ec(), Fake::start().await);
    let token = signer.sign(r#"{"alg":"ES256","kid":"a"}"#, &access_claims(&api.clock, json!({"exp": 1})));
    api.answers(Reply::json(200, &json!({"accessToken": token})));
    let login = async |settings| api.authority_with(settings, vec![]).issue(credentials(), &client_device()).await;
    let claims = async |settings| login(settings).await.unwrap().access_claims.unwrap();
    assert!(!claims(settings()).await.verified);
    let checked = claims(verify(VerifyKeys::PublicKey(signer.pem()))).await;
    assert!(
        checked.verified && checked.claims["role"] == "admin",
        "a new token is accepted although it arrives expired"
    );

    let published = || verify(VerifyKeys::Jwks(fake.server.url("/api-keys")));
    fake.answer("/api-keys", Reply::json(503, &json!({})));
    assert!(!claims(published()).await.verified, "without the keys new tokens are accepted unverified");
    fake.answer("/api-keys", Reply::json(200, &json!({"keys": [signer.jwk("a")]})));
    assert!(claims(published()).await.verified);
    // A token that names an unknown key is refused without a check; one that names none is checked with every key.
    let authority = api.authority_with(published(), vec![]);
    let shows = async |header| {
        let token = fake::Signer::ec().sign(header, &access_claims(&api.clock, json!({})));
        verdict(&verified(&authority, &token, Duration::ZERO).await)
    };
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"a"}"#, "forged"),
        (r#"{"alg":"ES256"}"#, "forged"),
        (r#"{"alg":"ES256","kid":"b"}"#, "invalid"),
        (r#"{"alg":"EdDSA","kid":"a"}"#, "invalid"),
    ] {
        assert_eq!(shows(header).await, expected, "{header}");
    }

    for (header, changes, expected) in [
        (
            r#"{"alg":"ES256"}"#,
            json!({"iss": "https://api.example.kr/"}),
            "`iss` is `\"https://api.example.kr/\"`, and `issuer` is `https://api.example.kr`",
        ),
        (r#"{"alg":"ES256"}"#, json!({"aud": ["web"]}), "`aud` is `[\"web\"]`, and `audience` is `sigbang`"),
        (r#"{"alg":"HS256"}"#, json!({}), "`alg` is HS256; these algorithms are taken: RS256"),
    ] {
        api.answers(Reply::json(
            200,
            &json!({"accessToken": signer.sign(header, &access_claims(&api.clock, changes))}),
        ));
        let rejected = login(verify(VerifyKeys::PublicKey(signer.pem()))).await.unwrap_err();
        let told = crate::outbound::chain(&rejected);
        assert!(told.contains(expected) && rejected.is_misconfigured(), "{told}");
    }
    api.answers(Reply::json(200, &json!({"accessToken": token})));
    let foreign = verify(VerifyKeys::PublicKey(fake::Signer::ec().pem()));
    assert_eq!(outcome_of(&login(foreign).await), "unavailable", "the token is signed with another key");
    assert!(
        Authority::new(
            verify(VerifyKeys::PublicKey("no key".to_owned())),
            deps(Caller::new(vec![], 64 << 10).unwrap(), vec![], &Clock::system())
        )
        .is_err()
    );
}
