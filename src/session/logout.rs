//! Logout: the session ends here and in the fleet, and its newest tokens are signed out at the authority.

use std::{sync::Arc, time::Duration};

use super::{
    attempt::Attempts, cookies::CookieChanges, end::EndReason, refresh::outcome::RefreshOutcome, shared::Sessions,
    status::AuthStatus, visit::Visit,
};
use crate::{
    authority::{ClientDevice, SignOutRequest, SignedOut},
    client::Client,
    secret::IdToken,
};

/// How long a logout waits for a refresh in flight, which may sign its new tokens out itself.
const WAIT_FOR_REFRESH: Duration = Duration::from_secs(10);

/// A completed logout.
#[derive(Debug)]
pub struct LoggedOut {
    /// Deletes the session's cookies and login attempts. The device cookie stays.
    pub cookies: CookieChanges,
    /// `x-auth-status` of the answer.
    pub status: AuthStatus,
    /// The provider that the person had logged in with.
    pub provider: Option<Arc<str>>,
    /// The provider's ID token: `id_token_hint` of its logout (OpenID Connect RP-Initiated Logout 1.0 section 2).
    pub id_token: Option<IdToken>,
}

impl Sessions {
    /// Logs `client` out. First the session ends in the store, independent of the authority. Then the newest refresh
    /// token is signed out at the authority: by this logout, or by a refresh in flight that finds the session ended.
    pub async fn log_out(&self, visit: &mut Visit, client: &Client) -> LoggedOut {
        let shared = &self.shared;
        let cookies = visit.cookie_deletions().and(Attempts::new(shared).clear(visit.cookies()));
        if !shared.settings.seal
            && let Some(access) = visit.access()
        {
            shared.end_unsealed(access).await;
        }
        let Some(newest) = visit.newest_refresh() else {
            let login = visit.login().cloned();
            if let Some(login) = &login {
                shared.end(login, EndReason::SignedOutUnconfirmed).await;
            }
            // The provider has a session of its own, which its logout ends also without a refresh token.
            let id = visit.access().and_then(|access| access.id.as_ref());
            return LoggedOut {
                cookies,
                status: AuthStatus::Anonymous,
                id_token: id.map(|id| id.token.clone()),
                provider: login.map(|login| login.provider),
            };
        };
        // Another instance may have refreshed the session.
        let stored = shared.newest_stored(&newest, newest.generation).await.ok().flatten();
        let newest = stored.and_then(|session| session.refresh.clone()).unwrap_or(newest);
        let login = newest.login.clone();
        let access = visit.access().cloned();
        let refresh_in_flight = shared.in_flight.find(login.sid, newest.digest);
        // Before the sign-out: a refresh in flight that completes after this end signs its new tokens out.
        shared.end(&login, EndReason::SignedOut).await;
        let signed_out_by_refresh = match refresh_in_flight {
            Some(refresh) => matches!(refresh.outcome_within(WAIT_FOR_REFRESH).await, RefreshOutcome::SignedOut),
            None => false,
        };
        let sign_out = SignOutRequest {
            refresh_token: Some(&newest.token),
            access_token: access.as_ref().map(|a| &a.token),
            provider: &login.provider,
        };
        let from = ClientDevice::of(client, &login.device);
        // Unless the authority confirms the sign-out, the end is remembered for as long as the refresh token may be
        // valid.
        if signed_out_by_refresh || shared.authority.sign_out(sign_out, &from).await != SignedOut::Confirmed {
            shared.end(&login, EndReason::SignedOutUnconfirmed).await;
        }
        visit.mark_ended();
        LoggedOut {
            cookies,
            status: AuthStatus::Anonymous,
            provider: Some(login.provider.clone()),
            id_token: newest.id.as_ref().map(|id| id.token.clone()),
        }
    }
}
