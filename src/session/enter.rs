//! From the proof of who someone is to a session, for every way to log in.

use std::sync::Arc;

use serde_json::Value;

use super::{BeginError, CookieChanges, NewLogin, Session, Sessions, Visit};
use crate::{
    authority::{ClientDevice, IssueError, Proof},
    telemetry,
};

/// A session that has just begun.
#[derive(Debug)]
pub struct Entered {
    /// It.
    pub session: Arc<Session>,
    /// Its cookies.
    pub cookies: CookieChanges,
}

/// Why a proof brought no session.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The authority issued nothing.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// What it issued makes no session.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

impl Sessions {
    /// Lets the authority issue tokens for `proof` and begins a session with them, in place of the one that came in. `method` is what the session calls its provider.
    pub async fn enter(
        &self,
        visit: &mut Visit,
        proof: Proof,
        method: &str,
        from: ClientDevice,
    ) -> Result<Entered, EnterError> {
        let issued = self.inner.authority.issue(proof, &from).await?;
        let (client, device) = (from.client.address(), from.device);
        let device_id = device.id;
        let login = NewLogin { issued, provider: Arc::from(method), device };
        let (session, cookies) = self.begin(login, visit).await?;
        self.remember_device(device_id).await;
        let sid = session.access.login.as_ref().map(|login| tracing::field::debug(login.sid));
        let subject = session.access.claims.get("sub").and_then(Value::as_str).map(masked);
        tracing::info!(target: "audit", method, sid, subject, device = %device_id, %client, "login succeeded");
        self.inner.metrics.login(method, telemetry::Login::Ok);
        Ok(Entered { session, cookies })
    }
}

/// The end of a subject, which is what differs: enough to find a person again whom one knows, and no address where it is one.
fn masked(subject: &str) -> String {
    let length = subject.chars().count();
    let shown = (length / 2).min(4);
    format!("***{}", subject.chars().skip(length - shown).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_subject_at_most_half_and_four_characters_are_shown() {
        for (subject, shown) in
            [("", "***"), ("7", "***"), ("demo", "***mo"), ("sms|+821012345678", "***5678"), ("홍길동이다", "***이다")]
        {
            assert_eq!(masked(subject), shown);
        }
    }
}
