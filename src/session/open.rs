//! Reading the session out of a request's cookies. Opened cookies are remembered by their whole value, so a live session costs one look-up.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;
use rustc_hash::FxBuildHasher;

use super::{
    AccessGrant, Inner, RefreshGrant,
    cookies::{CookieChanges, Found, Parts, Token},
    grant::{SealedAccess, SealedRefresh, bearer, digest_of},
    refresh,
    state::SessionState,
};
use crate::{
    authority::{self, VerifyError},
    client::ClientKey,
    clock::Timestamp,
    oidc::Claims,
    seal::{OpenError, Purpose},
    secret::AccessToken,
    store::{Generation, Sid},
};

/// Octets of cookies remembered: past that the least recently used are opened anew.
const MOST_OCTETS: u64 = 64 << 20;
/// What an entry costs beside the value itself, which it holds about twice.
const ENTRY: usize = 600;
const IDLE: Duration = Duration::from_secs(3600);

/// An opened `sb_at`.
#[derive(Clone, Debug)]
pub(super) struct OpenedAccess {
    pub(super) grant: Arc<AccessGrant>,
    pub(super) state: Arc<SessionState>,
}

/// An opened `sb_rt`.
#[derive(Clone, Debug)]
pub(super) struct OpenedRefresh {
    pub(super) grant: Arc<RefreshGrant>,
    pub(super) state: Arc<SessionState>,
}

/// The cookies opened lately.
pub(super) struct OpenedCookies {
    access: Cache<Box<[u8]>, OpenedAccess, FxBuildHasher>,
    refresh: Cache<Box<[u8]>, OpenedRefresh, FxBuildHasher>,
}

impl OpenedCookies {
    pub(super) fn new() -> Self {
        Self { access: cache(), refresh: cache() }
    }
}

fn cache<V: Clone + Send + Sync + 'static>() -> Cache<Box<[u8]>, V, FxBuildHasher> {
    Cache::builder()
        .max_capacity(MOST_OCTETS / 2)
        .weigher(|key: &Box<_>, _| weight(key))
        .time_to_idle(IDLE)
        // Only values that opened are held, so nobody can plant keys that collide.
        .build_with_hasher(FxBuildHasher)
}

fn weight(value: &[u8]) -> u32 {
    u32::try_from(value.len() * 2 + ENTRY).unwrap_or(u32::MAX)
}

/// What a cookie of ours turned out to be.
pub(super) enum Reading<T> {
    /// There is none, or one that is not ours to judge.
    Absent,
    /// It opened.
    Opened(T),
    /// It is genuine, and past its expiry.
    Lapsed,
    /// So many forged ones came from its client that it is not looked at for so long.
    Unchecked(Duration),
    /// It is ours and does not open: these changes clear it.
    Spoiled(CookieChanges),
}

