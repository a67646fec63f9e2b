//! ID tokens: which claims, headers, signatures and keys are accepted.

use super::*;

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
        assert!(matches!(&result, Err(OidcError::Untrusted(found)) if *found == flaw), "{changes}: {:?}", result.err());
    }
    for changes in [
        json!({"aud": [CLIENT]}),
        json!({"aud": ["other", CLIENT], "azp": CLIENT}),
        json!({"exp": now - 30}),
        json!({"iat": now + 90, "nbf": now + 90}),
        json!({"exp": 4_000_000_000.5}),
        json!({"at_hash": b64(&digest::digest(&digest::SHA256, b"at1").as_ref()[..16])}),
    ] {
        assert!(login(&fake, &provider, changes.clone()).await.is_ok(), "{changes}");
    }
    let attempt = attempt(&provider).await;
    fake.answer("/token", Reply::json(200, &json!({"access_token": "a"})));
    let without = provider.redeem(callback(&attempt), &attempt, REDIRECT).await;
    assert!(matches!(without, Err(OidcError::Untrusted(found)) if found == Flaw::Form));
}

#[tokio::test]
async fn what_another_try_cannot_mend_is_told_as_a_fault_of_the_configuration_with_the_claim() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    let now = fake.clock.now();
    let later = now.plus(Duration::from_secs(1000)).rfc3339();
    for (changes, told) in [
        (json!({"sub": null}), "`sub` is absent, and must be a text that is not empty"),
        (json!({"sub": 7}), "`sub` is a number, and must be a text that is not empty"),
        (json!({"sub": ""}), "`sub` is an empty text, and must"),
        (json!({"exp": null}), "`exp` is absent"),
        (json!({"iat": "x"}), "`iat` is a text, and no time"),
        (json!({"exp": now.as_secs() - 1000}), "do the clocks agree?"),
        (json!({"nbf": now.as_secs() + 1000}), format!(", not before {later}`").as_str()),
        (json!({"at_hash": "AAAA"}), "`at_hash` is not that of the access token"),
    ] {
        let error = login(&fake, &provider, changes.clone()).await.unwrap_err();
        assert!(error.is_misconfigured() && error.to_string().contains(told), "{changes}: {error}");
    }
    for (changes, told) in [(json!({"nonce": "x"}), "is that of another login"), (json!({"nonce": null}), "is absent")]
    {
        let error = login(&fake, &provider, changes.clone()).await.unwrap_err();
        assert!(!error.is_misconfigured() && error.to_string().contains(&format!("`nonce` {told}")), "{error}");
    }
    let answered = async |answer: Value| {
        let attempt = attempt(&provider).await;
        fake.answer("/token", Reply::json(200, &answer));
        provider.redeem(callback(&attempt), &attempt, REDIRECT).await.unwrap_err()
    };
    for answer in [json!({"access_token": "a"}), json!({"access_token": "a", "id_token": 5})] {
        let error = answered(answer).await;
        assert!(error.is_misconfigured() && error.to_string().contains("`id_token` in the token answer"), "{error}");
    }
    for answer in
        [json!({"access_token": "a", "token_type": "mac"}), json!({}), json!({"error": "redirect_uri_mismatch"})]
    {
        assert!(answered(answer.clone()).await.is_misconfigured(), "{answer}");
    }
    assert!(!answered(json!({"error": "invalid_grant"})).await.is_misconfigured());
}

#[tokio::test]
async fn a_key_set_without_a_fitting_key_is_a_fault_of_the_configuration() {
    for (set, told) in [
        (json!({"keys": []}), "the provider's key set has no key for signatures"),
        (json!({"keys": [{"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}]}), "has no key for signatures"),
    ] {
        let fake = Fake::start().await;
        fake.answer("/jwks", Reply::json(200, &set));
        let error = login(&fake, &fake.provider(), json!({})).await.unwrap_err();
        assert!(error.is_misconfigured() && error.to_string().contains(told), "{set}: {error}");
    }
    let fake = Fake::start().await;
    let (provider, token) =
        (fake.provider(), fake.signer.sign(r#"{"alg":"ES256","kid":"gone"}"#, &fake.claims(json!({}))));
    let audiences = [CLIENT.to_owned()];
    let error =
        OidcError::from(provider.verify_id_token(&IdToken::new(token), &audiences, None, None).await.unwrap_err());
    assert!(error.is_misconfigured() && error.to_string().contains("it is `gone`, and no published key"), "{error}");
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
async fn tokens_with_a_forged_header_or_signature_are_refused_and_cause_no_fetch() {
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
    let forged = [
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
    for (number, token) in forged.iter().enumerate() {
        assert!(!accepted(&provider, token).await, "{number}: {}", &token[..token.len().min(80)]);
    }
    let fetched: Vec<_> = fake.server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(fetched, [METADATA, "/jwks"], "no token causes a fetch");
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
    for (reply, requests) in [
        (Reply::text(500, "text/plain", "no"), 1),
        (Reply::text(200, "text/html", "<html>"), 1),
        (Reply::text(200, "application/json", vec![b' '; (1 << 20) + 1]), 1),
        (Reply::json(200, &json!({"keys": 7})), 1),
        // A connection that ends without an answer: once more on a new one.
        (Reply::Reset, 2),
    ] {
        fake.answer("/jwks", reply);
        let before = fake.server.count("/jwks");
        let claims = fake.claims(json!({"exp": 4_000_000_000_u32}));
        for number in 0..200 {
            let header = json!({"alg": "ES256", "kid": format!("random{number}")}).to_string();
            assert!(!accepted(&provider, &Signer::ec().sign(&header, &claims)).await);
        }
        assert_eq!(fake.server.count("/jwks"), before + requests);
        let good = fake.id_token(json!({}));
        assert!(accepted(&provider, good.expose()).await, "the old key stays in use");
        fake.clock.advance(Duration::from_secs(30));
    }
    let newer = Signer::ec();
    fake.answer("/jwks", Reply::json(200, &json!({"keys": [newer.jwk("k2")]})));
    let token = newer.sign(r#"{"alg":"ES256","kid":"k2"}"#, &fake.claims(json!({})));
    assert!(accepted(&provider, &token).await, "a rotated key is found");
    let retired = fake.id_token(json!({}));
    assert!(!accepted(&provider, retired.expose()).await, "a key that is no longer published is not accepted");
}
