//! Finds or requests a fresh access token: before a request is forwarded, on `POST /refresh`, and after a 401 from the
//! upstream.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{After401, CarriedToken, Visit};
use crate::{
    authority::ClientDevice,
    clock::Timestamp,
    session::{
        check::{self, Freshness},
        end::EndReason,
        grant::{AccessGrant, RefreshGrant, Session},
        refresh::outcome::{FRESH_RESULT, RefreshOutcome, Want},
        settings::StoreDown,
        status::{SessionOutcome, Undecided},
    },
    store::Generation,
};

/// How long a request without a usable access token waits for a refresh.
const WAIT_NEEDED: Duration = Duration::from_secs(10);

impl Visit {
    /// Makes sure that the access token is fresh: refreshes it if it is missing, expired or due.
    pub async fn ensure(&mut self) {
        self.ensure_to_carry(CarriedToken::Access).await;
    }

    /// Makes sure that the session's tokens are fresh, that which the request is to carry included.
    pub async fn ensure_to_carry(&mut self, carried: CarriedToken) {
        self.carried = carried;
        let shared = self.sessions.shared.clone();
        let now = shared.now();
        let freshness = self.freshness(now);
        if self.outcome != SessionOutcome::Alive || freshness == Freshness::Fresh {
            return;
        }
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.replaces_own(newest))
            && self.freshness_of(&newest.access, newest.refresh.as_ref(), now) == Freshness::Fresh
        {
            return self.adopt(newest);
        }
        let Some(start) = self.refresh_start(newest, now) else {
            if freshness == Freshness::Expired {
                self.end_if_reused().await;
                self.access = None;
                self.outcome = SessionOutcome::Ended;
            }
            return;
        };
        if freshness == Freshness::Due && shared.is_store_unreachable() && shared.settings.store_down == StoreDown::Wait
        {
            return;
        }
        let begun = Instant::now();
        let needed = Waiting::Needed(begun + WAIT_NEEDED);
        let waiting = match freshness {
            Freshness::Fresh | Freshness::Due => Waiting::Ahead(begun + shared.max_wait_ahead()),
            Freshness::Expired => needed,
        };
        let mut outcome = self.refresh(start.clone(), Want::Newer, self.access.clone(), waiting).await;
        // The token ended while the request waited ahead of that.
        if freshness == Freshness::Due && outcome.is_open() && self.freshness(shared.now()) == Freshness::Expired {
            outcome = self.refresh(start, Want::Newer, self.access.clone(), needed).await;
        }
        match outcome {
            RefreshOutcome::Refreshed(session) => {
                self.refreshed_here = true;
                self.adopt(session);
                self.log_missing_id_token();
            }
            RefreshOutcome::Ended | RefreshOutcome::SignedOut => self.mark_ended(),
            RefreshOutcome::Held(retry_after)
            | RefreshOutcome::TooOften(retry_after)
            | RefreshOutcome::Unavailable(retry_after) => {
                // A token with time left is used, unless that has passed while the request waited.
                if self.freshness(shared.now()) == Freshness::Expired {
                    self.mark_undecided(Undecided::Unanswered(retry_after));
                }
            }
        }
    }

    /// Refreshes the tokens also if they are not due (`POST /refresh`).
    pub async fn refresh_now(&mut self) {
        let shared = self.sessions.shared.clone();
        let now = shared.now();
        if self.outcome != SessionOutcome::Alive {
            return;
        }
        // A tab that still sends the old cookies gets the tokens of their refresh, also if that was long ago.
        let own = self.refresh.as_ref().map(|r| r.grant.digest);
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.replaces_own(newest))
            && check::freshness(&newest.access, now) != Freshness::Expired
            && (newest.refresh.as_ref().map(|r| r.digest) != own || now.since(newest.obtained_at) <= FRESH_RESULT)
        {
            return self.adopt(newest);
        }
        if self.access.as_ref().is_some_and(|access| check::is_settling(access, now)) {
            return;
        }
        let Some(start) = self.refresh_start(newest.clone(), now) else {
            self.end_if_reused().await;
            // Without a refresh token a valid access token stays in use.
            return self.ensure().await;
        };
        let waiting = Waiting::Needed(Instant::now() + WAIT_NEEDED);
        match self.refresh(start, Want::Fresh, self.access.clone(), waiting).await {
            RefreshOutcome::Refreshed(session) => self.adopt(session),
            RefreshOutcome::Ended | RefreshOutcome::SignedOut => self.mark_ended(),
            RefreshOutcome::TooOften(retry_after) => {
                let now = shared.now();
                let is_live = |access: &AccessGrant| check::freshness(access, now) != Freshness::Expired;
                if let Some(newest) =
                    newest.filter(|newest| self.replaces_own(newest)).filter(|newest| is_live(&newest.access))
                {
                    self.adopt(newest);
                } else if !self.access.as_deref().is_some_and(is_live) {
                    self.mark_undecided(Undecided::AskedTooOften(retry_after));
                }
            }
            RefreshOutcome::Held(retry_after) | RefreshOutcome::Unavailable(retry_after) => {
                self.mark_undecided(Undecided::Unanswered(retry_after));
            }
        }
    }

    /// The upstream answered 401 to the token: finds a newer one, never the rejected one.
    pub async fn after_401(&mut self) -> After401 {
        let shared = self.sessions.shared.clone();
        let now = shared.now();
        let (Some(rejected), Some(state)) = (self.access.clone(), self.state.clone()) else { return After401::Pass };
        if check::is_settling(&rejected, now) {
            return After401::Pass;
        }
        let id_of = |grant: &RefreshGrant| grant.id.as_ref().map(|id| id.token.clone());
        let rejected_id = self.refresh_grant().and_then(|grant| id_of(grant));
        let carried = self.carried;
        let is_other = |session: &Session| match carried {
            CarriedToken::Access => session.access.token != rejected.token,
            CarriedToken::Id => session.refresh.as_ref().and_then(|grant| id_of(grant)) != rejected_id,
        };
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.replaces_own(newest))
            && newest.access.generation > rejected.generation
            && is_other(&newest)
            && check::freshness(&newest.access, now) != Freshness::Expired
        {
            self.adopt(newest);
            return After401::Retry;
        }
        if self.refreshed_here {
            return After401::NoNewToken;
        }
        let Some(start) = self.refresh_start(newest, now) else { return After401::NoNewToken };
        // Only a request that begins a refresh is counted: a hundred 401s at once cause one refresh.
        if shared.in_flight.find(start.0.login.sid, start.0.digest).is_none() && !state.may_refresh_after_401(now) {
            return After401::Pass;
        }
        let waiting = Waiting::Needed(Instant::now() + WAIT_NEEDED);
        match self.refresh(start, Want::Newer, Some(rejected.clone()), waiting).await {
            RefreshOutcome::Refreshed(session) if is_other(&session) => {
                self.refreshed_here = true;
                self.adopt(session);
                After401::Retry
            }
            RefreshOutcome::Refreshed(session) => {
                self.adopt(session);
                After401::NoNewToken
            }
            RefreshOutcome::Ended | RefreshOutcome::SignedOut => {
                self.mark_ended();
                After401::NoNewToken
            }
            // The token has not expired, and it is not known that the session has ended.
            RefreshOutcome::Held(_) | RefreshOutcome::TooOften(_) | RefreshOutcome::Unavailable(_) => After401::Pass,
        }
    }

    /// Ends the session because the upstream rejected even a new access token.
    pub async fn end_rejected(&mut self) {
        if let Some(login) = self.login().cloned() {
            self.sessions.shared.end(&login, EndReason::Rejected).await;
        }
        self.mark_ended();
    }

    /// Ends the session if its refresh token was replaced longer ago than the grace time: then two parties have it.
    /// Only if the gateway issues the refresh tokens (RFC 9700 section 4.14.2). Another authority is not asked with an
    /// old refresh token, because it might treat an old tab as theft.
    async fn end_if_reused(&self) {
        let shared = self.sessions.shared.clone();
        let Some(grant) = self.refresh.as_ref().map(|refresh| refresh.grant.clone()) else { return };
        if !self.is_stale || !shared.authority.detects_reuse() {
            return;
        }
        let from = ClientDevice::of(&self.client, &grant.login.device);
        // A separate task, so that it completes even if the client disconnects.
        let ended = shared.clone().background.spawn(async move { shared.end_reused(&grant, &from).await });
        let _ = ended.await;
    }

    /// Waits for a refresh, and for further ones if it fails and the next try comes soon enough.
    async fn refresh(
        &mut self,
        (grant, known): (Arc<RefreshGrant>, Generation),
        want: Want,
        old_access: Option<Arc<AccessGrant>>,
        waiting: Waiting,
    ) -> RefreshOutcome {
        let (deadline, is_patient) = match waiting {
            Waiting::Ahead(deadline) => (deadline, false),
            Waiting::Needed(deadline) => (deadline, true),
        };
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if is_patient { left } else { Duration::ZERO };
            let (shared, client) = (&self.sessions.shared, self.client.clone());
            let refresh = shared.refresh(grant.clone(), known, want, old_access.clone(), client, patience);
            self.joined_refresh = Some(refresh.clone());
            let outcome = refresh.outcome_within(left).await;
            let left = deadline.saturating_duration_since(Instant::now());
            match outcome {
                // The next refresh waits until it may ask.
                RefreshOutcome::Held(pause) if is_patient && pause < left => {}
                // It was the refresh of a `POST /refresh`, whose count does not concern this request.
                RefreshOutcome::TooOften(_) if want == Want::Newer && !left.is_zero() => {}
                outcome => return outcome,
            }
        }
    }

    /// How fresh the token is that the request is to carry.
    fn freshness(&self, now: Timestamp) -> Freshness {
        let Some(access) = &self.access else { return Freshness::Expired };
        self.freshness_of(access, self.refresh_grant(), now)
    }

    fn freshness_of(&self, access: &AccessGrant, refresh: Option<&Arc<RefreshGrant>>, now: Timestamp) -> Freshness {
        let of_access = check::freshness(access, now);
        match (self.carried, refresh) {
            (CarriedToken::Id, Some(refresh)) => {
                of_access.max(check::id_freshness(refresh, now, &self.sessions.shared.settings))
            }
            (CarriedToken::Id, None) => of_access.max(check::lone_id_freshness(access, now)),
            (CarriedToken::Access, _) => of_access,
        }
    }

    /// Logs that a refresh brought no ID token for a request that is to carry one.
    fn log_missing_id_token(&self) {
        if self.carried == CarriedToken::Id
            && self.id_token().is_none()
            && let Some(grant) = self.refresh_grant().filter(|grant| grant.id.is_some())
        {
            tracing::warn!(
                sid = ?grant.login.sid, provider = %grant.login.provider,
                "the ID token has expired and the refresh brought no new one: requests to upstreams with \
                 bearer = \"id\" carry no token; use bearer = \"access\", or a provider that renews ID tokens"
            );
        }
    }

    /// What a refresh starts from: the newest refresh token, unless the session has ended by age, and the higher of its
    /// generation and the access token's. `newest` are the tokens that the caller has found unsuitable. They are not
    /// looked up again here, because a refresh for another request may have ended meanwhile, and its tokens must not be
    /// refreshed at once.
    fn refresh_start(&self, newest: Option<Arc<Session>>, now: Timestamp) -> Option<(Arc<RefreshGrant>, Generation)> {
        let grant = self.newer_refresh(newest).filter(|_| !self.is_stale)?;
        if check::has_ended_by_refresh(&grant, now, &self.sessions.shared.settings) {
            return None;
        }
        let of_access = self.access.as_ref().map_or(0, |a| a.generation);
        let known = grant.generation.max(of_access);
        Some((grant, known))
    }

    /// The newest tokens on this instance; `None` for a request with stale tokens, which must not get them.
    fn newest(&self) -> Option<Arc<Session>> {
        self.state.as_ref()?.newest().filter(|_| !self.is_stale)
    }

    /// True if these tokens are newer than the request's, or of the same generation if its access token's cookie has
    /// expired.
    fn replaces_own(&self, newest: &Session) -> bool {
        let (newest, own) = (newest.access.generation, self.own_generation());
        newest > own || (self.access.is_none() && newest == own)
    }

    fn adopt(&mut self, session: Arc<Session>) {
        self.access = Some(session.access.clone());
        self.newer = Some(session);
        self.outcome = SessionOutcome::Alive;
    }

    fn mark_undecided(&mut self, why: Undecided) {
        self.access = None;
        self.outcome = SessionOutcome::Unknown(why);
    }
}

/// Until when a request waits for a refresh.
#[derive(Clone, Copy)]
enum Waiting {
    /// Its token is still valid. It does not wait until the authority may be asked.
    Ahead(Instant),
    /// It has no valid token.
    Needed(Instant),
}
