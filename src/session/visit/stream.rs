//! When a stream (WebSocket, server-sent events) must end because its session has ended.

use std::{future::Future, time::Duration};

use super::Visit;

/// A stream ends if its session had no request for the lifetime of its access token plus this time.
const UNSEEN_LIMIT: Duration = Duration::from_secs(3600);
/// How often the clock is read, so that a change of the system clock takes effect.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

impl Visit {
    /// Resolves when a stream of this session must end: the session has ended, is past its `absolute` age, or
    /// had no request for too long. Never resolves without a session.
    pub fn stream_end(&self) -> impl Future<Output = ()> + Send + 'static {
        let (sessions, state, access) = (self.sessions.clone(), self.state.clone(), self.access.clone());
        async move {
            let (Some(state), Some(access)) = (state, access) else { return std::future::pending().await };
            let shared = &sessions.shared;
            loop {
                let life = state.newest().map_or(access.life, |newest| newest.access.life);
                let last_seen = state.last_seen().max(access.received_at);
                let unseen_at = last_seen.plus(life).plus(UNSEEN_LIMIT);
                let end = access
                    .login
                    .as_ref()
                    .map_or(unseen_at, |login| login.at.plus(shared.settings.absolute).min(unseen_at));
                let remaining = end.since(shared.now());
                if remaining.is_zero() {
                    return;
                }
                if tokio::time::timeout(remaining.min(CLOCK_CHECK), state.until_ended()).await.is_ok() {
                    return;
                }
            }
        }
    }
}
