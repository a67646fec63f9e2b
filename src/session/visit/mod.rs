//! The session of one request: read from its cookies (`read`), refreshed (`renew`), and written onto the head of the
//! answer.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::{
    check,
    cookies::{CookieChanges, Jar, TokenCookie},
    grant::{AccessGrant, Login, RefreshGrant, Session},
    opened::OpenedRefresh,
    refresh::in_flight::PendingRefresh,
    shared::{Sessions, Shared},
    state::SessionState,
    status::{AuthStatus, SessionOutcome, Undecided},
};
use crate::{
    client::Client,
    clock::Timestamp,
    secret::IdToken,
    store::{Generation, Sid},
};

mod read;
mod renew;
mod stream;

/// The session of one request.
pub struct Visit {
    sessions: Sessions,
    client: Client,
    cookies: RequestCookies,
    state: Option<Arc<SessionState>>,
    /// The refresh token in the request's cookie.
    refresh: Option<OpenedRefresh>,
    /// The access token that the request is forwarded with.
    access: Option<Arc<AccessGrant>>,
    /// The tokens that the request is forwarded with, if they are newer than its cookies.
    newer: Option<Arc<Session>>,
    /// The last refresh that the request has joined or begun.
    joined_refresh: Option<PendingRefresh>,
    /// Deletes cookies of ours that do not open.
    deletions: CookieChanges,
    outcome: SessionOutcome,
    /// The token that the request is to carry.
    carried: CarriedToken,
    /// True if a refresh that this request waited for gave its access token.
    refreshed_here: bool,
    /// True if newer tokens have been in use for longer than the grace time. This request must not get them, because
    /// its own tokens may be stolen.
    is_stale: bool,
}

/// The `Cookie` headers of a request that have a cookie of ours. The values are shared, not copied.
#[derive(Default)]
struct RequestCookies {
    first: Option<HeaderValue>,
    more: Vec<HeaderValue>,
}

impl RequestCookies {
    fn of(headers: &HeaderMap, jar: &Jar) -> Self {
        let mut cookies = jar.own_lines(headers);
        Self { first: cookies.next().cloned(), more: cookies.cloned().collect() }
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn iter(&self) -> impl Iterator<Item = &HeaderValue> {
        self.first.iter().chain(&self.more)
    }
}

/// The token that a request carries to its upstream: what decides when a refresh is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CarriedToken {
    /// The access token, or none.
    #[default]
    Access,
    /// The ID token. Its `exp` counts too.
    Id,
}

/// What to do with a 401 from an upstream.
#[derive(Debug)]
pub enum After401 {
    /// Send the request again, with the visit's new access token.
    Retry,
    /// Pass the 401 on: the session could not be refreshed, or too many 401s have caused refreshes already.
    Pass,
    /// Pass the 401 on: there is no newer access token, or the session has ended.
    NoNewToken,
}

impl Visit {
    /// True if there is a refresh token. If not, the request's body need not be recorded for a second try.
    pub fn may_be_renewed(&self) -> bool {
        self.refresh_grant().is_some()
    }

    /// The access token that the request is forwarded with.
    pub fn access(&self) -> Option<&Arc<AccessGrant>> {
        self.access.as_ref()
    }

    /// The provider's ID token, for upstreams that ask for it; `None` if it has expired.
    pub fn id_token(&self) -> Option<IdToken> {
        let id = match self.refresh_grant() {
            Some(grant) => grant.id.as_ref()?,
            None => self.access.as_ref()?.id.as_ref()?,
        };
        (self.shared().now() < id.times.expires_at).then(|| id.token.clone())
    }

    /// True if the request had a session, alive, ended or of unknown state: the cross-site rule applies to it.
    pub fn came_with_session(&self) -> bool {
        self.outcome != SessionOutcome::Absent
    }

    /// True if the request had a genuine token cookie, also of a session that has ended. An unsealed access token that
    /// was not verified does not count.
    pub fn came_with_login(&self) -> bool {
        self.state.is_some()
    }

    /// The id of the request's session, if it is alive.
    pub fn sid(&self) -> Option<Sid> {
        self.state.as_ref().filter(|_| self.outcome == SessionOutcome::Alive).map(|state| state.sid)
    }

