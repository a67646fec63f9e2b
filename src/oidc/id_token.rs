//! The checks of an ID token's claims (OpenID Connect Core section 3.1.3.7); [`super::jws`] checks its signature.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::{
    claims::{Claims, numeric_date},
    fetch::Unavailable,
    jws::Jws,
    presets::Preset,
};
use crate::{
    clock::Timestamp,
    secret::{self, AccessToken},
};

/// Why an ID token, or the profile that replaces it with OAuth 2.0, is not accepted; for the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// Not a signed token that the gateway can parse, or `typ` is that of another kind of token.
    #[error("not a readable ID token")]
    Form,
    /// `iss` is absent or of another issuer.
    #[error("another issuer")]
    Issuer,
    /// `aud` or `azp` does not name this client.
    #[error("made for another client")]
    Audience,
    /// `sub` is absent or of another person.
    #[error("subject is missing or another one")]
    Subject,
    /// `exp` or `iat` is absent, or one of `exp`, `iat` and `nbf` is no date or excludes the current time.
    #[error("not valid at this time")]
    Time,
    /// `nonce` is absent or of another login.
    #[error("another nonce")]
    Nonce,
    /// `at_hash` is of another access token.
    #[error("made for another access token")]
    AccessToken,
    /// OAuth 2.0: the profile request was refused, or its answer reports a failure.
    #[error("the provider refused the profile")]
    Profile,
    /// The signature is wrong, or its key or algorithm is not one of the issuer's.
    #[error("not signed by the issuer")]
    Signature,
}

/// Why an ID token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// The token or its signature is wrong.
    #[error("the ID token is not accepted: {0}")]
    Invalid(Flaw),
    /// The provider's keys could not be fetched.
    #[error("the ID token cannot be verified now")]
    Unavailable(#[source] Arc<Unavailable>),
}

/// The expected claims of an ID token.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) preset: Preset,
    /// The values that `aud` and `azp` may have.
    pub(super) audiences: &'a [String],
    pub(super) nonce: Option<&'a str>,
    /// The access token of the same answer, for `at_hash`.
    pub(super) access_token: Option<&'a AccessToken>,
    /// Longest time since `iat`.
    pub(super) max_age: Option<Duration>,
    pub(super) now: Timestamp,
}

/// Tolerated difference of the provider's clock.
const SKEW: Duration = Duration::from_secs(60);

impl Expected<'_> {
    pub(super) fn check(&self, token: &Jws<'_>) -> Result<(), Flaw> {
        let claims = &token.claims;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        // An access token, logout token or event of the same issuer is no ID token (RFC 8725 section 3.11).
        if token.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
            return Err(Flaw::Form);
        }
        let issuer = text("iss").ok_or(Flaw::Issuer)?;
        if issuer != self.issuer && !self.preset.also_issues_as(issuer, self.issuer) {
            return Err(Flaw::Issuer);
        }
        if text("sub").is_none_or(str::is_empty) {
            return Err(Flaw::Subject);
        }
        self.check_audience(claims)?;
        self.check_times(claims)?;
        if let Some(nonce) = self.nonce
            && !text("nonce").is_some_and(|claimed| secret::ct_eq(claimed.as_bytes(), nonce.as_bytes()))
        {
            return Err(Flaw::Nonce);
        }
        match (claims.get("at_hash"), self.access_token) {
            (Some(claimed), Some(access_token))
                if claimed.as_str() != Some(&half_hash(token.algorithm, access_token)) =>
            {
                Err(Flaw::AccessToken)
            }
            _ => Ok(()),
        }
    }

    fn check_audience(&self, claims: &Claims) -> Result<(), Flaw> {
        let ours = |value: &Value| value.as_str().is_some_and(|name| self.audiences.iter().any(|ours| ours == name));
        let several = match claims.get("aud") {
            Some(Value::Array(audiences)) if audiences.iter().any(ours) => audiences.len() > 1,
            Some(single) if ours(single) => false,
            _ => return Err(Flaw::Audience),
        };
        match claims.get("azp") {
            Some(party) if ours(party) => Ok(()),
            None if !several => Ok(()),
            _ => Err(Flaw::Audience),
        }
    }

    fn check_times(&self, claims: &Claims) -> Result<(), Flaw> {
        let (now_minus_skew, now_plus_skew) = (self.now.minus(SKEW), self.now.plus(SKEW));
        let issued = numeric_date(claims.get("iat").ok_or(Flaw::Time)?).ok_or(Flaw::Time)?;
        let expires = numeric_date(claims.get("exp").ok_or(Flaw::Time)?).ok_or(Flaw::Time)?;
        let from = match claims.get("nbf") {
            Some(date) => numeric_date(date).ok_or(Flaw::Time)?,
            None => issued,
        };
        let too_old = self.max_age.is_some_and(|most| self.now.since(issued) > most);
        if expires <= now_minus_skew || issued > now_plus_skew || from > now_plus_skew || too_old {
            Err(Flaw::Time)
        } else {
            Ok(())
        }
    }
}

/// `at_hash` (OpenID Connect Core section 3.1.3.6): the left half of the access token's hash, by the hash function of
/// `algorithm`.
fn half_hash(algorithm: Algorithm, access_token: &AccessToken) -> String {
    let hash = match algorithm {
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 | Algorithm::HS384 => &digest::SHA384,
        Algorithm::RS512 | Algorithm::PS512 | Algorithm::HS512 | Algorithm::EdDSA => &digest::SHA512,
        _ => &digest::SHA256,
    };
    let digest = digest::digest(hash, access_token.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}
