//! The invariants of the token parser, for the fuzz target and its unit test.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::{
    id_token::Expected,
    issuer::Tenants,
    jws::{ASYMMETRIC, Jws, Keys, SignatureVerdict, claims_as_received},
    presets::Preset,
};
use crate::{clock::Timestamp, received, secret::Secret};

const HMAC: &[Algorithm] = &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// Parses `token` as an ID token. The parsed claims must be the signed ones, with an accepted algorithm and no member
/// twice; without the right key the verdict must never be genuine.
pub(crate) fn id_token(token: &str) {
    let Ok(jws) = Jws::parse(token) else { return };
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts: {token}") };
    assert!(!signature.is_empty() && token.len() <= 64 << 10);
    assert!(HMAC.contains(&jws.algorithm) || ASYMMETRIC.contains(&jws.algorithm), "{:?}", jws.algorithm);
    assert_eq!(claims_as_received(token).as_ref(), Some(&jws.claims), "two readers see the same claims");

    // base64url without padding has one encoding, so that the verified bytes are the parsed ones.
    let read = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("it was read");
        assert_eq!(URL_SAFE_NO_PAD.encode(&bytes), part);
        received::json::<Value>(&bytes).expect("it is JSON")
    };
    assert_eq!(read(claims), Value::Object(jws.claims.clone()));
    let header = read(header);
    assert!(header.get("crit").is_none_or(Value::is_null), "an extension that must be understood");
    assert_eq!(header.get("typ").and_then(Value::as_str), jws.kind.as_deref());
    let named = header.get("alg").and_then(Value::as_str).expect("an algorithm");
    assert!(named == "Ed25519" || format!("{:?}", jws.algorithm) == named, "{named}");

    let keys = Keys::of_secret(&Secret::new("a secret that no seed was signed with"));
    assert_ne!(keys.verdict(&jws), SignatureVerdict::Genuine);

    let audiences = ["client".to_owned()];
    let tenants = Tenants::Listed(vec![]);
    let expected = Expected {
        issuer: "https://issuer.example",
        tenants: &tenants,
        preset: Preset::Generic,
        audiences: &audiences,
        nonce: Some("n"),
        access_token: None,
        max_age: None,
        now: Timestamp::from_millis(1_800_000_000_000),
    };
    if expected.check(&jws).is_ok() {
        let claim = |name: &str| jws.claims.get(name).unwrap_or(&Value::Null);
        assert_eq!(claim("iss"), "https://issuer.example");
        assert_eq!(claim("nonce"), "n");
        assert!(claim("sub").as_str().is_some_and(|subject| !subject.is_empty()));
        assert!(*claim("aud") == "client" || claim("aud").as_array().is_some_and(|all| all.contains(&"client".into())));
    }
}
