//! `[login.notify]`: a backend is called at a person's first login, and may refuse it.
//!
//! A person counts as known once the call was answered with 2xx. Until then a second login of the same person must not
//! count as that of a known person: a second tab would log in a person that the backend refuses. So the logins of a
//! person are handled one at a time, and the others wait.

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
    client::ClientKey,
    clock::{Clock, Timestamp},
    oidc::{Claims, Identity},
    store::{Digest, Owner, Store},
};

/// How long a person counts as known.
const KNOWN_LIFETIME: Duration = Duration::from_secs(10 * 366 * 86400);
/// People of one client's network that are known. Beyond this the backend is called again at the next login of the one
/// that was recorded first, so that a client with many accounts cannot fill the store.
const MOST_PEOPLE: u32 = 10_000;
/// How much longer than the call a login may take: the time for its calls to the store.
const STORE_TIME: Duration = Duration::from_secs(10);

/// How long a login waits for another one of the same person. After that the login fails and can be tried again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often the store is asked whether the other login has ended, which may be handled by another instance.
const POLL: Duration = Duration::from_millis(75);

/// Calls the backend at first logins.
pub(super) struct FirstLogins {
    /// `[login.notify]`; `None`: no backend is called.
    pub(super) notify: Option<Template>,
    pub(super) caller: Arc<Caller>,
    pub(super) store: Store,
    pub(super) clock: Clock,
}

/// A login that may be a person's first.
pub(super) struct PersonLogin {
    /// The key of the mark that the person is known.
    person: Digest,
    /// The values about the person that are available to the call.
    values: Values,
}

impl PersonLogin {
    /// `sub` is the subject of the session that begins. `None` if the provider names no subject.
    pub(super) fn of_identity(identity: &Identity, sub: Value) -> Option<Self> {
        let email = identity.profile.get("email").cloned().unwrap_or(Value::Null);
        let values = Values::new()
            .with(Placeholder::Provider, identity.provider.clone())
            .with(Placeholder::Method, identity.provider.clone())
            .with(Placeholder::ProviderSub, person_key::subject(identity)?)
            .with(Placeholder::Profile, identity.profile.clone())
            .with(Placeholder::Email, email)
            .with_session_claims(with_sub(identity.profile.clone(), sub));
        Some(Self { person: person_key::of_identity(identity)?, values })
    }

    /// `sub` is the subject of the session that begins.
    pub(super) fn of_address(address: &ProvedAddress, sub: Value) -> Self {
        let claims = address.claims();
        let email = claims.get("email").cloned().unwrap_or(Value::Null);
        let values = address
            .values(Values::new())
            .with(Placeholder::Method, address.channel.as_str())
            .with(Placeholder::Profile, claims.clone())
            .with(Placeholder::Email, email)
            .with_session_claims(with_sub(claims, sub));
        Self { person: person_key::of_address(address), values }
    }
}

impl FirstLogins {
    /// Calls the backend if the person has not logged in before. An error ends the login.
    pub(super) async fn notify_backend(
        &self,
        login: impl FnOnce() -> Option<PersonLogin>,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        let Some(template) = &self.notify else { return Ok(()) };
        let login = login().ok_or(IssueError::Unsupported)?;
        let turn = turn_key(login.person);
        self.wait_for_turn(turn, template).await?;
        let notified = self.notify_in_turn(template, login, from).await;
        self.give_back(turn).await;
        notified
    }

    async fn wait_for_turn(&self, turn: Digest, template: &Template) -> Result<(), IssueError> {
        let deadline = Instant::now() + LONGEST_WAIT;
        loop {
            let (now, until) = self.mark_times(template);
            if self.store.one_time.take(turn, until, now).await? {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(IssueError::Unavailable(AuthorityOutage::OtherLoginPending));
            }
            sleep(POLL).await;
        }
    }

    async fn notify_in_turn(
        &self,
        template: &Template,
        login: PersonLogin,
        from: &ClientDevice,
    ) -> Result<(), IssueError> {
        // First for a short time: if this process ends before the answer, the person is not known.
        let (now, until) = self.mark_times(template);
        if !self.store.one_time.take(login.person, until, now).await? {
            return Ok(());
        }
        let notified = self.call_backend(template, login.values, from).await;
        self.give_back(login.person).await;
        notified?;
        let now = self.clock.now();
        let until = now.plus(KNOWN_LIFETIME);
        if let Err(error) = self.store.one_time.take_of(people_of(from.client.key()), login.person, until, now).await {
            tracing::warn!(
                %error,
                "login: a person was not recorded as known; the backend will be called at the next login again"
            );
        }
        Ok(())
    }

    async fn call_backend(&self, template: &Template, values: Values, from: &ClientDevice) -> Result<(), IssueError> {
        let answer = self.caller.call(template, &from.add_to(values), &from.client).await;
        let answer = answer.map_err(|error| IssueError::Unavailable(error.into()))?;
        match answer.status {
            status if answer.is_page => Err(IssueError::Unavailable(AuthorityOutage::Page(status))),
            status if status.is_success() && answer.has_errors() => {
                Err(IssueError::Unavailable(AuthorityOutage::Errors(status)))
            }
            status if status.is_success() => Ok(()),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(IssueError::Refused(status)),
            status => Err(IssueError::Unavailable(AuthorityOutage::Status(status))),
        }
    }

    /// The current time, and the expiry of a login's marks, which matters if the login never ends.
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

fn with_sub(mut claims: Claims, sub: Value) -> Claims {
    claims.insert("sub".to_owned(), sub);
    claims
}

/// The key of the mark that a login of this person is being handled.
fn turn_key(person: Digest) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule login under way");
    context.update(&person.0);
    Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes"))
}

/// The owner of the marks of people who log in from this client's network.
fn people_of(client: ClientKey) -> Owner {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"vestibule people of");
    context.update(client.network());
    Owner { key: Digest(context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")), most: MOST_PEOPLE }
}

#[cfg(test)]
mod tests;
