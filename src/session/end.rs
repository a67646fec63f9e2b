//! The end of a session: by logout, by a new login, by refusal. Its `sid` is remembered, its results are dropped, its streams are cut.

use std::{sync::Arc, time::Duration};

use super::{
    AccessGrant, AuthStatus, CookieChanges, Inner, Login, RefreshGrant, Session, Sessions, Visit, later::Pauses,
    open::raw_sid, refresh::Outcome,
};
use crate::{
    authority::{ClientDevice, Issued, SignOutRequest, SignedOut},
    clock::Timestamp,
    secret::IdToken,
    store::Sid,
};

/// How long a logout waits for a refresh under way: it is told of the newest refresh token then.
const WAIT_FOR_FLIGHT: Duration = Duration::from_secs(10);

/// Before a store that is away is told of an end again.
const PAUSES: Pauses = Pauses { first: Duration::from_millis(250), longest: Duration::from_secs(30) };

/// Why a session ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    /// The person logged out; unless another reason follows, the authority confirmed it.
    SignedOut,
    /// The person logged out, and the authority did not confirm it: its tokens may live on.
    SignedOutHere,
    /// The same browser logged in anew.
    Replaced,
    /// The authority refused the newest refresh token.
    Refused,
    /// The upstream rejected even a fresh access token.
    Rejected,
    /// Its new tokens do not fit into cookies.
    Unkept,
    /// A refresh token of it was used again long after it was replaced.
    Reused,
}

/// A logout that is done.
#[derive(Debug)]
pub struct LoggedOut {
    /// Deletes the session's cookies; the device's stays.
    pub cookies: CookieChanges,
    /// How the session stood.
    pub status: AuthStatus,
    /// The provider the person had logged in with.
    pub provider: Option<Arc<str>>,
    /// Its ID token, as a hint for RP-initiated logout.
    pub id_token: Option<IdToken>,
}

impl Sessions {
    /// Logs out: the session ends here whatever the authority answers; a refresh under way is joined, so that the newest refresh token is signed out.
    pub async fn log_out(&self, visit: &mut Visit) -> LoggedOut {
        let inner = &self.inner;
        let cookies = visit.clearance().and(self.attempts().clear(visit.brought()));
        if !inner.settings.seal
            && let Some(access) = visit.access()
        {
            inner.end_raw(access).await;
        }
        let Some(newest) = visit.newest_refresh() else {
            if let Some(login) = visit.login().cloned() {
                inner.end(&login, Reason::SignedOutHere).await;
            }
            return LoggedOut { cookies, status: AuthStatus::Anonymous, provider: None, id_token: None };
        };
        // Another instance may have refreshed meanwhile.
        let stored = inner.newest_stored(&newest, newest.generation).await.ok().flatten();
        let newest = stored.and_then(|session| session.refresh.clone()).unwrap_or(newest);
        let login = newest.login.clone();
        let access = visit.access().cloned();
        let under_way = inner.flights.of(newest.digest);
        // First of all nobody else may use it; a flight that lands from here on signs its own tokens out.
        inner.end(&login, Reason::SignedOut).await;
        let signed_out_by_flight = match under_way {
            Some(flight) => matches!(flight.outcome_within(WAIT_FOR_FLIGHT).await, Outcome::SignedOut),
            None => false,
        };
        let sign_out = SignOutRequest {
            refresh_token: Some(&newest.token),
            access_token: access.as_ref().map(|a| &a.token),
            provider: &login.provider,
        };
        let from = ClientDevice::of(visit.client(), &login.device);
        // Unless the authority says that the refresh token is dead, the end is remembered for as long as that could live.
        if signed_out_by_flight || inner.authority.sign_out(sign_out, &from).await != SignedOut::Confirmed {
            inner.end(&login, Reason::SignedOutHere).await;
        }
        visit.is_over();
        LoggedOut {
            cookies,
            status: AuthStatus::Anonymous,
            provider: Some(login.provider.clone()),
            id_token: newest.id_token.clone(),
        }
    }

