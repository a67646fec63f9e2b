//! The checks of an ID token's claims (OpenID Connect Core section 3.1.3.7); [`super::jws`] checks its signature.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::{
    claims::{Claims, numeric_date},
    fetch::Unavailable,
    issuer::{self, Tenants},
    jws::Jws,
    presets::Preset,
};
use crate::{
    clock::Timestamp,
    received,
    secret::{self, AccessToken},
};

/// Why an ID token, or the profile that replaces it with OAuth 2.0, is not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Flaw {
    /// Not a signed token that the gateway can parse, or `typ` is that of another kind of token.
    #[error("not a readable token")]
    Form,
    /// It is encrypted (RFC 7516), and the gateway has no key for that.
    #[error("encrypted (JWE), and the gateway has no key for that")]
    Encrypted,
    /// `alg` is not one that is taken.
    #[error("signed with an algorithm that is not taken")]
    Algorithm,
    /// `iss` is absent or of another issuer.
    #[error("another issuer")]
    Issuer,
    /// `tid` is absent, or not a tenant that may log in (`tenants`).
    #[error("of a tenant that is not taken")]
    Tenant,
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
    /// The signature is wrong, or its key is not one of the issuer's.
    #[error("not signed by the issuer")]
    Signature,
}

impl Flaw {
    /// Whether only the operator can mend it: another login fails in the same way.
    pub const fn is_misconfigured(self) -> bool {
        match self {
            Self::Form
            | Self::Encrypted
            | Self::Algorithm
            | Self::Issuer
            | Self::Audience
            | Self::Subject
            | Self::Time
            | Self::AccessToken
            | Self::Signature => true,
            // Another account, another attempt, or the profile's own reason to refuse.
            Self::Tenant | Self::Nonce | Self::Profile => false,
        }
    }

    /// With the values that differ, for the log. They may come from a token that any client made: `seen` is cleaned.
    pub(crate) fn with(self, seen: Option<&Value>, wanted: &str) -> Rejection {
        let seen = match seen {
            None => "is absent".to_owned(),
            Some(Value::String(text)) => format!("is `{}`", received::for_log(text, LONGEST_SEEN, &[])),
            Some(other) => format!("is `{}`", received::for_log(&other.to_string(), LONGEST_SEEN, &[])),
        };
        self.because(&format!("it {seen}, and {wanted}"))
    }

    /// With the reason, for the log.
    pub(crate) fn because(self, reason: &str) -> Rejection {
        Rejection { of: "", flaw: self, detail: format!(": {reason}") }
    }
}

/// Longest text of a token in a log line, in characters.
const LONGEST_SEEN: usize = 200;

/// Why an ID token is not accepted, with the values that differ; for the log, never for a visitor.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{of}{flaw}{detail}")]
pub struct Rejection {
    of: &'static str,
    /// The kind.
    pub flaw: Flaw,
    detail: String,
}

impl Rejection {
    /// With a prefix that names what is not accepted, where that is not the ID token.
    pub(super) fn of(self, of: &'static str) -> Self {
        Self { of, ..self }
    }
}

impl From<Flaw> for Rejection {
    fn from(flaw: Flaw) -> Self {
        Self { of: "", flaw, detail: String::new() }
    }
}

impl PartialEq<Flaw> for Rejection {
    fn eq(&self, flaw: &Flaw) -> bool {
        self.flaw == *flaw
    }
}

/// Why an ID token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// The token or its signature is wrong.
    #[error("the ID token is not accepted: {0}")]
    Invalid(Rejection),
    /// The provider's keys could not be fetched.
    #[error("the ID token cannot be verified now")]
    Unavailable(#[source] Arc<Unavailable>),
}

/// The expected claims of an ID token.
pub(super) struct Expected<'a> {
    /// The issuer in the provider's metadata; it may hold `{tenantid}`.
    pub(super) issuer: &'a str,
    pub(super) tenants: &'a Tenants,
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

/// How long after its `exp` a token is taken: the provider's clock may be behind ours.
const SKEW: Duration = Duration::from_secs(60);
/// How long before its `iat` or `nbf` a token is taken. Our clock may be 90 s behind, and a token is seconds old when
/// it comes, while its end is far off.
const EARLY: Duration = Duration::from_secs(100);

