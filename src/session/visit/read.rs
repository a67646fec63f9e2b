//! Reads a request's session from its cookies, and checks whether it has ended.

use http::HeaderMap;

use super::{CarriedToken, RequestCookies, Visit};
use crate::{
    client::Client,
    clock::Timestamp,
    session::{
        check,
        cookies::CookieChanges,
        open::{IssuedUnsealed, Reading},
        opened::{OpenedAccess, OpenedRefresh},
        shared::{Sessions, Shared},
        status::{SessionOutcome, Undecided},
    },
};

impl Sessions {
    /// Reads the session from a request's `Cookie` headers.
    pub async fn visit(&self, headers: &HeaderMap, client: &Client) -> Visit {
        let mut visit = Visit {
            sessions: self.clone(),
            client: client.clone(),
            cookies: RequestCookies::of(headers, &self.shared.jar),
            state: None,
            refresh: None,
            access: None,
            newer: None,
            joined_refresh: None,
            deletions: CookieChanges::default(),
            outcome: SessionOutcome::Absent,
            carried: CarriedToken::default(),
            refreshed_here: false,
            is_stale: false,
        };
        if !visit.cookies.is_empty() {
            visit.read(self.shared.now()).await;
        }
        visit
    }
}

impl Visit {
    async fn read(&mut self, now: Timestamp) {
        let shared = self.sessions.shared.clone();
        let cookies = std::mem::take(&mut self.cookies);
        let found = shared.jar.find(cookies.iter());
        let refresh = self.opened_cookie(shared.read_refresh(&found, now));
        let unsealed = refresh
            .as_ref()
            .and_then(|opened| opened.grant.access.map(|access| IssuedUnsealed { refresh: &opened.grant, access }));
        let access = if shared.settings.seal {
            shared.read_access(&found, now)
        } else {
            // Boxed, because it is large and most configurations seal the cookie.
            Box::pin(shared.read_unsealed_access(&found, unsealed, self.client.key(), now)).await
        };
        // The outcome for an access token without a refresh token.
        let without_refresh = match access {
            Reading::Expired => Some(SessionOutcome::Ended),
            Reading::Unchecked(wait) => Some(SessionOutcome::Unknown(Undecided::Unchecked(wait))),
            Reading::Absent | Reading::Opened(_) | Reading::Broken(_) => None,
        };
        let access = self.opened_cookie(access);
        drop(found);
        self.cookies = cookies;
        self.combine(access, refresh);
        if self.access.is_some() || self.refresh.is_some() {
            self.outcome = SessionOutcome::Alive;
            self.check_ended(&shared, now);
        } else if let Some(outcome) = without_refresh {
            self.outcome = outcome;
        }
    }

    /// The opened cookie, if it opened. A broken cookie is deleted with the answer.
    fn opened_cookie<T>(&mut self, reading: Reading<T>) -> Option<T> {
        match reading {
            Reading::Opened(opened) => Some(opened),
            Reading::Broken(deletion) => {
                self.deletions = std::mem::take(&mut self.deletions).and(deletion);
                None
            }
            Reading::Expired | Reading::Unchecked(_) | Reading::Absent => None,
        }
    }

    /// Combines the two tokens. If they are of different logins, only the token of the later login counts, so that no
    /// refresh gives one person the tokens of another. An unsealed access token does not say when its login was: one of
    /// another person counts only if the refresh token's session has ended, as after a login whose answer was cut.
    fn combine(&mut self, access: Option<OpenedAccess>, refresh: Option<OpenedRefresh>) {
        let (keep_access, keep_refresh) = match (&access, &refresh) {
            (Some(access), Some(refresh)) => {
                let of_refresh = &refresh.grant.login;
                match &access.grant.login {
                    Some(of_access) if of_access.sid != of_refresh.sid => {
                        (of_access.at >= of_refresh.at, of_access.at < of_refresh.at)
                    }
                    None if !refresh.grant.may_be_of(&access.grant) => {
                        (refresh.state.has_ended(), !refresh.state.has_ended())
                    }
                    Some(_) | None => (true, true),
                }
            }
            _ => (true, true),
        };
        let (access, refresh) = (access.filter(|_| keep_access), refresh.filter(|_| keep_refresh));
        self.state = refresh.as_ref().map(|r| r.state.clone()).or_else(|| access.as_ref().map(|a| a.state.clone()));
        self.access = access.map(|a| a.grant);
        self.refresh = refresh;
    }

    /// Marks the session as ended after a logout, past its age (`absolute`) or without a refresh for `idle`. Otherwise
    /// records the request in the session's state.
    fn check_ended(&mut self, shared: &Shared, now: Timestamp) {
        let Some(state) = self.state.clone() else { return };
        let settings = &shared.settings;
        let has_ended = state.has_ended()
            || self.access.as_ref().is_some_and(|access| check::has_ended_by_access(access, now, settings))
            || self.refresh.as_ref().is_some_and(|refresh| check::has_ended_by_refresh(&refresh.grant, now, settings));
        if has_ended {
            return self.mark_ended();
        }
        state.mark_seen(now);
        // A browser tab may send old tokens within the grace time. After it they come from a very old tab or are
        // stolen.
        self.is_stale = state.was_succeeded(self.own_generation(), now.minus(settings.refresh_grace));
        if self.is_stale {
            shared.metrics.stale_tokens.inc();
            tracing::warn!(
                target: "audit", sid = ?state.sid,
                "tokens were shown whose successors are in use: they may be stolen"
            );
        }
    }
}
