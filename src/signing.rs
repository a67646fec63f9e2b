//! The gateway's own signature (JWS, RFC 7515): on proofs of verified addresses, on assertions to backends, and on the access tokens that it issues itself.

use std::sync::Arc;

use aws_lc_rs::{hkdf, signature::Ed25519KeyPair, signature::KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::seal::SealKey;

/// Signs with the first of its keys and publishes all of them.
#[derive(Clone)]
pub struct Signer {
    keys: Arc<[SigningKey]>,
    issuer: Arc<str>,
}

/// A private key.
#[derive(Clone)]
pub struct SigningKey {
    /// Its name in JWTs and in the published set: the JWK thumbprint (RFC 7638).
    id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    /// As a JWK (RFC 7517).
    public: Value,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// The Ed25519 key that belongs to a session key: whoever has the one has the other, so a fleet agrees without another secret.
    ///
    /// # Panics
    /// Never: HKDF gives 32 bytes, and any 32 bytes are an Ed25519 seed.
    pub fn derived(key: &SealKey) -> Self {
        struct Length;
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                32
            }
        }
        let mut seed = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule signing")
            .extract(key.0.as_slice())
            .expand(&[b"ed25519"], Length)
            .and_then(|okm| okm.fill(seed.as_mut_slice()))
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).expect("any 32 bytes are a seed");
        let private = pair.to_pkcs8().expect("an Ed25519 key can be written down");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        let thumbprint = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, thumbprint.as_bytes()));
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": id });
        Self { id, algorithm: Algorithm::EdDSA, private: EncodingKey::from_ed_der(private.as_ref()), public }
    }
}

impl Signer {
    /// A signer in the name of `issuer`.
    ///
    /// # Panics
    /// Without a key: the configuration always has one.
    pub fn new(keys: Vec<SigningKey>, issuer: &str) -> Self {
        assert!(!keys.is_empty(), "the configuration holds at least one signing key");
        Self { keys: keys.into(), issuer: issuer.into() }
    }

    /// The `iss` of what it signs.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A JWT of this `typ` (RFC 8725 section 3.11).
    ///
    /// # Panics
    /// Never: the keys were tried when they were read.
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let key = &self.keys[0];
        let mut header = Header::new(key.algorithm);
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.id.clone());
        jsonwebtoken::encode(&header, claims, &key.private).expect("the keys were tried when they were read")
    }

    /// The published set (RFC 7517 section 5).
    pub fn jwks(&self) -> Value {
        json!({ "keys": self.keys.iter().map(|key| &key.public).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_derived_key_signs_is_verified_by_the_published_set() {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = SealKey(Zeroizing::new([7; 32]));
        let signer = Signer::new(vec![SigningKey::derived(&key)], "https://app.example");
        let token = signer.sign("x+jwt", &json!({ "sub": "a", "exp": 4_102_444_800u64 }));
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(signer.jwks()).unwrap();
        let header = jsonwebtoken::decode_header(&token).unwrap();
        let jwk = set.find(&header.kid.unwrap()).unwrap();
        let public = jsonwebtoken::DecodingKey::from_jwk(jwk).unwrap();
        let read = jsonwebtoken::decode::<Value>(&token, &public, &jsonwebtoken::Validation::new(Algorithm::EdDSA));
        assert_eq!(read.unwrap().claims["sub"], "a");
        assert_eq!(SigningKey::derived(&key).id, SigningKey::derived(&key).id);
    }
}
