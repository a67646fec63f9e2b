//! Begins sessions: the authority issues tokens for a proof, and a session is made from them. Every login method ends
//! with this.

use std::sync::Arc;

use serde_json::Value;

use super::{
    cookies::CookieChanges,
    end::EndReason,
    grant::{Login, Session},
    issue::BeginError,
    shared::Sessions,
    visit::Visit,
};
use crate::{
    authority::{ClientDevice, Device, IssueError, Issued, Proof},
    client::Client,
    store::Sid,
    telemetry,
};

/// A login that succeeded.
#[derive(Debug)]
pub struct NewLogin {
    /// The tokens that the authority issued.
    pub issued: Issued,
    /// The provider's name, or `credentials`.
    pub provider: Arc<str>,
    /// The device that was sent to the authority.
    pub device: Device,
}

/// A session that has just begun.
#[derive(Debug)]
pub struct Entered {
    /// The new session.
    pub session: Arc<Session>,
    /// For the answer: the session's cookies and the device's.
    pub cookies: CookieChanges,
}

/// Why no session began for a proof.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The authority issued no tokens.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// No session can be made from the tokens that it issued.
    #[error(transparent)]
    Begin(#[from] BeginError),
}

impl Sessions {
    /// Lets the authority issue tokens for `proof` and begins a session with them. The session of `visit`, if any,
    /// ends. `method` is the name of the login method: the session's `provider`.
    pub async fn enter(
        &self,
        visit: &mut Visit,
        proof: Proof,
        method: &str,
        from: ClientDevice,
    ) -> Result<Entered, EnterError> {
        let issued = self.shared.authority.issue(proof, &from).await?;
        let (client, device) = (from.client, from.device);
        let device_id = device.id;
        let login = NewLogin { issued, provider: Arc::from(method), device };
        let (session, cookies) = self.begin(login, visit).await?;
        self.remember_device(device_id, client.key()).await;
        let client = client.address();
        let sid = session.access.login.as_ref().map(|login| tracing::field::debug(login.sid));
        let subject = session.access.claims.get("sub").and_then(Value::as_str).map(masked);
        tracing::info!(target: "audit", method, sid, subject, device = %device_id, %client, "login succeeded");
        self.shared.metrics.login(method, telemetry::LoginResult::Ok);
        Ok(Entered { session, cookies })
    }

    /// Begins a session and ends that of `replaced`, if any. The cookies are for the answer.
    pub async fn begin(
        &self,
        login: NewLogin,
        replaced: &mut Visit,
    ) -> Result<(Arc<Session>, CookieChanges), BeginError> {
        let shared = &self.shared;
        let now = shared.now();
        let begun = Login { sid: Sid(shared.random.bytes()), at: now, provider: login.provider, device: login.device };
        let device = begun.device.id;
        let replacing = begun.clone();
        let session = match shared.new_session(begun, &login.issued, replaced.client().key(), now) {
            Ok(session) => session,
            Err(error) => {
                tracing::error!(%error, "no session was made from the tokens of a login");
                let client = Client::at(replaced.client().address());
                let from = ClientDevice { client, device: replacing.device };
                shared.sign_out_issued(&login.issued, &replacing.provider, &from).await;
                return Err(error);
            }
        };
        if let Some(old) = replaced.login().cloned() {
            shared.end(&old, EndReason::Replaced).await;
        }
        let cookies = replaced.cookies_of(&session).and(shared.jar.set_device(device));
        Ok((session, cookies))
    }
}

/// `***` and the end of a subject, at most half of it and 4 characters: enough to recognise a person in the log,
/// without the whole address if the subject is one.
fn masked(subject: &str) -> String {
    let length = subject.chars().count();
    let shown = (length / 2).min(4);
    format!("***{}", subject.chars().skip(length - shown).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_half_and_four_characters_of_a_subject_are_logged() {
        for (subject, shown) in
            [("", "***"), ("7", "***"), ("demo", "***mo"), ("sms|+821012345678", "***5678"), ("홍길동이다", "***이다")]
        {
            assert_eq!(masked(subject), shown);
        }
    }
}
