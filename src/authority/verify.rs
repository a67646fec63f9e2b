//! Verifies that an access token was issued by the authority (RFC 9068 section 4), as `[authority.verify]` says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jsonwebtoken::Algorithm;
use serde_json::Value;
use url::Url;

use super::lifetime;
use crate::{
    clock::{Clock, Timestamp},
    oidc::{self, Claims, Jws, KeySource, SignatureVerdict, Unavailable, Unparsable},
    received,
    secret::{AccessToken, Random, Secret},
    signing::Signer,
};

/// `[authority.verify]`, validated.
#[derive(Clone, Debug)]
pub struct VerifySettings {
    /// The source of the keys.
    pub keys: VerifyKeys,
    /// Accepted algorithms. Empty: HS256 for a shared secret, otherwise all asymmetric ones.
    pub algorithms: Vec<Algorithm>,
    /// The expected `iss`; `None`: not checked.
    pub issuer: Option<String>,
    /// The expected `aud`; `None`: not checked.
    pub audience: Option<String>,
}

/// The source of the keys that verify access tokens.
#[derive(Clone, Debug)]
pub enum VerifyKeys {
    /// The URL of a JWK set (RFC 7517 section 5).
    Jwks(Url),
    /// A shared secret: its UTF-8 bytes are the key.
    Secret(Secret),
    /// A public key in PEM.
    PublicKey(String),
}

/// The claims of an access token.
#[derive(Clone, PartialEq, Debug)]
pub struct AccessClaims {
    /// All claims of its payload.
    pub claims: Claims,
    /// True if the signature was verified. False: the token came straight from the authority.
    pub verified: bool,
}

/// Why an access token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token has expired. The signature was not checked.
    #[error("the access token has expired")]
    Expired,
    /// The token is not of this authority and audience, or no key fits it. The signature was not checked.
    #[error("the access token is not genuine")]
    Invalid,
    /// The signature was checked and is wrong.
    #[error("the access token is forged")]
    Forged,
    /// The keys cannot be fetched at this moment.
    #[error("the access token cannot be verified now")]
    Unavailable(#[source] Arc<Unavailable>),
}

/// A token that the authority has just issued does not pass `[authority.verify]`.
#[derive(Debug, thiserror::Error)]
#[error("{error}{why}")]
pub struct RejectedToken {
    /// Printed with `why`, and so not the source: a log prints that too.
    error: VerifyError,
    /// The values that differ, for the log.
    why: String,
}

/// `authority.verify.public_key` is no RSA, EC or Ed25519 public key in PEM.
#[derive(Debug, thiserror::Error)]
#[error("authority.verify.public_key is no RSA, EC or Ed25519 public key in PEM")]
pub struct BadKey;

/// The checks of an authority's access tokens.
pub(super) struct AccessTokenChecks {
    verifier: Option<Verifier>,
    clock: Clock,
    /// Whether a value that states no lifetime was logged: an authority that sends one sends it with each token.
    has_logged_no_life: AtomicBool,
}

impl AccessTokenChecks {
    pub(super) fn new(verifier: Option<Verifier>, clock: Clock) -> Self {
        Self { verifier, clock, has_logged_no_life: AtomicBool::new(false) }
    }

    /// The lifetime that `expires_in` states. What is no lifetime is ignored, there and in the claims, and logged once.
    pub(super) fn stated_life(&self, expires_in: Option<&Value>, claims: Option<&AccessClaims>) -> Option<Duration> {
        let stated = expires_in.map_or(Ok(None), |value| lifetime::stated(value, self.clock.now()));
        let ignored = stated.as_ref().err().cloned();
        let ignored = ignored.or_else(|| lifetime::claims_without_meaning(&claims?.claims));
        if let Some(ignored) = ignored
            && !self.has_logged_no_life.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%ignored, "authority: a token states a lifetime that cannot be; it is ignored, here and later");
        }
        stated.unwrap_or_default()
    }

    /// True if signatures are verified.
    pub(super) fn verify_signatures(&self) -> bool {
        self.verifier.is_some()
    }

    /// All checks of a client's token but that of its signature; times if there is a `leeway` for them.
    pub(super) fn read<'a>(
        &'a self,
        token: &'a str,
        leeway: Option<Duration>,
    ) -> Result<UnverifiedToken<'a>, VerifyError> {
        let verifier = self.verifier.as_ref().ok_or(VerifyError::Invalid)?;
        verifier.read(token, leeway.map(|leeway| (self.clock.now(), leeway)))
    }

    /// The claims of a token that the authority has just issued; `None` if it is no JWT. Its times are not checked,
    /// because the authority's clock may differ from ours.
    pub(super) async fn claims_of_new(&self, token: &AccessToken) -> Result<Option<AccessClaims>, RejectedToken> {
        if let Some(verifier) = &self.verifier {
            let verified = match verifier.read(token.expose(), None) {
                Ok(token) => token.verify().await,
                Err(error) => Err(error),
            };
            match verified {
                Ok(claims) => return Ok(Some(AccessClaims { claims, verified: true })),
                // Without the keys the token is accepted unverified, because the authority itself sent it. A refusal
                // could lose the only valid tokens.
                Err(VerifyError::Unavailable(error)) => {
                    tracing::warn!(%error, "authority: the keys of [authority.verify] are not available");
                }
                Err(error) => return Err(RejectedToken { why: verifier.differences(token.expose()), error }),
            }
        }
        Ok(oidc::claims_as_received(token.expose()).map(|claims| AccessClaims { claims, verified: false }))
    }
}

