//! What a session is made of: the login it began with, its access token, its refresh token; and their sealed forms.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Settings, cookies::CookieChanges};
use crate::{
    authority::Device,
    clock::Timestamp,
    oidc::Claims,
    secret::{AccessToken, IdToken, RefreshToken},
    store::{Digest, Generation, Sid},
};

/// The login a session began with.
#[derive(Clone, Debug)]
pub struct Login {
    /// New at each login.
    pub sid: Sid,
    /// When the person logged in.
    pub at: Timestamp,
    /// The provider's name, or `credentials`.
    pub provider: Arc<str>,
    /// The device as the backend knows it.
    pub device: Device,
}

/// An access token and what is known of it.
#[derive(Debug)]
pub struct AccessGrant {
    /// `None` only where a raw access token came without a refresh token to say so.
    pub login: Option<Login>,
    /// How many refreshes brought it.
    pub generation: Generation,
    /// The token.
    pub token: AccessToken,
    /// `Bearer …`, ready to be sent.
    pub bearer: HeaderValue,
    /// When it was received, by our clock.
    pub received_at: Timestamp,
    /// When it expires, by our clock.
    pub expires_at: Timestamp,
    /// From when on it is refreshed ahead.
    pub due_at: Timestamp,
    /// How long it lives in all.
    pub life: Duration,
    /// The claims that routes, templates and `GET /session` may use.
    pub claims: Claims,
    /// The person's roles.
    pub roles: Vec<String>,
}

/// A refresh token and what is known of it.
#[derive(Debug)]
pub struct RefreshGrant {
    /// The login.
    pub login: Login,
    /// How many refreshes brought it.
    pub generation: Generation,
    /// The token.
    pub token: RefreshToken,
    /// Under which its result is stored.
    pub digest: Digest,
    /// When it was received, by our clock.
    pub issued_at: Timestamp,
    /// What the identity provider said of the person, as far as it is used.
    pub identity: Claims,
    /// The provider's ID token, as a hint at logout and for upstreams that want it.
    pub id_token: Option<IdToken>,
}

/// The tokens of one generation, and the cookies that carry them.
#[derive(Debug)]
pub struct Session {
    /// The access token.
    pub access: Arc<AccessGrant>,
    /// The refresh token, where the authority gave one.
    pub refresh: Option<Arc<RefreshGrant>>,
    /// When this generation was obtained from the authority.
    pub obtained_at: Timestamp,
    pub(super) cookies: CookieChanges,
    pub(super) parts: PartCounts,
}

/// How many cookies each token takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartCounts {
    pub(super) access: usize,
    pub(super) refresh: usize,
}

/// SHA-256 over length-prefixed parts, so that no two lists of parts meet.
pub(super) fn digest_of(parts: &[&[u8]]) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

/// The digest under which a refresh token's result is stored: length-prefixed provider and token.
pub(super) fn refresh_digest(provider: &str, token: &RefreshToken) -> Digest {
    digest_of(&[b"refresh", provider.as_bytes(), token.expose().as_bytes()])
}

/// `sb_at` as it is sealed. Short names: it travels with each request.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedAccess {
    #[serde(rename = "l")]
    pub(super) login: SealedLogin,
    #[serde(rename = "g")]
    pub(super) generation: Generation,
    #[serde(rename = "t")]
    pub(super) token: AccessToken,
    #[serde(rename = "r")]
    pub(super) received_at: Timestamp,
    #[serde(rename = "x")]
    pub(super) expires_at: Timestamp,
    /// Milliseconds.
    #[serde(rename = "f")]
    pub(super) life: u64,
    #[serde(rename = "c")]
    pub(super) claims: Claims,
    #[serde(rename = "o")]
    pub(super) roles: Vec<String>,
}

/// `sb_rt` as it is sealed.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedRefresh {
    #[serde(rename = "l")]
    pub(super) login: SealedLogin,
    #[serde(rename = "g")]
    pub(super) generation: Generation,
    #[serde(rename = "t")]
    pub(super) token: RefreshToken,
    #[serde(rename = "i")]
    pub(super) issued_at: Timestamp,
    #[serde(rename = "c")]
    pub(super) identity: Claims,
    #[serde(rename = "h", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_token: Option<IdToken>,
}

/// A refresh result as it is sealed in the store.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedResult {
    #[serde(rename = "a")]
    pub(super) access: SealedAccess,
    #[serde(rename = "r")]
    pub(super) refresh: Option<SealedRefresh>,
}

/// [`Login`] as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SealedLogin {
    #[serde(rename = "s")]
    sid: Uuid,
    #[serde(rename = "a")]
    at: Timestamp,
    #[serde(rename = "p")]
    provider: Arc<str>,
    #[serde(rename = "d")]
    device_id: Uuid,
    #[serde(rename = "n")]
    device_name: String,
}

impl From<&Login> for SealedLogin {
    fn from(login: &Login) -> Self {
        Self {
            sid: Uuid::from_bytes(login.sid.0),
            at: login.at,
            provider: login.provider.clone(),
            device_id: login.device.id,
            device_name: login.device.name.clone(),
        }
    }
}

impl From<SealedLogin> for Login {
    fn from(sealed: SealedLogin) -> Self {
        Self {
            sid: Sid(*sealed.sid.as_bytes()),
            at: sealed.at,
            provider: sealed.provider,
            device: Device { id: sealed.device_id, name: sealed.device_name },
        }
    }
}

impl SealedRefresh {
    pub(super) fn of(grant: &RefreshGrant) -> Self {
        Self {
            login: SealedLogin::from(&grant.login),
            generation: grant.generation,
            token: grant.token.clone(),
            issued_at: grant.issued_at,
            identity: grant.identity.clone(),
            id_token: grant.id_token.clone(),
        }
    }

    pub(super) fn open(self) -> RefreshGrant {
        let login = Login::from(self.login);
        RefreshGrant {
            digest: refresh_digest(&login.provider, &self.token),
            login,
            generation: self.generation,
            token: self.token,
            issued_at: self.issued_at,
            identity: self.identity,
            id_token: self.id_token,
        }
    }
}

impl SealedAccess {
    /// `None` for a raw grant whose login is not known.
    pub(super) fn of(grant: &AccessGrant) -> Option<Self> {
        Some(Self {
            login: SealedLogin::from(grant.login.as_ref()?),
            generation: grant.generation,
            token: grant.token.clone(),
            received_at: grant.received_at,
            expires_at: grant.expires_at,
            life: u64::try_from(grant.life.as_millis()).unwrap_or(u64::MAX),
            claims: grant.claims.clone(),
            roles: grant.roles.clone(),
        })
    }

    /// `None` where the token cannot stand in a header.
    pub(super) fn open(self, settings: &Settings) -> Option<AccessGrant> {
        let login = Login::from(self.login);
        let life = Duration::from_millis(self.life);
        Some(AccessGrant {
            due_at: super::check::due_at(login.sid, self.received_at, self.expires_at, life, settings),
            bearer: bearer(&self.token)?,
            login: Some(login),
            generation: self.generation,
            token: self.token,
            received_at: self.received_at,
            expires_at: self.expires_at,
            life,
            claims: self.claims,
            roles: self.roles,
        })
    }
}

/// `Bearer TOKEN` (RFC 6750 section 2.1); `None` where the token holds what no header may.
pub(super) fn bearer(token: &AccessToken) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
