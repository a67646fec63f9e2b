//! The end of a session: its `sid` is stored as ended, its refresh results are deleted, its streams end, its tokens are
//! signed out.

use tokio_util::sync::CancellationToken;

use std::{sync::Arc, time::Duration};

use super::{
    digest::unsealed_sid,
    grant::{AccessGrant, Login, RefreshGrant, Session},
    shared::{Sessions, Shared},
};
use crate::{
    authority::{ClientDevice, Issued, SignOutRequest},
    backoff::Backoff,
    clock::Timestamp,
    store::Sid,
};

/// The waits between the tries to store an end.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));

/// Why a session ends. The audit log names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EndReason {
    /// The person logged out. Unless `SignedOutUnconfirmed` follows, the authority confirmed the sign-out.
    SignedOut,
    /// The person logged out and the authority did not confirm the sign-out: its tokens may still be valid there.
    SignedOutUnconfirmed,
    /// The same browser logged in again.
    Replaced,
    /// The authority refused the newest refresh token.
    Refused,
    /// The upstream answered 401 even to a new access token.
    Rejected,
    /// Its refreshed tokens do not fit into cookies.
    TooLarge,
    /// A refresh token was used again after its grace time: it may be stolen.
    Reused,
}

impl Sessions {
    /// Marks the states of sessions as ended when the store announces an end, from this instance or another one.
    pub(super) fn follow_endings(&self, dropped: CancellationToken) {
        let mut endings = self.shared.store.refreshes.endings();
        let shared = Arc::downgrade(&self.shared);
        self.shared.background.spawn(async move {
            use tokio::sync::broadcast::error::RecvError;
            loop {
                let received = tokio::select! {
                    () = dropped.cancelled() => return,
                    received = endings.recv() => received,
                };
                let ended = match received {
                    Ok(sid) => sid,
                    // Announcements were lost, and it is unknown which: every session with a state here is looked up.
                    Err(RecvError::Lagged(_)) => {
                        let Some(shared) = shared.upgrade() else { return };
                        let now = shared.now();
                        for state in shared.states.all() {
                            if shared.store.refreshes.has_ended(state.sid, now) {
                                state.end();
                            }
                        }
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                };
                let Some(shared) = shared.upgrade() else { return };
                if let Some(state) = shared.states.find(ended) {
                    state.end();
                }
            }
        });
    }
}

impl Shared {
    /// Ends a session here and, through the store, everywhere.
    pub(super) async fn end(&self, login: &Login, reason: EndReason) {
        let now = self.now();
        let state = self.states.find_or_create(login.sid, || false);
        let access_life = state.newest().map_or(Duration::from_secs(3600), |s| s.access.life);
        state.end();
        // The end is stored for as long as a token of the session may still be valid.
        let remembered = match reason {
            // The refresh token is invalid at the authority; an access token may be used until it expires.
            EndReason::SignedOut | EndReason::Refused => access_life.saturating_add(self.settings.longest_timeout),
            EndReason::SignedOutUnconfirmed
            | EndReason::Replaced
            | EndReason::Rejected
            | EndReason::TooLarge
            | EndReason::Reused => {
                self.settings.refresh_token_lifetime.max(access_life.saturating_add(self.settings.longest_timeout))
            }
        };
        tracing::info!(target: "audit", sid = ?login.sid, ?reason, provider = %login.provider, "session ended");
        self.remember_end(login.sid, now.plus(remembered), now).await;
    }

    /// Ends a session whose refresh token was reused, here and at the authority.
    pub(super) async fn end_reused(&self, grant: &RefreshGrant, from: &ClientDevice) {
        self.end(&grant.login, EndReason::Reused).await;
        let sign_out =
            SignOutRequest { refresh_token: Some(&grant.token), access_token: None, provider: &grant.login.provider };
        let signed_out = self.authority.sign_out(sign_out, from).await;
        tracing::warn!(
            target: "audit", sid = ?grant.login.sid, ?signed_out,
            "a refresh token was used again after its grace time: its session has ended"
        );
    }

    /// Stores the end of an unsealed access token, which could be sent without its refresh token.
    pub(super) async fn end_unsealed(&self, access: &AccessGrant) {
        let now = self.now();
        let sid = unsealed_sid(&access.token);
        self.states.find_or_create(sid, || false).end();
        self.remember_end(sid, access.expires_at.plus(self.settings.longest_timeout), now).await;
    }

    async fn remember_end(&self, sid: Sid, until: Timestamp, now: Timestamp) {
        let Err(error) = self.store.refreshes.end(sid, until, now).await else { return };
        tracing::error!(
            %error, ?sid,
            "the end of a session was not stored; it applies on this instance only until a later try succeeds"
        );
        self.metrics.store_errors.inc();
        let refreshes = self.store.refreshes.clone();
        let end = move |now| {
            let refreshes = refreshes.clone();
            async move { refreshes.end(sid, until, now).await }
        };
        self.store_later(("the end of a session", sid), BACKOFF, until, end, move |()| {
            tracing::info!(?sid, "the end of a session was stored at a later try");
        });
    }

    /// Signs out tokens from which no session was made.
    pub(super) async fn sign_out_issued(&self, issued: &Issued, provider: &str, from: &ClientDevice) {
        let sign_out = SignOutRequest {
            refresh_token: issued.refresh_token.as_ref(),
            access_token: Some(&issued.access_token),
            provider,
        };
        let signed_out = self.authority.sign_out(sign_out, from).await;
        tracing::info!(?signed_out, "tokens without a session were signed out");
    }

    /// Signs out tokens of a refresh whose session ended meanwhile.
    pub(super) async fn sign_out_after_end(&self, session: &Session, from: ClientDevice) {
        let Some(refresh) = &session.refresh else { return };
        let sign_out = SignOutRequest {
            refresh_token: Some(&refresh.token),
            access_token: Some(&session.access.token),
            provider: &refresh.login.provider,
        };
        let signed_out = self.authority.sign_out(sign_out, &from).await;
        tracing::info!(sid = ?refresh.login.sid, ?signed_out, "a refresh ended after its session; its tokens were signed out");
    }
}
