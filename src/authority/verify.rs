//! `[authority.verify]`: whether an access token is what the authority issued (RFC 9068 section 4).

use std::{sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::{Authority, Gateway, Verify, VerifyKeys};
use crate::{
    clock::{Clock, Timestamp},
    oidc::{self, Claims, Jws, KeySource, SignatureVerdict, Unavailable},
    secret::{AccessToken, Random},
    signing::Signer,
};

/// The claims of an access token.
#[derive(Clone, PartialEq, Debug)]
pub struct AccessClaims {
    /// The claims.
    pub claims: Claims,
    /// True if `[authority.verify]` vouches for them; else they are as they came from the authority.
    pub verified: bool,
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Its time is over. Whether the rest would have passed is not said.
    #[error("the access token has expired")]
    Expired,
    /// It is not what the authority issued for us, as a look at it shows.
    #[error("the access token is not genuine")]
    Invalid,
    /// Its signature is none of the authority's: it took the time of checking one to know that.
    #[error("the access token is forged")]
    Forged,
    /// The keys cannot be had now.
    #[error("the access token cannot be verified now")]
    Unavailable(#[source] Arc<Unavailable>),
}

/// `authority.verify.public_key` is no public key in PEM.
#[derive(Debug, thiserror::Error)]
#[error("authority.verify.public_key holds no RSA, EC or Ed25519 public key in PEM")]
pub struct BadKey;

impl Authority {
    /// Whether there is a `[authority.verify]`.
    pub fn verifies(&self) -> bool {
        self.verifier.is_some()
    }

    /// A token that somebody shows, if all that is cheap to check speaks for it and its time is not over by more than `leeway`.
    pub fn read_access_token<'a>(&'a self, token: &'a str, leeway: Duration) -> Result<ShownToken<'a>, VerifyError> {
        let verifier = self.verifier.as_ref().ok_or(VerifyError::Invalid)?;
        verifier.read(token, Some((self.clock.now(), leeway)))
    }

    /// The claims of a token that the authority gave earlier and that nobody could change since: out of our own seal.
    pub fn claims_of(&self, token: &AccessToken) -> Option<Claims> {
        oidc::claims_as_received(token.expose())
    }

    /// The claims of a token that the authority gives just now; its time may be over already, by its clock or ours.
    pub(super) async fn claims_of_new(&self, token: &AccessToken) -> Result<Option<AccessClaims>, VerifyError> {
        if let Some(verifier) = &self.verifier {
            let verified = match verifier.read(token.expose(), None) {
                Ok(token) => token.verify().await,
                Err(error) => Err(error),
            };
            match verified {
                Ok(claims) => return Ok(Some(AccessClaims { claims, verified: true })),
                // Where the token came from vouches for it until the keys are there; it must not be lost, for it may be the only one.
                Err(VerifyError::Unavailable(error)) => {
                    tracing::warn!(%error, "authority: keys of [authority.verify] not available");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.claims_of(token).map(|claims| AccessClaims { claims, verified: false }))
    }
}

pub(super) struct Verifier {
    keys: KeySource,
    algorithms: Vec<Algorithm>,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Verifier {
    pub(super) fn new(settings: Verify, http: oidc::Http, clock: Clock, random: Random) -> Result<Self, BadKey> {
        let defaults: &[Algorithm] = match &settings.keys {
            VerifyKeys::Secret(_) => &[Algorithm::HS256],
            VerifyKeys::Jwks(_) | VerifyKeys::PublicKey(_) => oidc::ASYMMETRIC,
        };
        let keys = match settings.keys {
            VerifyKeys::Secret(secret) => KeySource::secret(&secret),
            VerifyKeys::PublicKey(pem) => KeySource::public_key(&pem).ok_or(BadKey)?,
            VerifyKeys::Jwks(url) => KeySource::at("authority keys".to_owned(), url, http, clock, random),
        };
        let algorithms = if settings.algorithms.is_empty() { defaults.to_vec() } else { settings.algorithms };
        Ok(Self { keys, algorithms, issuer: settings.issuer, audience: settings.audience })
    }

    /// Verifies what the gateway itself issued.
    pub(super) fn of_own(gateway: &Gateway, signer: &Signer) -> Self {
        Self {
            keys: KeySource::set(&signer.jwks()).expect("what is published is a key set"),
            algorithms: oidc::ASYMMETRIC.to_vec(),
            issuer: Some(gateway.issuer.clone()),
            audience: Some(gateway.audience.clone()),
        }
    }

    /// What is cheap to check; the time is looked at where `when` says what it is.
    fn read<'a>(&'a self, token: &'a str, when: Option<(Timestamp, Duration)>) -> Result<ShownToken<'a>, VerifyError> {
        let token = Jws::parse(token).ok_or(VerifyError::Invalid)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(VerifyError::Invalid);
        }
        let kind = token.kind.as_deref().map(str::to_ascii_lowercase);
        if !matches!(kind.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt")) {
            return Err(VerifyError::Invalid);
        }
        if self.issuer.as_deref().is_some_and(|issuer| token.claims.get("iss").and_then(Value::as_str) != Some(issuer))
        {
            return Err(VerifyError::Invalid);
        }
        if self.audience.as_deref().is_some_and(|audience| !is_for(&token.claims, audience)) {
            return Err(VerifyError::Invalid);
        }
        if let Some((now, leeway)) = when {
            check_times(&token.claims, now, leeway)?;
        }
        Ok(ShownToken { token, verifier: self })
    }
}

/// An access token that looks like one of the authority's. Its signature is still to be checked, which costs as much as hundreds of looks.
pub struct ShownToken<'a> {
    token: Jws<'a>,
    verifier: &'a Verifier,
}

impl ShownToken<'_> {
    /// Its claims, if it is genuine.
    pub async fn verify(self) -> Result<Claims, VerifyError> {
        match self.verifier.keys.verify(&self.token, &self.verifier.algorithms).await {
            Ok(SignatureVerdict::Genuine) => Ok(self.token.claims),
            Ok(SignatureVerdict::Forged | SignatureVerdict::Unmatched) => Err(VerifyError::Forged),
            Ok(SignatureVerdict::UnknownKey) => Err(VerifyError::Invalid),
            Err(error) => Err(VerifyError::Unavailable(error)),
        }
    }
}

fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().any(|name| name == audience),
        Some(single) => single == audience,
        None => false,
    }
}

fn check_times(claims: &Claims, now: Timestamp, leeway: Duration) -> Result<(), VerifyError> {
    let expires = claims.get("exp").and_then(oidc::numeric_date).ok_or(VerifyError::Invalid)?;
    let from = match claims.get("nbf") {
        Some(date) => oidc::numeric_date(date).ok_or(VerifyError::Invalid)?,
        None => now,
    };
    if from > now.plus(leeway) {
        return Err(VerifyError::Invalid);
    }
    if expires.plus(leeway) <= now { Err(VerifyError::Expired) } else { Ok(()) }
}