/// Verifies access tokens by their keys, algorithms, issuer and audience.
pub(super) struct Verifier {
    keys: KeySource,
    algorithms: Vec<Algorithm>,
    issuer: Option<String>,
    audience: Option<String>,
}

impl Verifier {
    pub(super) fn new(
        settings: VerifySettings,
        http: oidc::Http,
        clock: Clock,
        random: Random,
    ) -> Result<Self, BadKey> {
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

    /// Verifies the gateway's own access tokens.
    pub(super) fn of_own(issuer: &str, audience: &str, signer: &Signer) -> Self {
        Self {
            keys: KeySource::set(&signer.jwks()).expect("the published keys are a JWK set"),
            algorithms: oidc::ASYMMETRIC.to_vec(),
            issuer: Some(issuer.to_owned()),
            audience: Some(audience.to_owned()),
        }
    }

    /// The first value of a token that does not pass and what it should be, for the log. Only for a token from the
    /// authority: for those of clients it would be work without a limit.
    fn differences(&self, token: &str) -> String {
        let seen = |value: Option<&Value>| {
            value.map_or("absent".to_owned(), |value| format!("`{}`", received::for_log(&value.to_string(), 200, &[])))
        };
        let algorithms = || format!("; these algorithms are taken: {}", oidc::algorithm_names(&self.algorithms));
        let token = match Jws::parse(token) {
            Ok(token) => token,
            Err(Unparsable::Form) => return ": it is no signed JWT".to_owned(),
            Err(Unparsable::Encrypted) => return ": it is encrypted (JWE)".to_owned(),
            Err(Unparsable::Algorithm(name)) => {
                return format!(": `alg` is {}{}", seen(Some(&name.into())), algorithms());
            }
        };
        if !self.algorithms.contains(&token.algorithm) {
            return format!(": `alg` is {:?}{}", token.algorithm, algorithms());
        }
        if let Some(issuer) =
            self.issuer.as_ref().filter(|issuer| token.claims.get("iss") != Some(&issuer.as_str().into()))
        {
            return format!(": `iss` is {}, and `issuer` is `{issuer}`", seen(token.claims.get("iss")));
        }
        if let Some(audience) = self.audience.as_ref().filter(|audience| !is_for(&token.claims, audience)) {
            return format!(": `aud` is {}, and `audience` is `{audience}`", seen(token.claims.get("aud")));
        }
        let kid = token.key_id().map(Value::from);
        format!(": `typ` is {}, `kid` is {}", seen(token.kind.map(Value::from).as_ref()), seen(kid.as_ref()))
    }

    /// All checks but that of the signature. Times are checked if `when` has the current time and the leeway.
    fn read<'a>(
        &'a self,
        token: &'a str,
        when: Option<(Timestamp, Duration)>,
    ) -> Result<UnverifiedToken<'a>, VerifyError> {
        let token = Jws::parse(token).map_err(|_| VerifyError::Invalid)?;
        if !self.algorithms.contains(&token.algorithm) {
            return Err(VerifyError::Invalid);
        }
        let typ = token.kind.as_deref().map(str::to_ascii_lowercase);
        if !matches!(typ.as_deref(), None | Some("jwt" | "at+jwt" | "application/at+jwt")) {
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
        Ok(UnverifiedToken { token, verifier: self })
    }
}

/// An access token that passed all checks but that of its signature, which costs several hundred times as much.
pub struct UnverifiedToken<'a> {
    token: Jws<'a>,
    verifier: &'a Verifier,
}

impl UnverifiedToken<'_> {
    /// Checks the signature and returns the claims.
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
