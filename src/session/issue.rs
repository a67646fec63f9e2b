//! A session is made here: from what the authority issued at a login, and from what each refresh brings.

use std::sync::Arc;

use serde_json::Value;

use super::{
    AccessGrant, CookieChanges, Inner, Login, RefreshGrant, Session, Sessions, Visit, check,
    cookies::{MOST_SESSION_OCTETS, Token},
    end::Reason,
    grant::{PartCounts, SealedAccess, SealedRefresh, bearer, refresh_digest},
};
use crate::{
    authority::{self, ClientDevice, Device, Issued},
    client::Client,
    clock::Timestamp,
    oidc::Claims,
    problem::{Problem, ProblemKind},
    seal::Purpose,
    store::{Generation, Sid},
};

/// Claims kept whatever the configuration says: who the person is (issuer and subject).
const ALWAYS_KEPT: [&str; 2] = ["iss", "sub"];

/// A login that succeeded.
#[derive(Debug)]
pub struct NewLogin {
    /// What the authority issued.
    pub issued: Issued,
    /// The provider's name, or `credentials`.
    pub provider: Arc<str>,
    /// The device that the authority was told.
    pub device: Device,
}

/// Why a login's tokens make no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BeginError {
    /// They take more than 16 KiB of cookies.
    #[error(
        "the tokens take more than 16 KiB of cookies; a session of this size needs the server store (session.store = \"server\"), which this version does not have yet"
    )]
    TooLarge,
    /// The access token holds octets that no header or cookie may hold, or is no JWT though `seal = false`.
    #[error("the access token cannot be used: {0}")]
    Unusable(&'static str),
}

impl BeginError {
    /// What the visitor is told.
    pub const fn kind(self) -> ProblemKind {
        match self {
            Self::TooLarge => ProblemKind::SessionTooLarge,
            Self::Unusable(_) => ProblemKind::UnusableTokens,
        }
    }
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        Self::new(error.kind()).caused_by(error)
    }
}

impl Sessions {
    /// Begins a session in place of the one that the visit came with; the cookies go onto the answer.
    pub async fn begin(
        &self,
        login: NewLogin,
        replaced: &mut Visit,
    ) -> Result<(Arc<Session>, CookieChanges), BeginError> {
        let inner = &self.inner;
        let now = inner.now();
        let begun = Login { sid: Sid(inner.random.bytes()), at: now, provider: login.provider, device: login.device };
        let device = begun.device.id;
        let replacing = begun.clone();
        let session = match inner.new_session(begun, &login.issued, now) {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(%error, "a login made no session");
                let client = Client::at(replaced.client().address());
                let from = ClientDevice { client, device: replacing.device };
                inner.sign_out_issued(&login.issued, &replacing.provider, &from).await;
                return Err(error);
            }
        };
        if let Some(old) = replaced.login().cloned() {
            inner.end(&old, Reason::Replaced).await;
        }
        let cookies = replaced.cookies_of(&session).and(inner.jar.set_device(device));
        Ok((session, cookies))
    }
}

impl Inner {
    fn new_session(&self, login: Login, issued: &Issued, now: Timestamp) -> Result<Arc<Session>, BeginError> {
        let identity = self.kept(issued.identity.as_ref());
        let access = self
            .access_grant(&login, 0, issued, &identity, now)
            .ok_or(BeginError::Unusable("it cannot stand in a header"))?;
        if !self.settings.seal && !is_cookie_value(access.token.expose()) {
            return Err(BeginError::Unusable("it cannot stand in a cookie unsealed"));
        }
        let refresh = issued.refresh_token.clone().map(|token| RefreshGrant {
            digest: refresh_digest(&login.provider, &token),
            login,
            generation: 0,
            token,
            issued_at: now,
            identity,
            id_token: issued.id_token.clone(),
        });
        self.session(access, refresh, now).ok_or(BeginError::TooLarge)
    }

    /// The session that a refresh of `grant` brought; `None` where its tokens cannot be kept in cookies.
    pub(super) fn successor(
        &self,
        grant: &RefreshGrant,
        known: Generation,
        issued: &Issued,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let identity = match &issued.identity {
            Some(claims) => self.kept(Some(claims)),
            None => grant.identity.clone(),
        };
        let generation = known.max(grant.generation).checked_add(1)?;
        let access = self.access_grant(&grant.login, generation, issued, &identity, now)?;
        let token = issued.refresh_token.clone().unwrap_or_else(|| grant.token.clone());
        let refresh = RefreshGrant {
            digest: refresh_digest(&grant.login.provider, &token),
            login: grant.login.clone(),
            generation,
            token,
            issued_at: now,
            identity,
            id_token: issued.id_token.clone().or_else(|| grant.id_token.clone()),
        };
        self.session(access, Some(refresh), now)
    }

