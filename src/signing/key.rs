//! A private key that signs JWTs: derived from a session key, read from PEM, or generated.

use aws_lc_rs::{
    digest, hkdf,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{seal::SealKey, secret::Secret};

/// A private key that signs JWTs, with its public key.
#[derive(Clone)]
pub struct SigningKey {
    /// `kid`: the JWK thumbprint (RFC 7638).
    id: String,
    algorithm: Algorithm,
    private: EncodingKey,
    /// The public key as a JWK (RFC 7517).
    public: Value,
}

/// The algorithm of a generated key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SigningAlgorithm {
    /// ES256: ECDSA with P-256, which every JWT library supports.
    Es256,
    /// `EdDSA` with Ed25519.
    Ed25519,
}

/// Why a text cannot be used as a signing key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSigningKey {
    /// The text is not PKCS#8 in PEM.
    #[error("this is not a private key in PKCS#8 PEM")]
    Form,
    /// The key is neither P-256 nor Ed25519.
    #[error("this is neither a P-256 nor an Ed25519 key")]
    Kind,
    /// Its signatures do not verify with its own public key.
    #[error("this key does not sign")]
    Broken,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.id)
    }
}

impl SigningKey {
    /// The Ed25519 key derived from a session key. Instances with the same session key have the same signing key,
    /// without a second secret.
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
        Self::ed25519(&pair)
    }

    /// Reads a key in PKCS#8 PEM (RFC 5958). A test signature must verify with the key's public key.
    pub fn from_pem(pem: &Secret) -> Result<Self, BadSigningKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| BadSigningKey::Form)?;
        let der = der.secret_pkcs8_der();
        let key = if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Self::p256(&pair, der)
        } else if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Self::ed25519(&pair)
        } else {
            return Err(BadSigningKey::Kind);
        };
        if key.works() { Ok(key) } else { Err(BadSigningKey::Broken) }
    }

    /// A new key in PKCS#8 PEM.
    ///
    /// # Panics
    /// If the operating system's random source fails: no safe fallback exists.
    pub fn generate(algorithm: SigningAlgorithm) -> Secret {
        let der = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|pair| pair.to_pkcs8v1())
            }
            // PKCS#8 version 1, which OpenSSL writes too: some programs do not read version 2.
            SigningAlgorithm::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
        }
        .expect("the operating system's random source works");
        let text = Zeroizing::new(STANDARD.encode(der.as_ref()));
        let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
        for (at, c) in text.char_indices() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        Secret::new(pem + "\n-----END PRIVATE KEY-----\n")
    }

    /// The key's `kid`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public key as a JWK.
    pub(super) fn public(&self) -> &Value {
        &self.public
    }

    /// A signed JWT with these claims and this `typ`.
    ///
    /// # Panics
    /// Never: the key has signed when it was read, and claims are JSON.
    pub(super) fn sign(&self, typ: &str, claims: &impl Serialize) -> String {
        let mut header = Header::new(self.algorithm);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).expect("the keys were tried when they were read")
    }

    fn ed25519(pair: &Ed25519KeyPair) -> Self {
        let private = pair.to_pkcs8().expect("an Ed25519 key can be written down");
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        // The members of the thumbprint in this order: RFC 8037 section 2.
        let id = thumbprint(&format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let public = json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "alg": "EdDSA", "kid": id });
        Self { id, algorithm: Algorithm::EdDSA, private: EncodingKey::from_ed_der(private.as_ref()), public }
    }

    fn p256(pair: &EcdsaKeyPair, pkcs8: &[u8]) -> Self {
        // An uncompressed point is 0x04, x, y: SEC 1 section 2.3.3.
        let point = pair.public_key().as_ref();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let id = thumbprint(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
        let public = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": id });
        Self { id, algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(pkcs8), public }
    }

    fn works(&self) -> bool {
        // The configuration is read before the crypto provider is installed. An error means that the same provider was
        // installed before.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let verified = || {
            let jwk = serde_json::from_value(self.public.clone()).ok()?;
            let public = DecodingKey::from_jwk(&jwk).ok()?;
            let signature = jsonwebtoken::crypto::sign(b"tried", &self.private, self.algorithm).ok()?;
            jsonwebtoken::crypto::verify(&signature, b"tried", &public, self.algorithm).ok()
        };
        verified() == Some(true)
    }
}

/// The JWK thumbprint (RFC 7638 section 3.1) of the canonical members.
fn thumbprint(canonical: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output of `openssl genpkey -algorithm ed25519`, which does not contain the public key.
    const OPENSSL_ED25519: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

    fn read(pem: &str) -> Result<SigningKey, BadSigningKey> {
        SigningKey::from_pem(&Secret::new(pem))
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037_appendix_a() {
        // RFC 8037 appendix A.1 and A.3.
        assert_eq!(read(OPENSSL_ED25519).unwrap().id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_derived_key_is_the_same_each_time() {
        let key = |byte| SigningKey::derived(&SealKey(Zeroizing::new([byte; 32])));
        assert_eq!(key(7).id(), key(7).id());
        assert_ne!(key(7).id(), key(8).id());
    }

    #[test]
    fn a_text_that_is_no_p_256_or_ed25519_key_is_refused() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        for (pem, expected) in [
            ("", BadSigningKey::Form),
            ("hunter2", BadSigningKey::Form),
            (&rcgen::KeyPair::generate().unwrap().public_key_pem(), BadSigningKey::Form),
            (&p384.serialize_pem(), BadSigningKey::Kind),
            (&OPENSSL_ED25519.replace("MC4CAQAwBQ", "MC4CAQAwBg"), BadSigningKey::Kind),
        ] {
            assert_eq!(read(pem).unwrap_err(), expected, "{pem}");
        }
        assert!(read(&rcgen::KeyPair::generate().unwrap().serialize_pem()).is_ok(), "a P-256 key of another program");
    }

    #[test]
    fn each_generated_key_is_different_and_debug_shows_only_its_id() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::Ed25519] {
            let (one, other) = (SigningKey::generate(algorithm), SigningKey::generate(algorithm));
            assert_ne!(one, other);
            assert!(one.expose().lines().all(|line| line.len() <= 64));
            let key = SigningKey::from_pem(&one).unwrap();
            assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.id()));
        }
    }
}