impl Expected<'_> {
    pub(super) fn check(&self, token: &Jws<'_>) -> Result<(), Rejection> {
        // An access token, logout token or event of the same issuer is no ID token (RFC 8725 section 3.11).
        if let Some(kind) = token.kind.as_deref().filter(|kind| !kind.eq_ignore_ascii_case("jwt")) {
            return Err(Flaw::Form.with(Some(&kind.into()), "`typ` of an ID token is `JWT` or absent"));
        }
        self.check_claims(&token.claims)?;
        match (token.claims.get("at_hash"), self.access_token) {
            (Some(claimed), Some(access_token))
                if claimed.as_str() != Some(&half_hash(token.algorithm, access_token)) =>
            {
                Err(Flaw::AccessToken.because("`at_hash` is not that of the access token in the same answer"))
            }
            _ => Ok(()),
        }
    }

    fn check_claims(&self, claims: &Claims) -> Result<(), Rejection> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        self.check_issuer(claims)?;
        if text("sub").is_none_or(str::is_empty) {
            let found = form_of(claims.get("sub"));
            return Err(Flaw::Subject.because(&format!("`sub` is {found}, and must be a text that is not empty")));
        }
        self.check_audience(claims)?;
        if let Some(name) = ["iat", "exp"].into_iter().find(|name| !claims.contains_key(*name)) {
            return Err(Flaw::Time.because(&format!("`{name}` is absent")));
        }
        self.check_times(claims)?;
        if let Some(nonce) = self.nonce
            && !text("nonce").is_some_and(|claimed| secret::ct_eq(claimed.as_bytes(), nonce.as_bytes()))
        {
            let found = if text("nonce").is_some() { "that of another login" } else { form_of(claims.get("nonce")) };
            return Err(Flaw::Nonce.because(&format!("`nonce` is {found}")));
        }
        Ok(())
    }

    /// Checks `iss`, and `tid` where the metadata's issuer holds `{tenantid}` or the configuration lists tenants.
    pub(super) fn check_issuer(&self, claims: &Claims) -> Result<(), Rejection> {
        let (claimed, tenant) = (claims.get("iss"), claims.get("tid"));
        let issuer = match tenant.and_then(Value::as_str) {
            Some(tenant) => issuer::of_tenant(self.issuer, tenant),
            None => self.issuer.to_owned(),
        };
        let text = claimed.and_then(Value::as_str);
        if text != Some(&issuer) && !text.is_some_and(|text| self.preset.also_issues_as(text, &issuer)) {
            return Err(Flaw::Issuer.with(claimed, &format!("the provider's metadata says `{issuer}`")));
        }
        if (issuer::has_tenant(self.issuer) || self.tenants.are_listed())
            && !tenant.and_then(Value::as_str).is_some_and(|t| self.tenants.take(t))
        {
            let wanted = "it is not listed in `tenants`: list it, or write `allow = \"anyone\"`";
            return Err(Flaw::Tenant.with(tenant, wanted));
        }
        Ok(())
    }

    /// Checks `iss`, `aud` and the times of a signed userinfo, where they are there; OpenID Connect Core section 5.3.2
    /// only recommends `iss` and `aud`.
    pub(super) fn check_userinfo(&self, claims: &Claims) -> Result<(), Rejection> {
        if claims.contains_key("iss") {
            self.check_issuer(claims)?;
        }
        if claims.contains_key("aud") {
            self.check_named(claims)?;
        }
        self.check_times(claims)
    }

    /// Checks `aud` and `azp` of an ID token: with several audiences `azp` has to be there.
    fn check_audience(&self, claims: &Claims) -> Result<(), Rejection> {
        self.check_named(claims)?;
        let are_several = claims.get("aud").and_then(Value::as_array).is_some_and(|audiences| audiences.len() > 1);
        if are_several && !claims.contains_key("azp") { Err(self.other_client("azp", None)) } else { Ok(()) }
    }

    /// Checks that `aud` names this client, and so does `azp` where it is there.
    fn check_named(&self, claims: &Claims) -> Result<(), Rejection> {
        let ours = |value: &Value| value.as_str().is_some_and(|name| self.audiences.iter().any(|ours| ours == name));
        match claims.get("aud") {
            Some(Value::Array(audiences)) if audiences.iter().any(ours) => {}
            Some(single) if ours(single) => {}
            audience => return Err(self.other_client("aud", audience)),
        }
        match claims.get("azp") {
            Some(party) if !ours(party) => Err(self.other_client("azp", Some(party))),
            _ => Ok(()),
        }
    }

    fn other_client(&self, name: &str, seen: Option<&Value>) -> Rejection {
        let ours = self.audiences.join("`, `");
        Flaw::Audience.with(seen, &format!("`{name}` must name this client; this client is `{ours}`"))
    }

    /// Checks `iat`, `exp` and `nbf`, where they are there.
    fn check_times(&self, claims: &Claims) -> Result<(), Rejection> {
        let date = |name: &str| {
            let no_date = || Flaw::Time.because(&format!("`{name}` is {}, and no time", form_of(claims.get(name))));
            claims.get(name).map(|date| numeric_date(date).ok_or_else(no_date)).transpose()
        };
        let (issued, expires, from) = (date("iat")?, date("exp")?, date("nbf")?);
        let has_ended = expires.is_some_and(|expires| expires <= self.now.minus(SKEW));
        let is_early = [issued, from].into_iter().flatten().any(|date| date > self.now.plus(EARLY));
        let is_too_old = self.max_age.is_some_and(|most| issued.is_none_or(|issued| self.now.since(issued) > most));
        if has_ended || is_early || is_too_old {
            let said = |date: Option<Timestamp>| date.map_or_else(|| "?".to_owned(), Timestamp::rfc3339);
            let starts = from.map_or_else(String::new, |from| format!(", not before {}", from.rfc3339()));
            let times = format!("{} to {}{starts}", said(issued), said(expires));
            let wanted = format!("it is {} here: do the clocks agree?", self.now.rfc3339());
            return Err(Flaw::Time.with(Some(&times.into()), &wanted));
        }
        Ok(())
    }
}

/// What is in the place of a text, for the log: the values of some claims are personal.
fn form_of(value: Option<&Value>) -> &'static str {
    match value {
        None => "absent",
        Some(Value::Null) => "null",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Number(_)) => "a number",
        Some(Value::String(text)) if text.is_empty() => "an empty text",
        Some(Value::String(_)) => "a text",
        Some(Value::Array(_)) => "a list",
        Some(Value::Object(_)) => "an object",
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
