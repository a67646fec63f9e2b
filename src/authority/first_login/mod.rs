//! `[login.notify]`: a backend is told of a person's first login, and may refuse it.
//!
//! A person counts as known only when the call was answered with 2xx. Until then a second login of the same person must
//! not pass as that of a known person, or a second tab would let in a person whom the backend refuses. So one login of
//! a person is handled at a time, and the others wait for it.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{
    client_device::ClientDevice,
    issued::{AuthorityOutage, IssueError},
    person_key,
    proof::ProvedAddress,
};
use crate::{
    call::{Caller, Placeholder, Template, Values},
    clock::{Clock, Timestamp},
    oidc::Identity,
    store::{Digest, Store},
};

/// How long a person is remembered as known.
const KNOWN: Duration = Duration::from_secs(10 * 366 * 86400);
/// How much longer than the call a login may take: the time for its exchanges with the store.
const STORE_TIME: Duration = Duration::from_secs(10);

/// How long a login waits for another one of the same person. After that the person is told to try again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often it asks the store whether the other login has ended: that may run on another instance.
const POLL: Duration = Duration::from_millis(75);

/// Tells a backend of first logins.
pub(super) struct FirstLogins {
    /// `[login.notify]`; `None`: nobody is told.
    pub(super) notify: Option<Template>,
    pub(super) caller: Arc<Caller>,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// A login that may be a person's first.
pub(super) struct PersonLogin {
    /// The key under which the store remembers the person.
    person: Digest,
    /// What the call may say about the person.
    values: Values,
}

impl PersonLogin {
    /// `None` if the provider names no subject.
    pub(super) fn of_identity(identity: &Identity) -> Option<Self> {
        let email = identity.profile.get("email").cloned().unwrap_or(Value::Null);
        let values = Values::new()
            .with(Placeholder::Provider, identity.provider.clone())
            .with(Placeholder::Profile, identity.profile.clone())
            .with(Placeholder::Email, email)
            .with_claims(identity.profile.clone());
        Some(Self { person: person_key::of_identity(identity)?, values })
    }

    pub(super) fn of_address(address: &ProvedAddress) -> Self {
        let claims = address.claims();
        let email = claims.get("email").cloned().unwrap_or(Value::Null);
        let values = address
            .values(Values::new())
            .with(Placeholder::Profile, claims.clone())
            .with(Placeholder::Email, email)
            .with_claims(claims);
        Self { person: person_key::of_address(address), values }
    }
}

impl FirstLogins {
    /// Tells the backend of a person who has not logged in before. An error ends the login.
    pub(super) async fn tell_backend(
        &self,
        login: impl FnOnce() -> Option<PersonLogin>,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        let Some(template) = &self.notify else { return Ok(()) };
        let login = login().ok_or(IssueError::Unsupported)?;
        let turn = turn_of(login.person);
        self.wait_for_turn(turn, template).await?;
        let told = self.tell_in_turn(template, login, from).await;
        self.give_back(turn).await;
        told
    }

    async fn wait_for_turn(&self, turn: Digest, template: &Template) -> Result<(), IssueError> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let (now, until) = self.mark_times(template);
            if self.store.one_time.take(turn, until, now).await? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(IssueError::Unavailable(AuthorityOutage::UnderWay));
            }
            sleep(POLL).await;
        }
    }

    async fn tell_in_turn(
        &self,
        template: &Template,
        login: PersonLogin,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        // First for a short time only: if this process ends in the middle, the person is not known.
        let (now, until) = self.mark_times(template);
        if !self.store.one_time.take(login.person, until, now).await? {
            return Ok(());
        }
        let told = self.call_backend(template, login.values, from).await;
        self.give_back(login.person).await;
        told?;
        let now = self.clock.now();
        if let Err(error) = self.store.one_time.take(login.person, now.plus(KNOWN), now).await {
            tracing::warn!(
                %error,
                "login: a person was not recorded as known; the backend will be told of their next login again"
            );
        }
        Ok(())
    }

    async fn call_backend(&self, template: &Template, values: Values, from: &ClientDevice) -> Result<(), IssueError> {
        let answer = self.caller.call(template, &from.add_to(values), &from.client).await;
        match answer.map_err(|error| IssueError::Unavailable(error.into()))?.status {
            status if status.is_success() => Ok(()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(IssueError::Refused(status)),
            status => Err(IssueError::Unavailable(AuthorityOutage::Status(status))),
        }
    }

    /// Now, and when the mark of a login expires that never ended.
    fn mark_times(&self, template: &Template) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        (now, now.plus(template.timeout).plus(STORE_TIME))
    }

    async fn give_back(&self, key: Digest) {
        if let Err(error) = self.store.one_time.give_back(key, self.clock.now()).await {
            tracing::warn!(
                %error,
                "login: the mark of a first login was not removed; further logins of this person wait until it expires"
            );
        }
    }
}

/// The key of the mark that a login of this person is being handled.
fn turn_of(person: Digest) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule login under way");
    context.update(&person.0);
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

#[cfg(test)]
mod tests;
