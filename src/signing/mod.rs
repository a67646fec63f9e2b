//! Signs the JWTs that the gateway issues (JWS, RFC 7515): proofs of verified addresses, assertions to backends, and
//! its own access tokens.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

mod key;

pub use key::{BadSigningKey, SigningAlgorithm, SigningKey};

/// Signs with the first of its keys and publishes all of them. Cheap to clone.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<[SigningKey]>,
    issuer: Arc<str>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("issuer", &self.issuer).field("keys", &self.keys).finish()
    }
}

impl Signer {
    /// A signer for JWTs with the claim `iss` = `issuer`. `keys[0]` signs, all are published.
    ///
    /// # Panics
    /// If there is no key. The configuration always has one.
    pub fn new(keys: Vec<SigningKey>, issuer: &str) -> Self {
        assert!(!keys.is_empty(), "the configuration holds at least one signing key");
        Self { keys: keys.into(), issuer: issuer.into() }
    }

    /// The `iss` of the JWTs that the gateway signs.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A signed JWT with these claims and this `typ` (RFC 8725 section 3.11).
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        self.keys[0].sign(typ, claims)
    }

    /// The published JWK set (RFC 7517 section 5): first the key that signs, then older keys, whose tokens may still be
    /// valid.
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(SigningKey::public).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::seal::SealKey;

    fn derived(byte: u8) -> SigningKey {
        SigningKey::derived(&SealKey(Zeroizing::new([byte; 32])))
    }

    /// The `sub` of a token, verified with a JWK set as a client does it.
    fn verified(token: &str, set: &Value) -> Option<String> {
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(set.clone()).unwrap();
        let header = jsonwebtoken::decode_header(token).unwrap();
        let jwk = set.find(&header.kid.unwrap())?;
        let public = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(token, &public, &jsonwebtoken::Validation::new(header.alg));
        Some(read.ok()?.claims["sub"].as_str()?.to_owned())
    }

    #[test]
    fn signatures_of_every_kind_of_key_verify_with_the_published_set() {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let made = |algorithm| SigningKey::from_pem(&SigningKey::generate(algorithm)).unwrap();
        for (key, algorithm) in [
            (derived(7), "EdDSA"),
            (made(SigningAlgorithm::Ed25519), "EdDSA"),
            (made(SigningAlgorithm::Es256), "ES256"),
        ] {
            let signer = Signer::new(vec![key, derived(1)], "https://app.example");
            let token = signer.sign("x+jwt", &json!({ "sub": "a", "exp": 4_102_444_800u64 }));
            assert_eq!(verified(&token, &signer.jwks()).as_deref(), Some("a"), "{algorithm}");
            assert_eq!(jsonwebtoken::decode_header(&token).unwrap().typ.as_deref(), Some("x+jwt"));
            let published = &signer.jwks()["keys"];
            assert_eq!((published[0]["alg"].as_str(), published.as_array().unwrap().len()), (Some(algorithm), 2));
            assert!(published[0].get("d").is_none(), "nothing private is published");
        }
    }

    #[test]
    fn an_older_key_is_published_and_verifies_as_long_as_it_is_listed() {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let signer = |keys: &[u8]| Signer::new(keys.iter().map(|byte| derived(*byte)).collect(), "https://app.example");
        let token = signer(&[1]).sign("x+jwt", &json!({ "sub": "a", "exp": 4_102_444_800u64 }));
        assert_eq!(verified(&token, &signer(&[2, 1]).jwks()).as_deref(), Some("a"));
        assert_eq!(verified(&token, &signer(&[2]).jwks()), None);
    }
}
