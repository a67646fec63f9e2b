//! The sealed forms of a session's parts, in cookies and in the store. Their fields are a stored format: older cookies
//! must still open.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    check,
    digest::refresh_digest,
    grant::{AccessGrant, IdGrant, IssuedAccess, Login, RefreshGrant, TokenTimes, bearer},
    settings::Settings,
};
use crate::{
    authority::{Claims, Device},
    clock::Timestamp,
    secret::{AccessToken, IdToken, RefreshToken},
    store::{Generation, Sid},
};

/// No sealed content of a token cookie has fewer octets: all fields that are always written, and all of them empty.
pub(super) const SHORTEST: usize = 139;

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
    #[serde(rename = "e", skip_serializing_if = "std::ops::Not::not", default)]
    pub(super) arrived_expired: bool,
    #[serde(rename = "c")]
    pub(super) claims: Claims,
    #[serde(rename = "v", skip_serializing_if = "Option::is_none", default)]
    pub(super) provider_sub: Option<Value>,
    #[serde(rename = "o")]
    pub(super) roles: Vec<String>,
    #[serde(rename = "h", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_token: Option<IdToken>,
    #[serde(rename = "k", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_times: Option<TokenTimes>,
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
    #[serde(rename = "b", skip_serializing_if = "Claims::is_empty", default)]
    pub(super) answered: Claims,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none", default)]
    pub(super) sub: Option<Value>,
    #[serde(rename = "h", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_token: Option<IdToken>,
    #[serde(rename = "k", skip_serializing_if = "Option::is_none", default)]
    pub(super) id_times: Option<TokenTimes>,
    #[serde(rename = "u", skip_serializing_if = "Option::is_none", default)]
    pub(super) access: Option<IssuedAccess>,
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
            answered: grant.answered.clone(),
            sub: grant.sub.clone(),
            id_token: grant.id.as_ref().map(|id| id.token.clone()),
            id_times: grant.id.as_ref().map(|id| id.times),
            access: grant.access,
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
            answered: self.answered,
            sub: self.sub,
            id: id_grant(self.id_token, self.id_times, self.issued_at),
            access: self.access,
            person: self.person,
        }
    }
}

