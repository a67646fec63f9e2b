//! One request's session from its cookies to the head of its answer: read, ensured fresh, refreshed once more after a 401, and written.

use std::{future::Future, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};

use super::{
    AccessGrant, AuthStatus, CookieChanges, Inner, Login, RefreshGrant, Session, Sessions, StoreDown,
    check::{self, Standing},
    cookies::Token,
    open::{OpenedAccess, OpenedRefresh, Reading},
    refresh::{FRESH_RESULT, Flight, Outcome, Want},
    state::SessionState,
};
use crate::{
    authority::ClientDevice,
    client::Client,
    clock::Timestamp,
    problem::{Problem, ProblemKind},
    secret::IdToken,
    store::Sid,
};

/// How long a request waits for a refresh that it needs.
const WAIT_NEEDED: Duration = Duration::from_secs(10);
/// A stream whose session has been neither seen nor refreshed for its access token's life and this long is cut.
const UNSEEN: Duration = Duration::from_secs(3600);

/// The session side of one request.
pub struct Visit {
    sessions: Sessions,
    client: Client,
    brought: Brought,
    state: Option<Arc<SessionState>>,
    refresh: Option<OpenedRefresh>,
    /// The tokens the request goes on with.
    access: Option<Arc<AccessGrant>>,
    /// The session they come from, where it is not the cookies' own.
    newer: Option<Arc<Session>>,
    flight: Option<Flight>,
    spoiled: CookieChanges,
    fate: Fate,
    /// The authority gave this very request its access token.
    refreshed_here: bool,
    /// Newer tokens have been in use for longer than the grace time: they are not for whoever shows these.
    is_stale: bool,
}

/// The `Cookie` headers of a request: values are shared, not copied.
#[derive(Default)]
struct Brought {
    first: Option<HeaderValue>,
    more: Vec<HeaderValue>,
}

impl Brought {
    fn iter(&self) -> impl Iterator<Item = &HeaderValue> {
        self.first.iter().chain(&self.more)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// No session came in.
    Absent,
    /// It stands.
    Stands,
    /// It is over: its cookies are cleared.
    Over,
    /// Nobody knows.
    Unknown(Undecided),
}

/// Why nobody can tell now what a session is worth, and when to try again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Undecided {
    /// The authority did not answer.
    Unanswered(Duration),
    /// Too many forged access tokens came from this client for another to be checked.
    Unchecked(Duration),
}

impl From<Undecided> for Problem {
    fn from(why: Undecided) -> Self {
        match why {
            Undecided::Unanswered(wait) => Self::new(ProblemKind::AuthorityUnavailable).after(wait),
            Undecided::Unchecked(wait) => Self::new(ProblemKind::TooManyForgedTokens).after(wait),
        }
    }
}

/// What to do with a 401 from the upstream.
#[derive(Debug)]
pub enum After401 {
    /// Send the request again, with the visit's new access token.
    Retry,
    /// Pass it on: the session cannot or may not be refreshed for it.
    Pass,
    /// Pass it on: the authority refused, the session is over.
    Over,
}

impl Sessions {
    /// Reads the session out of a request's headers.
    pub async fn visit(&self, headers: &HeaderMap, client: &Client) -> Visit {
        let mut cookies = headers.get_all(header::COOKIE).iter();
        let brought = Brought { first: cookies.next().cloned(), more: cookies.cloned().collect() };
        let mut visit = Visit {
            sessions: self.clone(),
            client: client.clone(),
            brought,
            state: None,
            refresh: None,
            access: None,
            newer: None,
            flight: None,
            spoiled: CookieChanges::default(),
            fate: Fate::Absent,
            refreshed_here: false,
            is_stale: false,
        };
        if visit.brought.first.is_some() {
            visit.read(self.inner.now()).await;
        }
        visit
    }
}