impl Inner {
    /// Reads `sb_rt`.
    pub(super) fn read_refresh(&self, found: &Found<'_>, now: Timestamp) -> Reading<OpenedRefresh> {
        self.read(&found.refresh, Token::Refresh, |value, parts| {
            if let Some(opened) = self.opened.refresh.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Refresh, value, parts)?;
            let sealed: SealedRefresh = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open());
            let state = self.state_of(grant.login.sid, now);
            self.saw(&state, grant.generation, now);
            let opened = OpenedRefresh { grant, state };
            self.opened.refresh.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads a sealed `sb_at`.
    pub(super) fn read_access(&self, found: &Found<'_>, now: Timestamp) -> Reading<OpenedAccess> {
        self.read(&found.access, Token::Access, |value, parts| {
            if let Some(opened) = self.opened.access.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Access, value, parts)?;
            let sealed: SealedAccess = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open(&self.settings).ok_or(OpenError::Broken)?);
            let sid = grant.login.as_ref().ok_or(OpenError::Broken)?.sid;
            let state = self.state_of(sid, now);
            self.saw(&state, grant.generation, now);
            let opened = OpenedAccess { grant, state };
            self.opened.access.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads a raw `sb_at`, a JWT whose signature is verified once. The session it belongs to is what `sb_rt` says; alone it is one of its own. Of two the one that is
    /// genuine counts; none, where two are of different people.
    pub(super) async fn read_raw_access(
        &self,
        found: &Found<'_>,
        client: ClientKey,
        now: Timestamp,
    ) -> Reading<OpenedAccess> {
        let mut best = Reading::Absent;
        for first in found.access.firsts() {
            match (self.read_one_raw(found, first, client, now).await, &best) {
                (Reading::Opened(one), Reading::Opened(other)) if !one.same_person(other) => return Reading::Absent,
                (_, Reading::Opened(_)) | (Reading::Absent, _) => {}
                (Reading::Opened(one), _) => best = Reading::Opened(one),
                // What may yet turn out to be good is not cleared beside what is not.
                (other, Reading::Absent | Reading::Spoiled(_)) => best = other,
                (_, Reading::Lapsed | Reading::Unchecked(_)) => {}
            }
        }
        best
    }

    async fn read_one_raw(
        &self,
        found: &Found<'_>,
        first: &[u8],
        client: ClientKey,
        now: Timestamp,
    ) -> Reading<OpenedAccess> {
        let parts = found.access.extent();
        let spoiled = || {
            self.metrics.cookies_cleared.inc();
            Reading::Spoiled(self.jar.clear(Token::Access, parts))
        };
        let joined;
        let value = if let Some(alone) = found.access.alone() {
            alone
        } else {
            let Some(whole) = found.access.joined(first, parts) else { return spoiled() };
            joined = whole;
            &joined
        };
        let opened = if let Some(known) = self.opened.access.get(value) {
            known
        } else {
            let Ok(text) = std::str::from_utf8(value) else { return spoiled() };
            let claims = match self.authority.read_access_token(text, self.settings.leeway) {
                Ok(shown) => {
                    if let Some(wait) = self.forgeries.wait(client, now) {
                        return Reading::Unchecked(wait);
                    }
                    shown.verify().await
                }
                Err(error) => Err(error),
            };
            let claims = match claims {
                Ok(claims) => claims,
                // Without its keys the gateway can neither let anyone in nor judge the cookie.
                Err(VerifyError::Unavailable(_)) => return Reading::Absent,
                Err(VerifyError::Expired) => return Reading::Lapsed,
                Err(VerifyError::Invalid) => return spoiled(),
                Err(VerifyError::Forged) => {
                    self.forgeries.count(client, now);
                    return spoiled();
                }
            };
            let token = AccessToken::new(text);
            let Some(bearer) = bearer(&token) else { return spoiled() };
            let life = authority::life(&token, None, now);
            let (claims, roles) = self.person(Some(&claims), true, &Claims::new());
            let grant = Arc::new(AccessGrant {
                due_at: life.expires_at.minus(self.settings.refresh_ahead.min(life.life / 5)),
                login: None,
                generation: 0,
                token,
                bearer,
                received_at: now,
                // Where nothing refreshes it, the token is good for as long as its verification grants.
                expires_at: life.expires_at.plus(self.settings.leeway),
                life: life.life,
                claims,
                roles,
            });
            let state = self.state_of(raw_sid(&grant.token), now);
            let opened = OpenedAccess { grant, state };
            self.opened.access.insert(value.into(), opened.clone());
            opened
        };
        Reading::Opened(opened)
    }

    /// Opens the one value that counts: the one that opens; none, where two open with different sessions.
    fn read<T: Opened>(
        &self,
        parts: &Parts<'_>,
        token: Token,
        open: impl Fn(&[u8], usize) -> Result<T, OpenError>,
    ) -> Reading<T> {
        if parts.is_absent() {
            return Reading::Absent;
        }
        // The key's name is looked at before the cache: another deployment's cookies are not even looked up.
        if let Some(value) = parts.alone()
            && self.ring.parts_of(value) == Ok(1)
            && let Ok(opened) = open(value, 1)
        {
            return Reading::Opened(opened);
        }
        let mut opened: Option<T> = None;
        let mut broken = false;
        for first in parts.firsts() {
            let whole = self
                .ring
                .parts_of(first)
                .and_then(|count| open(&parts.joined(first, count).ok_or(OpenError::Broken)?, count));
            match (whole, &opened) {
                (Ok(one), None) => opened = Some(one),
                (Ok(one), Some(other)) if one.same_session(other) => {}
                // Somebody planted a cookie: neither is believed, neither is cleared.
                (Ok(_), Some(_)) => return Reading::Absent,
                (Err(OpenError::Broken), _) => broken = true,
                (Err(OpenError::UnknownKey), _) => {
                    self.metrics.cookies_ignored.inc();
                }
            }
        }
        match opened {
            Some(opened) => Reading::Opened(opened),
            None if broken => {
                self.metrics.cookies_cleared.inc();
                Reading::Spoiled(self.jar.clear(token, parts.extent()))
            }
            None => Reading::Absent,
        }
    }

    /// What is known of the session, whose end this process may have heard of before.
    fn state_of(&self, sid: Sid, now: Timestamp) -> Arc<SessionState> {
        self.states.of(sid, || self.store.refreshes.has_ended(sid, now))
    }

    /// The visitor holds `generation`: results that led up to it are kept for the grace time only.
    fn saw(&self, state: &Arc<SessionState>, generation: Generation, now: Timestamp) {
        if generation > 0 && state.first_sight_of(generation, now) {
            refresh::acknowledge(self, state.sid, generation, now);
        }
    }
}

/// By which a raw access token alone is remembered when it ends: it carries no `sid`.
pub(super) fn raw_sid(token: &AccessToken) -> Sid {
    let digest = digest_of(&[b"raw access token", token.expose().as_bytes()]);
    let mut sid = [0; 16];
    sid.copy_from_slice(&digest.0[..16]);
    Sid(sid)
}

trait Opened {
    fn same_session(&self, other: &Self) -> bool;
}

impl Opened for OpenedAccess {
    fn same_session(&self, other: &Self) -> bool {
        let sid = |o: &Self| o.grant.login.as_ref().map(|l| l.sid);
        sid(self) == sid(other)
    }
}

impl OpenedAccess {
    /// Whether two raw tokens, which carry no `sid`, are of one person: one may have taken the other's place.
    fn same_person(&self, other: &Self) -> bool {
        let person = |o: &Self| ["iss", "sub"].map(|name| o.grant.claims.get(name).cloned());
        self.grant.claims.contains_key("sub") && person(self) == person(other)
    }
}

impl Opened for OpenedRefresh {
    fn same_session(&self, other: &Self) -> bool {
        self.grant.login.sid == other.grant.login.sid
    }
}