/// An older version sealed no times with the ID token.
fn id_grant(token: Option<IdToken>, times: Option<TokenTimes>, received_at: Timestamp) -> Option<IdGrant> {
    let token = token?;
    Some(IdGrant { times: times.unwrap_or_else(|| check::id_times(&token, received_at)), token })
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
            arrived_expired: grant.arrived_expired,
            claims: grant.claims.clone(),
            provider_sub: grant.provider_sub.clone(),
            roles: grant.roles.clone(),
            id_token: grant.id.as_ref().map(|id| id.token.clone()),
            id_times: grant.id.as_ref().map(|id| id.times),
        })
    }

    /// `None` if the token has octets that are invalid in a header.
    pub(super) fn open(self, settings: &Settings) -> Option<AccessGrant> {
        let login = Login::from(self.login);
        let life = Duration::from_millis(self.life);
        let (received_at, expires_at, arrived_expired) = (self.received_at, self.expires_at, self.arrived_expired);
        let times = TokenTimes { received_at, expires_at, arrived_expired };
        Some(AccessGrant {
            due_at: check::due_at(login.sid, times, life, settings),
            bearer: bearer(&self.token)?,
            login: Some(login),
            generation: self.generation,
            token: self.token,
            received_at,
            expires_at,
            life,
            arrived_expired,
            claims: self.claims,
            provider_sub: self.provider_sub,
            roles: self.roles,
            id: id_grant(self.id_token, self.id_times, received_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::fake::b64;

    const LOGIN: &str = r#"{"s":"00000000-0000-4000-8000-000000000001","a":1800000000000,"p":"corp","d":"00000000-0000-4000-8000-000000000002","n":"Chrome"}"#;

    #[test]
    fn a_refresh_token_that_the_first_version_sealed_opens() {
        let id_token = format!("e30.{}.x", b64(br#"{"iat":1800000000,"exp":1800003600}"#));
        let sealed = json!({
            "l": serde_json::from_str::<Value>(LOGIN).unwrap(),
            "g": 3, "t": "rt", "i": 1_800_000_100_000_i64, "c": {"sub": "u1"}, "h": id_token,
        });
        let grant = serde_json::from_value::<SealedRefresh>(sealed).unwrap().open();
        assert_eq!((grant.generation, grant.token.expose()), (3, "rt"));
        assert_eq!((grant.person, grant.access), (None, None));
        let times = grant.id.unwrap().times;
        assert_eq!(times.received_at, Timestamp::from_secs(1_800_000_100));
        assert_eq!(times.expires_at, Timestamp::from_secs(1_800_003_600));
    }

    #[test]
    fn an_access_token_that_the_first_version_sealed_opens() {
        let received = 1_800_000_000_000_i64;
        let sealed = json!({
            "l": serde_json::from_str::<Value>(LOGIN).unwrap(),
            "g": 0, "t": "at", "r": received, "x": received + 900_000, "f": 900_000, "c": {}, "o": ["admin"],
        });
        let settings = crate::session::test_settings("https://app.example");
        let grant = serde_json::from_value::<SealedAccess>(sealed).unwrap().open(&settings).unwrap();
        assert_eq!(grant.expires_at, Timestamp::from_millis(received + 900_000));
        assert!(grant.due_at < grant.expires_at && !grant.arrived_expired && grant.id.is_none());
    }

    #[test]
    fn no_content_is_shorter_than_the_shortest() {
        let none = Uuid::nil();
        let login = SealedLogin {
            sid: none,
            at: Timestamp::default(),
            provider: "".into(),
            device_id: none,
            device_name: String::new(),
        };
        let refresh = SealedRefresh {
            login: login.clone(),
            generation: 0,
            token: RefreshToken::new(""),
            issued_at: Timestamp::default(),
            identity: Claims::new(),
            answered: Claims::new(),
            sub: None,
            id_token: None,
            id_times: None,
            access: None,
            person: None,
        };
        assert_eq!(serde_json::to_vec(&refresh).unwrap().len(), SHORTEST);
        let access = SealedAccess {
            login,
            generation: 0,
            token: AccessToken::new(""),
            received_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            life: 0,
            arrived_expired: false,
            claims: Claims::new(),
            provider_sub: None,
            roles: Vec::new(),
            id_token: None,
            id_times: None,
        };
        assert!(serde_json::to_vec(&access).unwrap().len() > SHORTEST);
    }

    #[test]
    fn what_is_decided_at_receipt_is_read_again_from_the_cookie() {
        let login = Login {
            sid: Sid([7; 16]),
            at: Timestamp::from_secs(1),
            provider: "corp".into(),
            device: Device { id: Uuid::nil(), name: String::new() },
        };
        let grant = RefreshGrant {
            digest: refresh_digest("corp", &RefreshToken::new("rt")),
            login,
            generation: 1,
            token: RefreshToken::new("rt"),
            issued_at: Timestamp::from_secs(2),
            identity: Claims::new(),
            answered: Claims::from_iter([("role".to_owned(), Value::Null)]),
            sub: Some(json!("u1")),
            id: Some(IdGrant {
                token: IdToken::new("it"),
                times: TokenTimes {
                    received_at: Timestamp::from_secs(1),
                    expires_at: Timestamp::from_secs(9),
                    arrived_expired: true,
                },
            }),
            access: Some(IssuedAccess {
                digest: [1; 16],
                expires_at: Timestamp::from_secs(8),
                life: 7,
                arrived_expired: true,
            }),
            person: Some(6),
        };
        let sealed = serde_json::to_vec(&SealedRefresh::of(&grant)).unwrap();
        let opened = serde_json::from_slice::<SealedRefresh>(&sealed).unwrap().open();
        assert_eq!((opened.id, opened.access, opened.person), (grant.id, grant.access, grant.person));
        assert_eq!((opened.answered, opened.sub), (grant.answered, grant.sub));
    }
}
