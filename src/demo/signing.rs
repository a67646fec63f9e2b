//! An ES256 key, generated at start: it signs and verifies the demo's tokens and is published as a JWKS (RFC 7517).

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Map, Value, json};

use crate::secret::Random;

/// The claims of a token.
pub type Claims = Map<String, Value>;

/// The cryptographic library could not generate a key.
#[derive(Debug, thiserror::Error)]
#[error("no signing key could be generated")]
pub struct KeyError;

/// An ES256 key pair.
pub struct SigningKey {
    kid: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    jwk: Value,
}

impl SigningKey {
    pub(super) fn generate(random: &Random) -> Result<Self, KeyError> {
        // An error means that a provider is installed already.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| KeyError)?;
        let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyError)?;
        // SEC 1 section 2.3.3: 0x04, then x and y.
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..).and_then(|xy| xy.split_at_checked(32)).ok_or(KeyError)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let kid = random.token::<8>();
        Ok(Self {
            encoding: EncodingKey::from_ec_der(pkcs8.as_ref()),
            decoding: DecodingKey::from_ec_components(&x, &y).map_err(|_| KeyError)?,
            jwk: json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y }),
            kid,
        })
    }

    /// A signed token; `typ` as RFC 8725 section 3.11 recommends.
    ///
    /// # Panics
    /// Never: a new P-256 key signs any JSON object.
    pub fn sign(&self, typ: &str, claims: &Claims) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("a new P-256 key signs a JSON object")
    }

    /// The claims of a token that this key signed. The caller checks `exp` by the demo's clock.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        verify(token, &self.decoding)
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The JWK set with the public key.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.jwk] })
    }
}

/// The claims of a token with a valid ES256 or `EdDSA` signature of that key; nothing else is checked.
pub(super) fn verify(token: &str, key: &DecodingKey) -> Option<Claims> {
    let algorithm = jsonwebtoken::decode_header(token).ok()?.alg;
    if !matches!(algorithm, Algorithm::ES256 | Algorithm::EdDSA) {
        return None;
    }
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    jsonwebtoken::decode(token, key, &validation).ok().map(|data| data.claims)
}
