//! Makes sessions from the tokens that the authority issues at a login or a refresh.

use std::{sync::Arc, time::Duration};

use super::{
    check,
    claims::Sources,
    cookies::{MOST_SESSION_OCTETS, TokenCookie},
    digest::{person_of_client, person_of_subject, refresh_digest, token_digest},
    grant::{AccessGrant, IdGrant, IssuedAccess, Login, PartCounts, RefreshGrant, Session, TokenTimes, bearer},
    sealed::{SealedAccess, SealedRefresh},
    shared::Shared,
};
use crate::{
    authority::{self, Claims, Issued},
    client::ClientKey,
    clock::Timestamp,
    problem::{Problem, ProblemKind},
    seal::Purpose,
    store::Generation,
};

/// Why no session can be made from a login's tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BeginError {
    /// The cookies would take more than 16 KiB.
    #[error(
        "the tokens take more than 16 KiB of cookies; a session of this size needs the server store (session.store = \"server\"), which this version does not have yet"
    )]
    TooLarge,
    /// The access token has octets that are invalid in a header or, with `seal = false`, in a cookie.
    #[error("the access token cannot be used: {0}")]
    Unusable(&'static str),
}

impl BeginError {
    /// The row of `problem/table.rs` for the answer.
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

impl Shared {
    /// The session of a login whose tokens the authority has just issued.
    pub(super) fn new_session(
        &self,
        login: Login,
        issued: &Issued,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<Arc<Session>, BeginError> {
        let identity = self.used_claims(issued.identity.as_ref());
        let answered = self.answered_after(&Claims::new(), &issued.answered);
        let known = Known { identity: &identity, answered: &answered, token: None };
        let mut access = self
            .access_grant(&login, 0, issued, known, now)
            .ok_or(BeginError::Unusable("it is not valid in a header"))?;
        if !self.settings.seal && !is_cookie_value(access.token.expose()) {
            return Err(BeginError::Unusable("it is not valid in an unsealed cookie"));
        }
        let id = issued.id_token.clone().map(|token| IdGrant { times: check::id_times(&token, now), token });
        if issued.refresh_token.is_none() {
            access.id.clone_from(&id);
        }
        let refresh = issued.refresh_token.clone().map(|token| RefreshGrant {
            digest: refresh_digest(&login.provider, &token),
            login,
            generation: 0,
            token,
            issued_at: now,
            identity,
            answered,
            sub: access.claims.get("sub").cloned(),
            id,
            access: Some(IssuedAccess::of(&access)),
            person: Some(subject(issued).map_or_else(|| person_of_client(client), person_of_subject)),
        });
        self.session(access, refresh, now).ok_or(BeginError::TooLarge)
    }

    /// The session after a refresh of `grant`; `None` if its tokens do not fit into cookies or headers. A refresh token
    /// or ID token that the authority did not replace stays. A token that the session had before does not arrive again:
    /// its end stays where it was.
    pub(super) fn successor(
        &self,
        grant: &RefreshGrant,
        known: Generation,
        issued: &Issued,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let identity = match &issued.identity {
            Some(claims) => self.used_claims(Some(claims)),
            None => grant.identity.clone(),
        };
        let answered = self.answered_after(&grant.answered, &issued.answered);
        let generation = known.max(grant.generation).checked_add(1)?;
        let known = Known { identity: &identity, answered: &answered, token: grant.access };
        let access = self.access_grant(&grant.login, generation, issued, known, now)?;
        let known_id = grant.id.as_ref();
        let id = match &issued.id_token {
            Some(token) if known_id.is_none_or(|known| known.token != *token) => {
                Some(IdGrant { token: token.clone(), times: check::id_times(token, now) })
            }
            Some(_) | None => known_id.cloned(),
        };
        let token = issued.refresh_token.clone().unwrap_or_else(|| grant.token.clone());
        let refresh = RefreshGrant {
            digest: refresh_digest(&grant.login.provider, &token),
            login: grant.login.clone(),
            generation,
            token,
            issued_at: now,
            identity,
            answered,
            sub: access.claims.get("sub").cloned(),
            id,
            access: Some(IssuedAccess::of(&access)),
            person: grant.person.or_else(|| subject(issued).map(person_of_subject)),
        };
        self.session(access, Some(refresh), now)
    }

    /// Seals tokens into cookies; `None` if these take more than [`MOST_SESSION_OCTETS`].
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
        // At least one second, because `Max-Age=0` would delete the cookie.
        let access_lifetime = access.expires_at.since(obtained_at).as_secs().max(1);
        let mut cookies = self.jar.set(TokenCookie::Access, &access_text, access_lifetime);
        let mut parts = PartCounts { access: self.jar.parts(access_text.len()), refresh: 0 };
        if let Some(text) = refresh_text {
            parts.refresh = self.jar.parts(text.len());
            cookies = cookies.and(self.jar.set(TokenCookie::Refresh, &text, self.jar.refresh_lifetime()));
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
        known: Known<'_>,
        now: Timestamp,
    ) -> Option<AccessGrant> {
        let token = &issued.access_token;
        let is_repeated = |known: &IssuedAccess| known.is(token.expose()) && authority::names_its_end(token);
        let (times, life) = if let Some(known) = known.token.filter(is_repeated) {
            known.times_again(now)
        } else {
            let lifetime = authority::lifetime(token, issued.expires_in, now);
            let times = check::times_at_receipt(now, lifetime);
            (times, if times.arrived_expired { lifetime.total.max(check::SETTLING) } else { lifetime.total })
        };
        let due_at = check::due_at(login.sid, times, life, &self.settings);
        let Known { identity, answered, .. } = known;
        let (claims, roles) =
            self.claims_and_roles(Sources { identity, access: issued.access_claims.as_ref(), answered });
        Some(AccessGrant {
            bearer: bearer(token)?,
            login: Some(login.clone()),
            generation,
            token: token.clone(),
            received_at: now,
            expires_at: times.expires_at,
            arrived_expired: times.arrived_expired,
            due_at,
            life,
            claims,
            provider_sub: identity.get("sub").cloned(),
            roles,
            id: None,
        })
    }
}

/// What a session knew before the authority's answer, and what is kept of that answer.
#[derive(Clone, Copy)]
struct Known<'k> {
    identity: &'k Claims,
    answered: &'k Claims,
    /// The access token before.
    token: Option<IssuedAccess>,
}

impl IssuedAccess {
    fn of(access: &AccessGrant) -> Self {
        Self {
            digest: token_digest(access.token.expose()),
            expires_at: access.expires_at,
            life: u64::try_from(access.life.as_millis()).unwrap_or(u64::MAX),
            arrived_expired: access.arrived_expired,
        }
    }

    /// Whether it is this token.
    pub(super) fn is(&self, token: &str) -> bool {
        self.digest == token_digest(token)
    }

    /// The times of a token that a refresh brings again: its end stays, and the margin before it is taken from the time
    /// that is left, so that it is not refreshed with each request.
    fn times_again(self, now: Timestamp) -> (TokenTimes, Duration) {
        let times = TokenTimes { received_at: now, expires_at: self.expires_at, arrived_expired: false };
        (times, Duration::from_millis(self.life))
    }
}

/// The person that the tokens were issued for. An access token's own subject goes first: that of an unsealed one is
/// compared with it.
fn subject(issued: &Issued) -> Option<&str> {
    let access = issued.access_claims.as_ref().map(|access| &access.claims);
    let sources = access.into_iter().chain([&issued.answered]).chain(&issued.identity);
    sources.into_iter().find_map(|claims| claims.get("sub")?.as_str())
}

/// True if `text` consists of `cookie-octet`s (RFC 6265 section 4.1.1).
fn is_cookie_value(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e))
}