    /// Puts tokens and the cookies that carry them together; `None` where those are too large.
    pub(super) fn session(
        &self,
        access: AccessGrant,
        refresh: Option<RefreshGrant>,
        obtained_at: Timestamp,
    ) -> Option<Arc<Session>> {
        let access_text = if self.settings.seal {
            let plain = serde_json::to_vec(&SealedAccess::of(&access)?).ok()?;
            self.ring.seal(Purpose::Access, &plain, |len| self.jar.parts(len))
        } else {
            access.token.expose().to_owned()
        };
        let refresh_text = match &refresh {
            Some(grant) => {
                let plain = serde_json::to_vec(&SealedRefresh::of(grant)).ok()?;
                Some(self.ring.seal(Purpose::Refresh, &plain, |len| self.jar.parts(len)))
            }
            None => None,
        };
        if access_text.len() + refresh_text.as_ref().map_or(0, String::len) > MOST_SESSION_OCTETS {
            return None;
        }
        // At least a second: `Max-Age=0` would delete it.
        let access_lifetime = access.expires_at.since(obtained_at).as_secs().max(1);
        let mut cookies = self.jar.set(Token::Access, &access_text, access_lifetime);
        let mut parts = PartCounts { access: self.jar.parts(access_text.len()), refresh: 0 };
        if let Some(text) = refresh_text {
            parts.refresh = self.jar.parts(text.len());
            cookies = cookies.and(self.jar.set(Token::Refresh, &text, self.jar.refresh_lifetime()));
        }
        Some(Arc::new(Session {
            access: Arc::new(access),
            refresh: refresh.map(Arc::new),
            obtained_at,
            cookies,
            parts,
        }))
    }

    fn access_grant(
        &self,
        login: &Login,
        generation: Generation,
        issued: &Issued,
        identity: &Claims,
        now: Timestamp,
    ) -> Option<AccessGrant> {
        let life = authority::life(&issued.access_token, issued.expires_in, now);
        // A clock that is far ahead of the authority's would otherwise refresh for ever.
        let expires_at = if life.expires_at > now { life.expires_at } else { now.plus(check::EXPIRED_ON_ARRIVAL) };
        let span = life.life.max(expires_at.since(now).min(check::EXPIRED_ON_ARRIVAL));
        let due_at = if life.expires_at > now {
            check::due_at(login.sid, now, expires_at, span, &self.settings)
        } else {
            expires_at
        };
        let (access_claims, verified) = match &issued.access_claims {
            Some(claims) => (Some(&claims.claims), claims.verified),
            None => (None, false),
        };
        let (claims, roles) = self.person(access_claims, verified, identity);
        Some(AccessGrant {
            bearer: bearer(&issued.access_token)?,
            login: Some(login.clone()),
            generation,
            token: issued.access_token.clone(),
            received_at: now,
            expires_at,
            due_at,
            life: span,
            claims,
            roles,
        })
    }

    /// The claims that may be used and the roles, of the access token before the ID token. Roles of an access token count only where its signature was verified.
    pub(super) fn person(&self, access: Option<&Claims>, verified: bool, identity: &Claims) -> (Claims, Vec<String>) {
        let mut claims = self.kept(Some(identity));
        claims.extend(self.kept(access));
        let of = |claims: &Claims| claims_at(claims, &self.settings.roles_claim);
        let roles = access.filter(|_| verified).and_then(of).or_else(|| of(identity)).unwrap_or_default();
        (claims, roles)
    }

    /// The claims that anything of the configuration uses.
    fn kept(&self, claims: Option<&Claims>) -> Claims {
        let settings = &self.settings;
        let role = settings.roles_claim.split('/').nth(1).map(|s| s.replace("~1", "/").replace("~0", "~"));
        let wanted = |name: &str| {
            ALWAYS_KEPT.contains(&name)
                || role.as_deref() == Some(name)
                || settings.expose_claims.iter().chain(&settings.template_claims).any(|n| n == name)
        };
        claims.into_iter().flatten().filter(|(name, _)| wanted(name)).map(|(n, v)| (n.clone(), v.clone())).collect()
    }
}

/// The texts at a JSON pointer: one, or an array of them.
fn claims_at(claims: &Claims, pointer: &str) -> Option<Vec<String>> {
    let name = pointer.strip_prefix('/')?;
    let (first, rest) = name.split_once('/').map_or((name, ""), |(first, rest)| (first, rest));
    let value = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    let value = if rest.is_empty() { value } else { value.pointer(&format!("/{rest}"))? };
    match value {
        Value::String(role) => Some(vec![role.clone()]),
        Value::Array(roles) => Some(roles.iter().filter_map(|r| r.as_str().map(str::to_owned)).collect()),
        _ => None,
    }
}

/// RFC 6265 section 4.1.1 `cookie-octet`.
fn is_cookie_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn roles_are_one_text_or_a_list_wherever_the_pointer_leads() {
        let of = |json: &str, pointer: &str| claims_at(&claims(json), pointer);
        assert_eq!(of(r#"{"role":"admin"}"#, "/role").unwrap(), ["admin"]);
        assert_eq!(of(r#"{"realm_access":{"roles":["a","b",3]}}"#, "/realm_access/roles").unwrap(), ["a", "b"]);
        assert_eq!(of(r#"{"https://x/roles":["a"]}"#, "/https:~1~1x~1roles").unwrap(), ["a"]);
        assert_eq!(of(r#"{"role":7}"#, "/role"), None);
        assert_eq!(of("{}", "/role"), None);
    }
}
