//! Opens or verifies a request's token cookies. Opened cookies are cached, so that a live session costs one look-up.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    check,
    claims::Sources,
    cookies::{CookieChanges, FoundCookies, TokenCookie, TokenParts},
    digest::unsealed_sid,
    grant::{AccessGrant, IssuedAccess, RefreshGrant, TokenTimes, bearer},
    opened::{Opened, OpenedAccess, OpenedRefresh},
    sealed::{SealedAccess, SealedRefresh},
    shared::Shared,
    state::SessionState,
};
use crate::{
    authority::{self, AccessClaims, VerifyError},
    client::ClientKey,
    clock::Timestamp,
    seal::{OpenError, Purpose},
    secret::AccessToken,
    store::{Generation, Sid},
};

/// Most octets of the values that are joined from copies of the parts of one sealed cookie.
const MOST_SEALED_OCTETS: usize = 256 * 1024;
/// The same for an unsealed cookie, whose values are parsed as JSON.
const MOST_UNSEALED_OCTETS: usize = 64 * 1024;
/// Most tokens of one request whose signature proves wrong; no further one is verified.
const MOST_FORGED: usize = 4;

/// The result of reading one of our cookies.
pub(super) enum Reading<T> {
    /// The cookie is absent, or sealed with a key that is not configured.
    Absent,
    /// The cookie opened, or its signature was verified.
    Opened(T),
    /// An unsealed token past its expiry. Its signature was not checked.
    Expired,
    /// The signature is not checked for this long, because the client has sent too many forged tokens.
    Unchecked(Duration),
    /// The cookie is ours and does not open. These changes delete it.
    Broken(CookieChanges),
}

/// The unsealed access token that was received with a session's refresh token, as sealed with that.
#[derive(Clone, Copy)]
pub(super) struct IssuedUnsealed<'r> {
    pub(super) refresh: &'r RefreshGrant,
    pub(super) access: IssuedAccess,
}

impl IssuedUnsealed<'_> {
    fn is(&self, token: &str) -> bool {
        self.access.is(token)
    }

    /// Whether the access token was read with this refresh token before: then it has its times and claims.
    fn is_known_to(&self, grant: &AccessGrant) -> bool {
        (grant.received_at, grant.expires_at) == (self.refresh.issued_at, self.access.expires_at)
    }
}

/// Why an unsealed token is not accepted.
#[derive(Clone, Copy)]
enum Refused {
    /// It is no token of the authority.
    Malformed,
    /// Its signature is wrong.
    Forged,
    /// See [`Reading::Expired`].
    Expired,
    /// See [`Reading::Unchecked`].
    Unchecked(Duration),
    /// The authority's keys are not available.
    WithoutKeys,
}

impl Refused {
    fn is_broken(self) -> bool {
        matches!(self, Self::Malformed | Self::Forged)
    }
}

