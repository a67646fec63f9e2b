//! The parts of a session: its login, its access token and its refresh token.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    cookies::CookieChanges,
    digest::{person_of_subject, token_digest},
};
use crate::{
    authority::{Claims, Device, claims_as_received},
    clock::Timestamp,
    secret::{AccessToken, IdToken, RefreshToken},
    store::{Digest, Generation, Sid},
};

/// The login a session began with.
#[derive(Clone, Debug)]
pub struct Login {
    /// The session id: random, new at each login.
    pub sid: Sid,
    /// When the person logged in.
    pub at: Timestamp,
    /// The provider's name, or `credentials`.
    pub provider: Arc<str>,
    /// The device that was sent to the authority at the login.
    pub device: Device,
}

/// An access token, its times by our clock, and the person's claims and roles.
#[derive(Debug)]
pub struct AccessGrant {
    /// `None` only for an unsealed access token (`seal = false`), which does not contain the login.
    pub login: Option<Login>,
    /// Number of refreshes since the login; 0 for an unsealed access token.
    pub generation: Generation,
    /// As issued by the authority.
    pub token: AccessToken,
    /// `Bearer TOKEN`, the value of `Authorization` towards upstreams.
    pub bearer: HeaderValue,
    /// When the gateway received it, by our clock.
    pub received_at: Timestamp,
    /// When it expires, by our clock.
    pub expires_at: Timestamp,
    /// From this time on a request refreshes it ahead of its expiry.
    pub due_at: Timestamp,
    /// The whole lifetime, at most 400 days ([`crate::authority::lifetime`]).
    pub life: Duration,
    /// Whether it arrived expired or nearly so: then it is sent, and not refreshed, for 5 s.
    pub(super) arrived_expired: bool,
    /// The claims that header rules, templates and `GET /session` may use, with the session's one `sub`.
    pub claims: Claims,
    /// The subject that the identity provider gave; `None` after a login without one.
    pub provider_sub: Option<Value>,
    /// The roles at `session.roles_claim`.
    pub roles: Vec<String>,
    /// The provider's ID token, in a session without a refresh token; else it is in the [`RefreshGrant`].
    pub id: Option<IdGrant>,
}

/// A refresh token, and the data that is sealed with it.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The login that the session began with.
    pub login: Login,
    /// Number of refreshes since the login.
    pub generation: Generation,
    /// As issued by the authority.
    pub token: RefreshToken,
    /// The key of the lease and the result of its refresh in the store.
    pub digest: Digest,
    /// When it was received, by our clock. A refresh updates it, also if the token stays the same.
    pub issued_at: Timestamp,
    /// The identity provider's claims about the person, as far as the configuration uses them.
    pub identity: Claims,
    /// What the backend's answers said of the person, as far as the configuration uses it.
    pub answered: Claims,
    /// The session's one `sub`. `None` in sessions of older versions, until their next refresh.
    pub sub: Option<Value>,
    /// The provider's ID token.
    pub id: Option<IdGrant>,
    /// The access token that was received with it. `None` in sessions of older versions.
    pub(super) access: Option<IssuedAccess>,
    /// Who logged in: outages count by people. `None` in sessions of older versions.
    pub(super) person: Option<u32>,
}

impl RefreshGrant {
    /// The session's claims that are sealed with the refresh token, with its one `sub`.
    pub(super) fn claims(&self) -> Claims {
        let mut claims = self.identity.clone();
        claims.extend(self.answered.clone());
        match &self.sub {
            Some(sub) => drop(claims.insert("sub".to_owned(), sub.clone())),
            None => drop(claims.remove("sub")),
        }
        claims
    }

    /// Whether an unsealed access token may be of the same session: it was received with this refresh token, or it is
    /// of the same person, as the token of another refresh is.
    pub(super) fn may_be_of(&self, unsealed: &AccessGrant) -> bool {
        let digest = token_digest(unsealed.token.expose());
        let is_received_with_it = self.access.is_some_and(|own| own.digest == digest);
        if is_received_with_it {
            return true;
        }
        // The token's own subject: that of the session may be another.
        let claims = claims_as_received(unsealed.token.expose()).unwrap_or_default();
        let subject = claims.get("sub").and_then(Value::as_str).map(person_of_subject);
        self.person.is_none() || subject.is_none() || self.person == subject
    }
}

/// A provider's ID token: `id_token_hint` at logout, and for upstreams that ask for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdGrant {
    /// As issued by the provider.
    pub token: IdToken,
    pub(super) times: TokenTimes,
}

/// When a token was received and when it ends, by our clock. Decided once, at receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct TokenTimes {
    #[serde(rename = "r")]
    pub(super) received_at: Timestamp,
    #[serde(rename = "x")]
    pub(super) expires_at: Timestamp,
    /// Whether it arrived expired or nearly so.
    #[serde(rename = "e", skip_serializing_if = "std::ops::Not::not", default)]
    pub(super) arrived_expired: bool,
}

/// What is known of an access token beside it, sealed with the refresh token. Browsers drop the token's own cookie when
/// it ends, and one that travels unsealed says only what the authority's clock was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct IssuedAccess {
    /// The start of the token's SHA-256.
    #[serde(rename = "d")]
    pub(super) digest: [u8; 16],
    #[serde(rename = "x")]
    pub(super) expires_at: Timestamp,
    /// The whole lifetime in milliseconds.
    #[serde(rename = "f")]
    pub(super) life: u64,
    /// Whether it arrived expired or nearly so.
    #[serde(rename = "e", skip_serializing_if = "std::ops::Not::not", default)]
    pub(super) arrived_expired: bool,
}

/// The tokens of one generation, and the cookies that carry them.
#[derive(Debug)]
pub struct Session {
    /// The access token of this generation.
    pub access: Arc<AccessGrant>,
    /// The refresh token; `None` if the authority issued none.
    pub refresh: Option<Arc<RefreshGrant>>,
    /// When this generation was obtained from the authority.
    pub obtained_at: Timestamp,
    pub(super) cookies: CookieChanges,
    pub(super) parts: PartCounts,
}

/// Number of cookies that each token is split into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartCounts {
    pub(super) access: usize,
    pub(super) refresh: usize,
}

/// `Bearer TOKEN` (RFC 6750 section 2.1); `None` if the token has octets that are invalid in a header.
pub(super) fn bearer(token: &AccessToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
