//! The sealed forms of a session's parts, in cookies and in the store. Their fields are a stored format: older cookies
//! must still open.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    check,
    digest::refresh_digest,
    grant::{AccessGrant, Login, RefreshGrant, TokenTimes, UnsealedAccess, bearer},
    issue,
    settings::Settings,
};
use crate::{
    authority::{Claims, Device},
    clock::Timestamp,
    secret::{AccessToken, IdToken, RefreshToken},
    store::{Generation, Sid},
};

/// The sealed content of `sb_at`. The names are short because the cookie is sent with each request.
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
    /// Lifetime in milliseconds.
    #[serde(rename = "f")]
    pub(super) life: u64,
    #[serde(rename = "c")]
    pub(super) claims: Claims,
    #[serde(rename = "o")]
    pub(super) roles: Vec<String>,
}

/// The sealed content of `sb_rt`.
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
    #[serde(rename = "k", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_times: Option<TokenTimes>,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none", default)]
    pub(super) unsealed: Option<UnsealedAccess>,
    #[serde(rename = "w", skip_serializing_if = "Option::is_none", default)]
    pub(super) person: Option<u32>,
}

/// The sealed content of a refresh result in the store.
#[derive(Serialize, Deserialize)]
pub(super) struct SealedResult {
    #[serde(rename = "a")]
    pub(super) access: SealedAccess,
    #[serde(rename = "r")]
    pub(super) refresh: Option<SealedRefresh>,
}

/// The sealed content of a [`Login`].
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
            id_times: grant.id_times,
            unsealed: grant.unsealed,
            person: grant.person,
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
            // An older version sealed no times with the ID token.
            id_times: self.id_times.or_else(|| Some(issue::id_times(self.id_token.as_ref()?, self.issued_at))),
            id_token: self.id_token,
            unsealed: self.unsealed,
            person: self.person,
        }
    }
}

impl SealedAccess {
    /// `None` for an unsealed access token, which has no login.
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

    /// `None` if the token has octets that are invalid in a header.
    pub(super) fn open(self, settings: &Settings) -> Option<AccessGrant> {
        let login = Login::from(self.login);
        let life = Duration::from_millis(self.life);
        Some(AccessGrant {
            due_at: check::due_at(login.sid, self.received_at, self.expires_at, life, settings),
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