impl Shared {
    /// Reads `sb_rt`.
    pub(super) fn read_refresh(&self, found: &FoundCookies<'_>, now: Timestamp) -> Reading<OpenedRefresh> {
        self.read(&found.refresh, TokenCookie::Refresh, |value, parts| {
            if let Some(opened) = self.opened.refresh.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Refresh, value, parts)?;
            let sealed: SealedRefresh = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open());
            let state = self.state_of(grant.login.sid, now);
            self.record_shown(&state, grant.generation, now);
            let opened = OpenedRefresh { grant, state };
            self.opened.refresh.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads a sealed `sb_at`.
    pub(super) fn read_access(&self, found: &FoundCookies<'_>, now: Timestamp) -> Reading<OpenedAccess> {
        self.read(&found.access, TokenCookie::Access, |value, parts| {
            if let Some(opened) = self.opened.access.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Access, value, parts)?;
            let sealed: SealedAccess = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open(&self.settings).ok_or(OpenError::Broken)?);
            let sid = grant.login.as_ref().ok_or(OpenError::Broken)?.sid;
            let state = self.state_of(sid, now);
            self.record_shown(&state, grant.generation, now);
            let opened = OpenedAccess { grant, is_whole: true, state };
            self.opened.access.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads an unsealed `sb_at`: a JWT, whose signature is verified once. It belongs to the session of `sb_rt`;
    /// without an `sb_rt` it is a session without a login. Of two cookies of this name the genuine one counts; if both
    /// are genuine and of different people, neither.
    pub(super) async fn read_unsealed_access(
        &self,
        found: &FoundCookies<'_>,
        issued: Option<IssuedUnsealed<'_>>,
        client: ClientKey,
        now: Timestamp,
    ) -> Reading<OpenedAccess> {
        let parts = &found.access;
        if let Some(whole) = parts.single() {
            return match self.read_one_unsealed(whole, issued, client, now).await {
                Ok(opened) => Reading::Opened(opened),
                Err(refused) => self.unsealed_reading(refused, parts),
            };
        }
        // An unsealed value does not declare the number of its parts, but each except the last has the full length.
        let longest_part = self.jar.longest_part();
        let candidates = parts.candidates(|first| if first.len() == longest_part { parts.without_gap() } else { 1 });
        let whole = candidates.whole.iter().copied().map(Cow::Borrowed);
        let joined =
            parts.joined(&candidates, MOST_UNSEALED_OCTETS).map(|joined| Cow::Owned(joined.unwrap_or_default().0));
        let mut may_delete = !candidates.has_too_many_copies;
        let (mut best, mut refusal): (Option<OpenedAccess>, _) = (None, None);
        let mut forged = 0;
        for value in whole.chain(joined) {
            if forged == MOST_FORGED {
                may_delete = false;
                break;
            }
            match (self.read_one_unsealed(&value, issued, client, now).await, &best) {
                (Ok(one), Some(other)) if !one.same_person(other) => return Reading::Absent,
                (Ok(one), None) => best = Some(one),
                (Ok(_), Some(_)) => {}
                (Err(refused), _) => {
                    forged += usize::from(matches!(refused, Refused::Forged));
                    // A cookie that may turn out to be genuine later is not deleted together with a broken one.
                    if refusal.is_none_or(Refused::is_broken) {
                        refusal = Some(refused);
                    }
                }
            }
        }
        match (best, refusal) {
            (Some(opened), _) => Reading::Opened(opened),
            (None, Some(refused)) if may_delete || matches!(refused, Refused::Unchecked(_)) => {
                self.unsealed_reading(refused, parts)
            }
            (None, _) => Reading::Absent,
        }
    }

    fn unsealed_reading(&self, refused: Refused, parts: &TokenParts<'_>) -> Reading<OpenedAccess> {
        match refused {
            Refused::Malformed | Refused::Forged => {
                self.metrics.cookies_cleared.inc();
                Reading::Broken(self.jar.clear(TokenCookie::Access, parts.extent()))
            }
            Refused::Expired => Reading::Expired,
            Refused::Unchecked(wait) => Reading::Unchecked(wait),
            Refused::WithoutKeys => Reading::Absent,
        }
    }

    async fn read_one_unsealed(
        &self,
        value: &[u8],
        issued: Option<IssuedUnsealed<'_>>,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<OpenedAccess, Refused> {
        // What was decided at receipt replaces what was read from the token alone, and is for requests that have the
        // refresh token.
        let is_known = |opened: &OpenedAccess| {
            let issued = issued.filter(|issued| issued.is(opened.grant.token.expose()));
            let is_current = issued.is_none_or(|issued| issued.is_known_to(&opened.grant));
            is_current && opened.is_whole == issued.is_some()
        };
        if let Some(opened) = self.opened.access.get(value).filter(is_known) {
            return Ok(opened);
        }
        let text = std::str::from_utf8(value).map_err(|_| Refused::Malformed)?;
        if self.forged_tokens.knows(value) {
            return Err(Refused::Forged);
        }
        let issued = issued.filter(|issued| issued.is(text));
        // The times of a token that was received here were decided at receipt, by our clock.
        let leeway = issued.is_none().then_some(self.settings.leeway);
        let claims = match self.authority.read_access_token(text, leeway) {
            Ok(unverified) => {
                if let Some(wait) = self.forged_tokens.wait(client, now) {
                    return Err(Refused::Unchecked(wait));
                }
                unverified.verify().await
            }
            Err(error) => Err(error),
        };
        let claims = claims.map_err(|error| match error {
            // Without the keys the gateway cannot judge the cookie: it neither accepts nor deletes it.
            VerifyError::Unavailable(_) => Refused::WithoutKeys,
            VerifyError::Expired => Refused::Expired,
            VerifyError::Invalid => Refused::Malformed,
            VerifyError::Forged => {
                self.forged_tokens.count(client, value, now);
                Refused::Forged
            }
        })?;
        let token = AccessToken::new(text);
        let bearer = bearer(&token).ok_or(Refused::Malformed)?;
        let claims = AccessClaims { claims, verified: true };
        let (claims, roles) = match issued.map(|issued| issued.refresh) {
            Some(RefreshGrant { identity, answered, .. }) => {
                self.claims_and_roles(Sources { identity, access: Some(&claims), answered })
            }
            None => self.claims_and_roles_without_answers(&claims),
        };
        let provider_sub = issued.and_then(|issued| issued.refresh.identity.get("sub").cloned());
        let (times, due_at, life) = if let Some(IssuedUnsealed { refresh, access }) = issued {
            let IssuedAccess { expires_at, arrived_expired, .. } = access;
            let times = TokenTimes { received_at: refresh.issued_at, expires_at, arrived_expired };
            let life = Duration::from_millis(access.life);
            (times, check::due_at(refresh.login.sid, times, life, &self.settings), life)
        } else {
            let lifetime = authority::lifetime(&token, None, now);
            let due_at = lifetime.expires_at.minus(self.settings.refresh_ahead.min(lifetime.total / 5));
            // Without a refresh token the access token is accepted as long as its verification accepts it.
            let expires_at = lifetime.expires_at.plus(self.settings.leeway);
            (TokenTimes { received_at: now, expires_at, arrived_expired: false }, due_at, lifetime.total)
        };
        let grant = Arc::new(AccessGrant {
            due_at,
            login: None,
            generation: 0,
            token,
            bearer,
            received_at: times.received_at,
            expires_at: times.expires_at,
            arrived_expired: times.arrived_expired,
            life,
            claims,
            provider_sub,
            roles,
            id: None,
        });
        let state = self.state_of(unsealed_sid(&grant.token), now);
        let opened = OpenedAccess { grant, is_whole: issued.is_some(), state };
        self.opened.access.insert(value.into(), opened.clone());
        Ok(opened)
    }

    /// Opens a sealed token cookie. If its name occurs several times, the value that opens counts; if values of
    /// different sessions open, none counts.
    fn read<T: Opened>(
        &self,
        parts: &TokenParts<'_>,
        token: TokenCookie,
        open: impl Fn(&[u8], usize) -> Result<T, OpenError>,
    ) -> Reading<T> {
        if parts.is_absent() {
            return Reading::Absent;
        }
        // The key id is compared first, so that cookies of another deployment cost no look-up.
        if let Some(value) = parts.single()
            && self.ring.parts_of(value) == Ok(1)
            && let Ok(opened) = open(value, 1)
        {
            return Reading::Opened(opened);
        }
        // A first part without a number, or with a key that is not in the ring, is refused by `open`.
        let candidates = parts.candidates(|first| self.ring.parts_of(first).unwrap_or(1));
        let whole = candidates.whole.iter().map(|whole| open(whole, 1));
        let joined = parts.joined(&candidates, MOST_SEALED_OCTETS).map(|joined| {
            let (value, count) = joined.ok_or(OpenError::Broken)?;
            open(&value, count)
        });
        let mut opened: Option<T> = None;
        let mut broken = false;
        for result in whole.chain(joined) {
            match (result, &opened) {
                (Ok(one), None) => opened = Some(one),
                (Ok(one), Some(other)) if one.same_session(other) => {}
                // Another host of the site may have set one of them: neither is accepted, neither is deleted.
                (Ok(_), Some(_)) => return Reading::Absent,
                (Err(OpenError::Broken), _) => broken = true,
                (Err(OpenError::UnknownKey), _) => {
                    self.metrics.cookies_ignored.inc();
                }
            }
        }
        match opened {
            Some(opened) => Reading::Opened(opened),
            None if broken && !candidates.has_too_many_copies => {
                self.metrics.cookies_cleared.inc();
                Reading::Broken(self.jar.clear(token, parts.extent()))
            }
            None => Reading::Absent,
        }
    }

    /// The state of the session. A new state begins as ended if the store has its end.
    fn state_of(&self, sid: Sid, now: Timestamp) -> Arc<SessionState> {
        self.states.find_or_create(sid, || self.store.refreshes.has_ended(sid, now))
    }

    /// Records that a request has `generation`, and acknowledges it to the store the first time.
    fn record_shown(&self, state: &Arc<SessionState>, generation: Generation, now: Timestamp) {
        if generation > 0 && state.mark_shown(generation, now) {
            self.acknowledge(state.sid, generation, now);
        }
    }
}
