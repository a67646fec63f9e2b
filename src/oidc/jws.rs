//! Signed tokens (RFC 7515 section 7.1, compact form): parsed strictly, and verified only with an algorithm that both
//! the key and our list allow.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use super::claims::Claims;
use crate::{received, secret::Secret};

/// The algorithms accepted by default: those with a public key.
pub(crate) const ASYMMETRIC: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::ES256,
    Algorithm::PS256,
    Algorithm::EdDSA,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::ES384,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// A parsed token whose signature is not verified yet.
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    /// `typ` of the header.
    pub(crate) kind: Option<String>,
    pub(crate) claims: Claims,
    key_id: Option<String>,
    signed: &'a str,
    signature: &'a str,
}

/// Largest token in bytes; none that fits into a header is larger.
const TOKEN_LIMIT: usize = 64 << 10;

/// A member that occurs twice is an error: two parsers could use different ones.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Extensions that must be understood (RFC 7515 section 4.1.11): none is supported.
    crit: Option<Value>,
}

/// Why a text is no token that the gateway can verify.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unparsable {
    /// Not three parts with a supported header and an object of claims.
    Form,
    /// Five parts: it is encrypted (RFC 7516 section 7.1).
    Encrypted,
    /// `alg` names an algorithm that the gateway does not know.
    Algorithm(String),
}

impl<'a> Jws<'a> {
    /// Parses the token.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Unparsable> {
        if token.len() > TOKEN_LIMIT {
            return Err(Unparsable::Form);
        }
        let mut dots = memchr::memchr_iter(b'.', token.as_bytes());
        let (Some(first), Some(second)) = (dots.next(), dots.next()) else { return Err(Unparsable::Form) };
        match dots.count() {
            0 => {}
            2 => return Err(Unparsable::Encrypted),
            _ => return Err(Unparsable::Form),
        }
        let (signed, signature) = (&token[..second], &token[second + 1..]);
        let header: Header = decode(&signed[..first], |text| serde_json::from_str(text)).ok_or(Unparsable::Form)?;
        let algorithm = algorithm(&header.alg).ok_or_else(|| Unparsable::Algorithm(header.alg.clone()))?;
        if header.crit.is_some() || signature.is_empty() {
            return Err(Unparsable::Form);
        }
        let claims = decode_claims(&signed[first + 1..]).ok_or(Unparsable::Form)?;
        Ok(Self { algorithm, kind: header.typ, claims, key_id: header.kid, signed, signature })
    }

    /// `kid` of the header.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }
}

/// The algorithm of this name (RFC 7518 section 3.1).
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        // The fully specified name of RFC 9864.
        "Ed25519" => Some(Algorithm::EdDSA),
        name => name.parse().ok(),
    }
}

/// The names of algorithms, for messages.
pub(crate) fn names(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect::<Vec<_>>().join(", ")
}

/// The claims of a token received directly from its issuer or from our sealed cookie, without a check of its signature.
/// `None` for an opaque token.
pub(crate) fn claims_as_received(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || token.len() > TOKEN_LIMIT {
        return None;
    }
    decode_claims(claims)
}

/// One claim with a value that cannot be held does not spoil the others: that one has no meaning.
fn decode_claims(part: &str) -> Option<Claims> {
    decode(part, received::json_text)
}

/// JSON in UTF-8 (RFC 7515 section 2); text that is not UTF-8 is an error also in members that are not read.
fn decode<T>(part: &str, read: impl Fn(&str) -> serde_json::Result<T>) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    read(std::str::from_utf8(&bytes).ok()?).ok()
}

/// Keys that verify signatures.
pub(crate) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// `alg` of its JWK: the only algorithm it may be used with (RFC 7517 section 4.4).
    only_algorithm: Option<Algorithm>,
    /// The algorithms of its key type.
    algorithms: &'static [Algorithm],
    material: DecodingKey,
}

