//! Finds or requests a fresh access token: before a request is forwarded, on `POST /refresh`, and after a 401 from the
//! upstream.

use std::{sync::Arc, time::Duration};

use super::{After401, Visit};
use crate::{
    authority::ClientDevice,
    clock::Timestamp,
    session::{
        check::{self, Freshness},
        end::EndReason,
        grant::{AccessGrant, RefreshGrant, Session},
        refresh::{
            in_flight::PendingRefresh,
            outcome::{FRESH_RESULT, RefreshOutcome, Want},
        },
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
        let shared = self.sessions.shared.clone();
        let now = shared.now();
        let freshness = self.access.as_ref().map_or(Freshness::Expired, |access| check::freshness(access, now));
        if self.outcome != SessionOutcome::Alive || freshness == Freshness::Fresh {
            return;
        }
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.replaces_own(newest))
            && check::freshness(&newest.access, now) == Freshness::Fresh
        {
            return self.adopt(newest);
        }
        let Some((grant, known)) = self.refresh_start(newest, now) else {
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
        let max_wait = match freshness {
            Freshness::Fresh | Freshness::Due => shared.max_wait_ahead(),
            Freshness::Expired => WAIT_NEEDED,
        };
        let refresh = self.join_refresh(grant, known, Want::Newer, self.access.clone());
        match (refresh.outcome_within(max_wait).await, freshness) {
            (RefreshOutcome::Refreshed(session), _) => {
                self.refreshed_here = true;
                self.adopt(session);
            }
            (RefreshOutcome::Ended | RefreshOutcome::SignedOut, _) => self.mark_ended(),
            // The access token is still valid: the request is forwarded with it.
            (RefreshOutcome::Unavailable(_), Freshness::Fresh | Freshness::Due) => {}
            (RefreshOutcome::Unavailable(retry_after), Freshness::Expired) => self.mark_unanswered(retry_after),
        }
    }

    /// Refreshes the tokens also if they are not due (`POST /refresh`).
    pub async fn refresh_now(&mut self) {
        let now = self.sessions.shared.now();
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
        let Some((grant, known)) = self.refresh_start(newest, now) else {
            self.end_if_reused().await;
            // Without a refresh token a valid access token stays in use.
            return self.ensure().await;
        };
        let refresh = self.join_refresh(grant, known, Want::Fresh, self.access.clone());
        match refresh.outcome_within(WAIT_NEEDED).await {
            RefreshOutcome::Refreshed(session) => self.adopt(session),
            RefreshOutcome::Ended | RefreshOutcome::SignedOut => self.mark_ended(),
            RefreshOutcome::Unavailable(retry_after) => self.mark_unanswered(retry_after),
        }
    }

    /// The upstream answered 401 to the access token: finds a newer one, never the rejected one.
    pub async fn after_401(&mut self) -> After401 {
        let shared = self.sessions.shared.clone();
        let now = shared.now();
        let (Some(rejected), Some(state)) = (self.access.clone(), self.state.clone()) else { return After401::Pass };
        let newest = self.newest();
        if let Some(newest) = newest.clone().filter(|newest| self.replaces_own(newest))
            && newest.access.generation > rejected.generation
            && newest.access.token != rejected.token
            && check::freshness(&newest.access, now) != Freshness::Expired
        {
            self.adopt(newest);
            return After401::Retry;
        }
        if self.refreshed_here {
            return After401::NoNewToken;
        }
        let Some((grant, known)) = self.refresh_start(newest, now) else { return After401::NoNewToken };
        // Only a request that begins a refresh is counted: a hundred 401s at once cause one refresh.
        if shared.in_flight.find(grant.digest).is_none() && !state.may_refresh_after_401(now) {
            return After401::Pass;
        }
        let refresh = self.join_refresh(grant, known, Want::Newer, Some(rejected.clone()));
        match refresh.outcome_within(WAIT_NEEDED).await {
            RefreshOutcome::Refreshed(session) if session.access.token != rejected.token => {
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
            RefreshOutcome::Unavailable(_) => After401::Pass,
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

    fn join_refresh(
        &mut self,
        grant: Arc<RefreshGrant>,
        known: Generation,
        want: Want,
        old_access: Option<Arc<AccessGrant>>,
    ) -> PendingRefresh {
        let refresh = self.sessions.shared.refresh(grant, known, want, old_access, self.client.clone());
        self.joined_refresh = Some(refresh.clone());
        refresh
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

    fn mark_unanswered(&mut self, retry_after: Duration) {
        self.access = None;
        self.outcome = SessionOutcome::Unknown(Undecided::Unanswered(retry_after));
    }
}