impl Visit {
    /// Makes sure of a fresh access token: refreshes with the refresh token where it is missing, expired or due.
    pub async fn ensure(&mut self) {
        let inner = self.sessions.inner.clone();
        let now = inner.now();
        let standing = self.access.as_ref().map_or(Standing::Expired, |access| check::standing(access, now));
        if self.fate != Fate::Stands || standing == Standing::Live {
            return;
        }
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.is_beyond_own(newest))
            && check::standing(&newest.access, now) == Standing::Live
        {
            return self.adopt(newest);
        }
        let Some((grant, known)) = self.refreshable(newest, now) else {
            if standing == Standing::Expired {
                self.end_where_reused().await;
                self.access = None;
                self.fate = Fate::Over;
            }
            return;
        };
        if standing == Standing::Due && inner.is_store_away() && inner.settings.store_down == StoreDown::Wait {
            return;
        }
        let flight = inner.refresh(grant, known, Want::Newer, self.access.clone(), self.client.clone());
        self.flight = Some(flight.clone());
        let wait = match standing {
            Standing::Live | Standing::Due => inner.patience_ahead(),
            Standing::Expired => WAIT_NEEDED,
        };
        match (flight.outcome_within(wait).await, standing) {
            (Outcome::Refreshed(session), _) => {
                self.refreshed_here = true;
                self.adopt(session);
            }
            (Outcome::Ended | Outcome::SignedOut, _) => self.is_over(),
            (Outcome::Unavailable(_), Standing::Live | Standing::Due) => {}
            (Outcome::Unavailable(retry_after), Standing::Expired) => {
                self.access = None;
                self.fate = Fate::Unknown(Undecided::Unanswered(retry_after));
            }
        }
    }

    /// Refreshes whether it is due or not (`POST /refresh`).
    pub async fn refresh_now(&mut self) {
        let inner = self.sessions.inner.clone();
        let now = inner.now();
        if self.fate != Fate::Stands {
            return;
        }
        // A tab that still sends the old cookies gets what their refresh brought, however long ago that was.
        let own = self.refresh.as_ref().map(|r| r.grant.digest);
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.is_beyond_own(newest))
            && check::standing(&newest.access, now) != Standing::Expired
            && (newest.refresh.as_ref().map(|r| r.digest) != own || now.since(newest.obtained_at) <= FRESH_RESULT)
        {
            return self.adopt(newest);
        }
        let Some((grant, known)) = self.refreshable(newest, now) else {
            self.end_where_reused().await;
            // Without a refresh token there is nothing to refresh with: what stands, stands.
            return self.ensure().await;
        };
        let flight = inner.refresh(grant, known, Want::Fresh, self.access.clone(), self.client.clone());
        self.flight = Some(flight.clone());
        match flight.outcome_within(WAIT_NEEDED).await {
            Outcome::Refreshed(session) => self.adopt(session),
            Outcome::Ended | Outcome::SignedOut => self.is_over(),
            Outcome::Unavailable(retry_after) => {
                self.access = None;
                self.fate = Fate::Unknown(Undecided::Unanswered(retry_after));
            }
        }
    }

    /// Somebody would refresh with a token that was replaced long ago, so two have it. Where the refresh tokens are the gateway's own, neither keeps the session
    /// (RFC 9700 section 4.14.2); another authority is not asked with it, for it might take an old tab for a thief.
    async fn end_where_reused(&self) {
        let inner = self.inner().clone();
        let Some(grant) = self.refresh.as_ref().map(|refresh| refresh.grant.clone()) else { return };
        if !self.is_stale || !inner.authority.detects_reuse() {
            return;
        }
        let from = ClientDevice::of(&self.client, &grant.login.device);
        // To its end, though the visitor hangs up.
        let ended = inner.clone().background.spawn(async move { inner.end_reused(&grant, &from).await });
        let _ = ended.await;
    }

    /// The upstream answered 401 to the access token: finds a newer one, never the one just rejected.
    pub async fn after_401(&mut self) -> After401 {
        let inner = self.sessions.inner.clone();
        let now = inner.now();
        let (Some(rejected), Some(state)) = (self.access.clone(), self.state.clone()) else { return After401::Pass };
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.is_beyond_own(newest))
            && newest.access.generation > rejected.generation
            && newest.access.token != rejected.token
            && check::standing(&newest.access, now) != Standing::Expired
        {
            self.adopt(newest);
            return After401::Retry;
        }
        if self.refreshed_here {
            return After401::Over;
        }
        let Some((grant, known)) = self.refreshable(newest, now) else { return After401::Over };
        // Whoever joins a refresh under way causes none: a hundred 401s at once count as one.
        if inner.flights.of(grant.digest).is_none() && !state.may_refresh_after_401(now) {
            return After401::Pass;
        }
        let flight = inner.refresh(grant, known, Want::Newer, Some(rejected.clone()), self.client.clone());
        self.flight = Some(flight.clone());
        match flight.outcome_within(WAIT_NEEDED).await {
            Outcome::Refreshed(session) if session.access.token != rejected.token => {
                self.refreshed_here = true;
                self.adopt(session);
                After401::Retry
            }
            Outcome::Refreshed(session) => {
                self.adopt(session);
                After401::Over
            }
            Outcome::Ended | Outcome::SignedOut => {
                self.is_over();
                After401::Over
            }
            // By its times the token is good still, and the session may be: nothing is said against it.
            Outcome::Unavailable(_) => After401::Pass,
        }
    }

    /// Ends the session for good because the upstream rejected even a fresh token: its cookies are cleared.
    pub async fn give_up(&mut self) {
        if let Some(login) = self.login().cloned() {
            self.sessions.inner.end(&login, super::end::Reason::Rejected).await;
        }
        self.is_over();
    }

    /// False where a rejected access token cannot be replaced: the request need not be kept for a second try then.
    pub fn may_be_renewed(&self) -> bool {
        self.refresh_grant().is_some()
    }

    /// The access token the request goes on with.
    pub fn access(&self) -> Option<&Arc<AccessGrant>> {
        self.access.as_ref()
    }

    /// The provider's ID token, for upstreams that want it.
    pub fn id_token(&self) -> Option<IdToken> {
        self.refresh_grant()?.id_token.clone()
    }

    /// True where a session came in by cookie, whatever it is worth: its requests must not be forged by other sites.
    pub fn came_with_session(&self) -> bool {
        self.fate != Fate::Absent
    }

    /// Whether a cookie came in that only a login brings, even if that session has ended since. One that merely looks like it (a raw access token that was not verified) does not count.
    pub fn came_with_login(&self) -> bool {
        self.state.is_some()
    }

    /// The session that came in, where one stands.
    pub fn sid(&self) -> Option<Sid> {
        self.state.as_ref().filter(|_| self.fate == Fate::Stands).map(|state| state.sid)
    }

    /// Why the session's fate is unknown, where it is.
    pub fn undecided(&self) -> Option<Undecided> {
        match self.fate {
            Fate::Unknown(why) => Some(why),
            Fate::Absent | Fate::Stands | Fate::Over => None,
        }
    }

    /// What the head of the answer says and sets: the newest cookies known now; none if the session ended meanwhile.
    pub fn head(&self) -> (AuthStatus, CookieChanges) {
        let spoiled = || self.spoiled.clone();
        match self.fate {
            Fate::Absent if self.spoiled.is_empty() => (AuthStatus::Anonymous, CookieChanges::default()),
            // What was ours and cannot be read is cleared: to the visitor the session is over.
            Fate::Absent => (AuthStatus::Invalid, spoiled()),
            Fate::Over => (AuthStatus::Invalid, self.clearance()),
            Fate::Unknown(_) => (AuthStatus::Unavailable, CookieChanges::default()),
            Fate::Stands => match self.unwritten() {
                Some(session) => (AuthStatus::Refreshed, self.cookies_of(&session)),
                None => (AuthStatus::Valid, spoiled()),
            },
        }
    }

    /// Resolves when a stream of this session must end: the session did, or it was not seen for too long.
    pub fn stream_end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (sessions, state, access) = (self.sessions.clone(), self.state.clone(), self.access.clone());
        async move {
            let (Some(state), Some(access)) = (state, access) else { return std::future::pending().await };
            let inner = &sessions.inner;
            loop {
                let now = inner.now();
                let life = state.newest().map_or(access.life, |s| s.access.life);
                let seen = state.last_seen().max(access.received_at);
                let unseen_at = seen.plus(life).plus(UNSEEN);
                let over_at =
                    access.login.as_ref().map_or(unseen_at, |l| l.at.plus(inner.settings.absolute).min(unseen_at));
                let left = over_at.since(now);
                if left.is_zero() {
                    return;
                }
                // Looked at once a minute, so that a clock that is set is noticed.
                let look_again = left.min(Duration::from_secs(60));
                if tokio::time::timeout(look_again, state.until_ended()).await.is_ok() {
                    return;
                }
            }
        }
    }

    /// The login of the session that came in.
    pub(super) fn login(&self) -> Option<&Login> {
        let own = self.access.as_ref().and_then(|a| a.login.as_ref());
        own.or_else(|| self.refresh_grant().map(|r| &r.login))
    }

    /// The `Cookie` headers of the request.
    pub(super) fn brought(&self) -> impl Iterator<Item = &HeaderValue> {
        self.brought.iter()
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.sessions.inner
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_over(&mut self) {
        self.access = None;
        self.newer = None;
        self.fate = Fate::Over;
    }

    /// The newest refresh token known.
    pub(super) fn newest_refresh(&self) -> Option<Arc<RefreshGrant>> {
        self.newer_refresh(self.state.as_ref().and_then(|state| state.newest()))
    }

    /// The refresh token of `newest`, or the request's own where that is newer.
    fn newer_refresh(&self, newest: Option<Arc<Session>>) -> Option<Arc<RefreshGrant>> {
        match (newest.and_then(|session| session.refresh.clone()), self.refresh_grant()) {
            (Some(learned), Some(own)) if learned.generation < own.generation => Some(own.clone()),
            (Some(learned), _) => Some(learned),
            (None, own) => own.cloned(),
        }
    }

    /// Deletes every cookie of the session that came in, in all its parts; what another key sealed is left alone.
    pub(super) fn clearance(&self) -> CookieChanges {
        let jar = &self.inner().jar;
        let found = jar.find(self.brought.iter());
        let ours = |first: Option<&[u8]>| first.is_some_and(|v| self.inner().ring.parts_of(v).is_ok());
        let mut changes = CookieChanges::default();
        if !found.access.is_absent() && (!self.inner().settings.seal || ours(found.access.firsts().next())) {
            changes = changes.and(jar.clear(Token::Access, found.access.extent()));
        }
        if !found.refresh.is_absent() && ours(found.refresh.firsts().next()) {
            changes = changes.and(jar.clear(Token::Refresh, found.refresh.extent()));
        }
        changes
    }

    /// The cookies of `session`, and the deletion of parts that the request still had of a longer value.
    pub(super) fn cookies_of(&self, session: &Session) -> CookieChanges {
        let jar = &self.inner().jar;
        let found = jar.find(self.brought.iter());
        let stale = jar.clear_beyond(Token::Access, session.parts.access, found.access.extent()).and(jar.clear_beyond(
            Token::Refresh,
            session.parts.refresh,
            found.refresh.extent(),
        ));
        session.cookies.clone().and(stale)
    }

    async fn read(&mut self, now: Timestamp) {
        let inner = self.sessions.inner.clone();
        let brought = std::mem::take(&mut self.brought);
        let found = inner.jar.find(brought.iter());
        let refresh = self.keep(inner.read_refresh(&found, now));
        let access = if inner.settings.seal {
            inner.read_access(&found, now)
        } else {
            inner.read_raw_access(&found, self.client.key(), now).await
        };
        // What a session is worth whose refresh token does not tell.
        let alone = match access {
            Reading::Lapsed => Some(Fate::Over),
            Reading::Unchecked(wait) => Some(Fate::Unknown(Undecided::Unchecked(wait))),
            Reading::Absent | Reading::Opened(_) | Reading::Spoiled(_) => None,
        };
        let access = self.keep(access);
        drop(found);
        self.brought = brought;
        self.take(access, refresh);
        if self.access.is_some() || self.refresh.is_some() {
            self.fate = Fate::Stands;
            self.judge(&inner, now);
        } else if let Some(fate) = alone {
            self.fate = fate;
        }
    }

    /// What was read, if it opened; what is spoiled will be cleared.
    fn keep<T>(&mut self, reading: Reading<T>) -> Option<T> {
        match reading {
            Reading::Opened(opened) => Some(opened),
            Reading::Spoiled(clear) => {
                self.spoiled = std::mem::take(&mut self.spoiled).and(clear);
                None
            }
            Reading::Lapsed | Reading::Unchecked(_) | Reading::Absent => None,
        }
    }

    /// Puts the two tokens together; of two logins the later one counts.
    fn take(&mut self, access: Option<OpenedAccess>, refresh: Option<OpenedRefresh>) {
        let logins = (access.as_ref().and_then(|a| a.grant.login.as_ref()), refresh.as_ref().map(|r| &r.grant.login));
        let (keep_access, keep_refresh) = match logins {
            (Some(of_access), Some(of_refresh)) if of_access.sid != of_refresh.sid => {
                (of_access.at >= of_refresh.at, of_access.at < of_refresh.at)
            }
            _ => (true, true),
        };
        let (access, refresh) = (access.filter(|_| keep_access), refresh.filter(|_| keep_refresh));
        self.state = refresh.as_ref().map(|r| r.state.clone()).or_else(|| access.as_ref().map(|a| a.state.clone()));
        self.access = access.map(|a| a.grant);
        self.refresh = refresh;
    }

    /// Ends what has ended: by logout, by age, by idling.
    fn judge(&mut self, inner: &Inner, now: Timestamp) {
        let Some(state) = self.state.clone() else { return };
        let settings = &inner.settings;
        let is_over = state.has_ended()
            || self.access.as_ref().is_some_and(|access| check::is_over_by_access(access, now, settings))
            || self.refresh.as_ref().is_some_and(|refresh| check::is_over(&refresh.grant, now, settings));
        if is_over {
            return self.is_over();
        }
        state.see(now);
        // Whoever shows tokens whose successors were seen long ago is no late tab.
        self.is_stale = state.was_succeeded(self.own_generation(), now.minus(settings.refresh_grace));
        if self.is_stale {
            inner.metrics.stale_tokens.inc();
            tracing::warn!(target: "audit", sid = ?state.sid, "tokens were shown whose successors are in use: stolen?");
        }
    }

    fn refresh_grant(&self) -> Option<&Arc<RefreshGrant>> {
        match &self.newer {
            Some(session) if session.refresh.is_some() => session.refresh.as_ref(),
            _ => self.refresh.as_ref().map(|r| &r.grant),
        }
    }

    /// What a refresh starts from: the newest refresh token that the session's age allows, and the highest generation known of it. `newest` is what was just
    /// found not good enough: looked up anew it might be what another request has brought meanwhile, and that would be refreshed for nothing.
    fn refreshable(&self, newest: Option<Arc<Session>>, now: Timestamp) -> Option<(Arc<RefreshGrant>, u32)> {
        let grant = self.newer_refresh(newest).filter(|_| !self.is_stale)?;
        if check::is_over(&grant, now, &self.inner().settings) {
            return None;
        }
        let of_access = self.access.as_ref().map_or(0, |a| a.generation);
        let known = grant.generation.max(of_access);
        Some((grant, known))
    }

    /// The newest tokens known, for whoever may have them.
    fn newest(&self) -> Option<Arc<Session>> {
        self.state.as_ref()?.newest().filter(|_| !self.is_stale)
    }

    /// The access token's cookie goes with its expiry: tokens of the same generation are as good as newer ones then.
    fn is_beyond_own(&self, newest: &Session) -> bool {
        let (newest, own) = (newest.access.generation, self.own_generation());
        newest > own || (self.access.is_none() && newest == own)
    }

    /// The generation of the tokens that came in, the lower where they differ: it is made whole then. A raw access token does not say its generation.
    fn own_generation(&self) -> u32 {
        let of_access = self.access.as_ref().filter(|access| access.login.is_some()).map(|access| access.generation);
        let of_refresh = self.refresh.as_ref().map(|refresh| refresh.grant.generation);
        of_access.into_iter().chain(of_refresh).min().unwrap_or(u32::MAX)
    }

    fn adopt(&mut self, session: Arc<Session>) {
        self.access = Some(session.access.clone());
        self.newer = Some(session);
        self.fate = Fate::Stands;
    }

    /// The session whose cookies the answer must carry: newer than what came in, and the newest known.
    fn unwritten(&self) -> Option<Arc<Session>> {
        let state = self.state.as_ref()?;
        if self.newer.is_none() && self.flight.is_none() && !state.knows_newer_than(self.own_generation()) {
            return None;
        }
        if state.has_ended() || self.is_stale {
            return None;
        }
        let landed = self.flight.as_ref().and_then(Flight::landed);
        // A flight that brought nothing leaves what the visitor already has.
        let newest = state.newest().filter(|s| s.access.generation > self.own_generation());
        [self.newer.clone(), landed, newest].into_iter().flatten().max_by_key(|s| s.access.generation)
    }
}