    /// When the session ends if nothing uses it; `None` without a usable session. Without a refresh token it ends with
    /// its access token.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let access = self.access.as_ref()?;
        let by_refresh = self.refresh_grant().map(|grant| check::end_of(grant, &self.shared().settings));
        Some(by_refresh.unwrap_or(access.expires_at))
    }

    /// Why it is unknown whether the session is alive; `None` if it is known.
    pub fn undecided(&self) -> Option<Undecided> {
        match self.outcome {
            SessionOutcome::Unknown(why) => Some(why),
            SessionOutcome::Absent | SessionOutcome::Alive | SessionOutcome::Ended => None,
        }
    }

    /// `x-auth-status` and the cookie changes for the head of the answer: the newest cookies at this moment, none if
    /// the session has ended meanwhile.
    pub fn head(&self) -> (AuthStatus, CookieChanges) {
        let deletions = || self.deletions.clone();
        match self.outcome {
            SessionOutcome::Absent if self.deletions.is_empty() => (AuthStatus::Anonymous, CookieChanges::default()),
            // Cookies of ours that do not open: for the browser the session has ended.
            SessionOutcome::Absent => (AuthStatus::Invalid, deletions()),
            SessionOutcome::Ended => (AuthStatus::Invalid, self.cookie_deletions()),
            SessionOutcome::Unknown(_) => (AuthStatus::Unavailable, CookieChanges::default()),
            SessionOutcome::Alive => match self.session_to_set() {
                Some(session) => (AuthStatus::Refreshed, self.cookies_of(&session)),
                None => (AuthStatus::Valid, deletions()),
            },
        }
    }

    /// The login of the request's session.
    pub(super) fn login(&self) -> Option<&Login> {
        let own = self.access.as_ref().and_then(|a| a.login.as_ref());
        own.or_else(|| self.refresh_grant().map(|r| &r.login))
    }

    /// The `Cookie` headers of the request that have a cookie of ours.
    pub(super) fn cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.cookies.iter()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn mark_ended(&mut self) {
        self.access = None;
        self.newer = None;
        self.outcome = SessionOutcome::Ended;
    }

    /// The newest refresh token on this instance.
    pub(super) fn newest_refresh(&self) -> Option<Arc<RefreshGrant>> {
        self.newer_refresh(self.state.as_ref().and_then(|state| state.newest()))
    }

    /// The refresh token of `newest`, or the request's own if that is newer.
    fn newer_refresh(&self, newest: Option<Arc<Session>>) -> Option<Arc<RefreshGrant>> {
        match (newest.and_then(|session| session.refresh.clone()), self.refresh_grant()) {
            (Some(newest), Some(own)) if newest.generation < own.generation => Some(own.clone()),
            (Some(newest), _) => Some(newest),
            (None, own) => own.cloned(),
        }
    }

    /// Deletes all parts of the request's token cookies, except those that another key sealed.
    pub(super) fn cookie_deletions(&self) -> CookieChanges {
        let jar = &self.shared().jar;
        let found = jar.find(self.cookies.iter());
        let ours = |first: Option<&[u8]>| first.is_some_and(|v| self.shared().ring.parts_of(v).is_ok());
        let mut changes = CookieChanges::default();
        if !found.access.is_absent() && (!self.shared().settings.seal || ours(found.access.first_parts().next())) {
            changes = changes.and(jar.clear(TokenCookie::Access, found.access.extent()));
        }
        if !found.refresh.is_absent() && ours(found.refresh.first_parts().next()) {
            changes = changes.and(jar.clear(TokenCookie::Refresh, found.refresh.extent()));
        }
        changes
    }

    /// Sets the cookies of `session`, and deletes the request's further parts if its value was longer.
    pub(super) fn cookies_of(&self, session: &Session) -> CookieChanges {
        let jar = &self.shared().jar;
        let found = jar.find(self.cookies.iter());
        let stale = jar
            .clear_beyond(TokenCookie::Access, session.parts.access, found.access.extent())
            .and(jar.clear_beyond(TokenCookie::Refresh, session.parts.refresh, found.refresh.extent()));
        session.cookies.clone().and(stale)
    }

    fn shared(&self) -> &Shared {
        &self.sessions.shared
    }

    fn refresh_grant(&self) -> Option<&Arc<RefreshGrant>> {
        match &self.newer {
            Some(session) if session.refresh.is_some() => session.refresh.as_ref(),
            _ => self.refresh.as_ref().map(|r| &r.grant),
        }
    }

    /// The generation of the request's tokens. If they differ, the lower one, so that both are replaced. An unsealed
    /// access token has none.
    fn own_generation(&self) -> Generation {
        let of_access = self.access.as_ref().filter(|access| access.login.is_some()).map(|access| access.generation);
        let of_refresh = self.refresh.as_ref().map(|refresh| refresh.grant.generation);
        of_access.into_iter().chain(of_refresh).min().unwrap_or(u32::MAX)
    }

    /// The session whose cookies the answer sets: the newest one on this instance, if it is newer than the request's.
    fn session_to_set(&self) -> Option<Arc<Session>> {
        let state = self.state.as_ref()?;
        if self.newer.is_none() && self.joined_refresh.is_none() && !state.has_newer_than(self.own_generation()) {
            return None;
        }
        if state.has_ended() || self.is_stale {
            return None;
        }
        let refreshed = self.joined_refresh.as_ref().and_then(PendingRefresh::tokens);
        let newest = state.newest().filter(|s| s.access.generation > self.own_generation());
        [self.newer.clone(), refreshed, newest].into_iter().flatten().max_by_key(|s| s.access.generation)
    }
}