    /// Follows the sessions that end, here and elsewhere in the fleet.
    pub(super) fn watch_endings(&self) {
        let mut endings = self.inner.store.refreshes.endings();
        let inner = Arc::downgrade(&self.inner);
        self.inner.background.spawn(async move {
            use tokio::sync::broadcast::error::RecvError;
            loop {
                let ended = match endings.recv().await {
                    Ok(sid) => sid,
                    // Which were missed nobody can say: every session that is known here is looked up.
                    Err(RecvError::Lagged(_)) => {
                        let Some(inner) = inner.upgrade() else { return };
                        let now = inner.now();
                        for state in inner.states.all() {
                            if inner.store.refreshes.has_ended(state.sid, now) {
                                state.end();
                            }
                        }
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                };
                let Some(inner) = inner.upgrade() else { return };
                if let Some(state) = inner.states.known(ended) {
                    state.end();
                }
            }
        });
    }
}

impl Inner {
    /// Ends a session here and, through the store, everywhere.
    pub(super) async fn end(&self, login: &Login, reason: Reason) {
        let now = self.now();
        let state = self.states.of(login.sid, || false);
        let access_life = state.newest().map_or(Duration::from_secs(3600), |s| s.access.life);
        state.end();
        let remembered = match reason {
            // The refresh token is dead, but an access token may be under way until it expires.
            Reason::SignedOut | Reason::Refused => access_life + self.settings.longest_timeout,
            Reason::SignedOutHere | Reason::Replaced | Reason::Rejected | Reason::Unkept | Reason::Reused => {
                self.settings.refresh_token_lifetime.max(access_life + self.settings.longest_timeout)
            }
        };
        tracing::info!(target: "audit", sid = ?login.sid, ?reason, provider = %login.provider, "session ended");
        self.remember_end(login.sid, now.plus(remembered), now).await;
    }

    /// Ends a session that two have, here and at the authority.
    pub(super) async fn end_reused(&self, grant: &RefreshGrant, from: &ClientDevice) {
        self.end(&grant.login, Reason::Reused).await;
        let sign_out =
            SignOutRequest { refresh_token: Some(&grant.token), access_token: None, provider: &grant.login.provider };
        let signed_out = self.authority.sign_out(sign_out, from).await;
        tracing::warn!(target: "audit", sid = ?grant.login.sid, ?signed_out, "a refresh token was used again: its session is over everywhere");
    }

    /// Ends what a raw access token is worth without its refresh token.
    async fn end_raw(&self, access: &AccessGrant) {
        let now = self.now();
        let sid = raw_sid(&access.token);
        self.states.of(sid, || false).end();
        self.remember_end(sid, access.expires_at.plus(self.settings.longest_timeout), now).await;
    }

    async fn remember_end(&self, sid: Sid, until: Timestamp, now: Timestamp) {
        let Err(error) = self.store.refreshes.end(sid, until, now).await else { return };
        tracing::error!(%error, ?sid, "the end of a session was not stored; it holds on this instance, and is tried again");
        self.metrics.store_errors.inc();
        let refreshes = self.store.refreshes.clone();
        let end = move |now| {
            let refreshes = refreshes.clone();
            async move { refreshes.end(sid, until, now).await }
        };
        self.store_later(PAUSES, until, end, move |()| tracing::info!(?sid, "the end of a session was stored at last"));
    }

    /// Signs out tokens that nobody will hold.
    pub(super) async fn sign_out_issued(&self, issued: &Issued, provider: &str, from: &ClientDevice) {
        let sign_out = SignOutRequest {
            refresh_token: issued.refresh_token.as_ref(),
            access_token: Some(&issued.access_token),
            provider,
        };
        let signed_out = self.authority.sign_out(sign_out, from).await;
        tracing::info!(?signed_out, "tokens that could not be kept were given back");
    }

    /// Signs out tokens that came too late for anyone.
    pub(super) async fn sign_out_quietly(&self, session: &Session, from: ClientDevice) {
        let Some(refresh) = &session.refresh else { return };
        let sign_out = SignOutRequest {
            refresh_token: Some(&refresh.token),
            access_token: Some(&session.access.token),
            provider: &refresh.login.provider,
        };
        let signed_out = self.authority.sign_out(sign_out, &from).await;
        tracing::info!(sid = ?refresh.login.sid, ?signed_out, "a refresh landed after its session's end");
    }
}
