//! `[login.notify]`: a backend is told of a person's first login, and may refuse it.
//!
//! A person counts as known only once the call was answered 2xx. Until then a second login of the same person at the same moment must not pass for that of
//! someone who is known, or two tabs would get in whom the backend refuses; so one login of a person is under way at a time, and the others wait for it.

use std::time::Duration;

use aws_lc_rs::digest;
use http::StatusCode;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Authority, ClientDevice, Code, IssueError, Outage, who};
use crate::{
    call::{Placeholder, Template, Values},
    clock::Timestamp,
    oidc::Identity,
    store::{Digest, StoreError},
};

/// How long a person is known for.
const KNOWN: Duration = Duration::from_secs(10 * 366 * 86400);
/// How much longer than the call a login may be under way: for the store's part in it.
const SLACK: Duration = Duration::from_secs(10);

/// How long a login waits for another of the same person: who waits for longer is better told to try again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often it looks whether that one is over. It may run on another instance, of which nothing but the store can tell.
const LOOK: Duration = Duration::from_millis(75);

/// A login that may be a person's first.
pub(super) struct Arrival {
    /// Who.
    key: Digest,
    /// What the call may say of them.
    values: Values,
}

impl Arrival {
    /// `None` where the provider names no subject.
    pub(super) fn of_identity(identity: &Identity) -> Option<Self> {
        let email = identity.profile.get("email").cloned().unwrap_or(Value::Null);
        let values = Values::new()
            .with(Placeholder::Provider, identity.provider.clone())
            .with(Placeholder::Profile, identity.profile.clone())
            .with(Placeholder::Email, email)
            .with_claims(identity.profile.clone());
        Some(Self { key: who::key_of_identity(identity)?, values })
    }

    pub(super) fn of_code(code: &Code) -> Self {
        let claims = code.claims();
        let email = claims.get("email").cloned().unwrap_or(Value::Null);
        let values = code
            .values(Values::new())
            .with(Placeholder::Profile, claims.clone())
            .with(Placeholder::Email, email)
            .with_claims(claims);
        Self { key: who::key_of_code(code), values }
    }
}

impl Authority {
    /// Tells the backend of a person who was never here; an error ends the login.
    pub(super) async fn welcome(
        &self,
        arrival: impl FnOnce() -> Option<Arrival>,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        let Some(template) = &self.notify else { return Ok(()) };
        let arrival = arrival().ok_or(IssueError::Unsupported)?;
        let under_way = under_way(arrival.key);
        self.wait_for_turn(under_way, template).await?;
        let welcomed = self.welcome_alone(template, arrival, from).await;
        self.forget(under_way).await;
        welcomed
    }

    async fn wait_for_turn(&self, under_way: Digest, template: &Template) -> Result<(), IssueError> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let (now, until) = self.turn(template);
            if self.store.one_time.take(under_way, until, now).await? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(IssueError::Unavailable(Outage::UnderWay));
            }
            sleep(LOOK).await;
        }
    }

    async fn welcome_alone(
        &self,
        template: &Template,
        arrival: Arrival,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        // Not yet for good: whoever falls over in the middle has told nobody.
        let (now, until) = self.turn(template);
        if !self.store.one_time.take(arrival.key, until, now).await? {
            return Ok(());
        }
        let told = self.tell(template, arrival.values, from).await;
        self.forget(arrival.key).await;
        told?;
        let now = self.clock.now();
        if let Err(error) = self.store.one_time.take(arrival.key, now.plus(KNOWN), now).await {
            tracing::warn!(%error, "login: a person is not remembered: their next login is told as the first again");
        }
        Ok(())
    }

    async fn tell(&self, template: &Template, values: Values, from: &ClientDevice) -> Result<(), IssueError> {
        let answer = self.caller.call(template, &from.add_to(values), &from.client).await;
        match answer.map_err(|error| IssueError::Unavailable(error.into()))?.status {
            status if status.is_success() => Ok(()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(IssueError::Refused(status)),
            status => Err(IssueError::Unavailable(Outage::Status(status))),
        }
    }

    /// From now until a login that falls over no longer stands in the way.
    fn turn(&self, template: &Template) -> (Timestamp, Timestamp) {
        let now = self.clock.now();
        (now, now.plus(template.timeout).plus(SLACK))
    }

    async fn forget(&self, key: Digest) {
        if let Err(error) = self.store.one_time.give_back(key, self.clock.now()).await {
            tracing::warn!(%error, "login: the store did not take back that a first login is under way");
        }
    }
}

fn under_way(person: Digest) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule login under way");
    context.update(&person.0);
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Outage::Store(error))
    }
}

#[cfg(test)]
mod tests;