/// The result of the check of a token's signature.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SignatureVerdict {
    /// Signed by one of the keys.
    Genuine,
    /// Not signed by the key that its `kid` names.
    Forged,
    /// It has no `kid`, and none of the keys signed it; there may be newer keys.
    Unmatched,
    /// No key has its `kid` and algorithm, so no signature was checked; there may be newer keys.
    UnknownKey,
}

impl Keys {
    /// The keys of a JWK set (RFC 7517 section 5); entries that are not public signature keys of a supported type are
    /// skipped. `None` if `document` is no JWK set.
    pub(crate) fn of_set(document: &Value) -> Option<Self> {
        let keys = document.get("keys")?.as_array()?;
        Some(Self(keys.iter().filter_map(Key::of_jwk).take(MOST_KEYS).collect()))
    }

    /// A shared secret, for HMAC.
    pub(crate) fn of_secret(secret: &Secret) -> Self {
        Self(vec![Key::of(AlgorithmFamily::Hmac, DecodingKey::from_secret(secret.expose().as_bytes()))])
    }

    /// A public key in PEM; `None` if `pem` has none.
    pub(crate) fn of_pem(pem: &str) -> Option<Self> {
        let pem = pem.as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .or_else(|_| DecodingKey::from_ec_pem(pem))
            .or_else(|_| DecodingKey::from_ed_pem(pem))
            .ok()?;
        Some(Self(vec![Key::of(key.family(), key)]))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Verifies the signature with the token's algorithm, which the caller must have allowed, and the keys that fit it.
    pub(crate) fn verdict(&self, token: &Jws<'_>) -> SignatureVerdict {
        let mut verdict = SignatureVerdict::UnknownKey;
        for key in self.0.iter().filter(|key| key.may_verify(token)) {
            if verifies(token, &key.material) {
                return SignatureVerdict::Genuine;
            }
            let is_named = token.key_id.is_some() && token.key_id == key.id;
            if is_named || verdict == SignatureVerdict::UnknownKey {
                verdict = if is_named { SignatureVerdict::Forged } else { SignatureVerdict::Unmatched };
            }
        }
        verdict
    }
}

/// Most keys used of a set: a token without `kid` is checked with each of them.
const MOST_KEYS: usize = 64;

impl Key {
    fn of(family: AlgorithmFamily, key: DecodingKey) -> Self {
        Self { id: None, only_algorithm: None, algorithms: algorithms_of(family), material: key }
    }

    fn of_jwk(value: &Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let algorithms: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => algorithms_of(AlgorithmFamily::Rsa),
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => &[Algorithm::ES256],
            AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => &[Algorithm::ES384],
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
            // With a published symmetric key every reader could sign.
            _ => return None,
        };
        let common = &jwk.common;
        let for_signatures = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        if !for_signatures {
            return None;
        }
        let only_algorithm = match value.get("alg").and_then(Value::as_str) {
            None => None,
            Some(name) => Some(algorithm(name)?),
        };
        Some(Self {
            id: common.key_id.clone(),
            only_algorithm,
            algorithms,
            material: DecodingKey::from_jwk(&jwk).ok()?,
        })
    }

    fn may_verify(&self, token: &Jws<'_>) -> bool {
        self.algorithms.contains(&token.algorithm)
            && self.only_algorithm.is_none_or(|only| only == token.algorithm)
            && (self.id.is_none() || token.key_id.is_none() || self.id == token.key_id)
    }
}

/// The algorithms of a key family.
fn algorithms_of(family: AlgorithmFamily) -> &'static [Algorithm] {
    match family {
        AlgorithmFamily::Hmac => &[Algorithm::HS256, Algorithm::HS384, Algorithm::HS512],
        AlgorithmFamily::Rsa => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmFamily::Ec => &[Algorithm::ES256, Algorithm::ES384],
        AlgorithmFamily::Ed => &[Algorithm::EdDSA],
    }
}

fn verifies(token: &Jws<'_>, key: &DecodingKey) -> bool {
    jsonwebtoken::crypto::verify(token.signature, token.signed.as_bytes(), key, token.algorithm).unwrap_or(false)
}
