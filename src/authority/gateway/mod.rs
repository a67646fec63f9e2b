//! The gateway as the authority: it issues short-lived JWTs, which backends verify by its published keys, and opaque
//! rotating refresh tokens, whose reuse it detects (RFC 9700 section 4.14.2).
//!
//! The refresh tokens of one login are a family. The store has the family's newest generation and, sealed, the person.

use std::sync::Arc;

use zeroize::Zeroizing;

use self::{
    person::{Person, ProofSource},
    refresh_token::OwnRefresh,
};
use super::{
    client_device::ClientDevice,
    first_login::{FirstLogins, PersonLogin},
    issued::{IssueError, Issued},
    proof::{Proof, ProvedAddress},
    providers::Providers,
    requests::SignedOut,
    verify::AccessClaims,
};
use crate::{
    channel::Channel,
    clock::{Clock, Timestamp},
    oidc::{Claims, Identity, NotPermitted, RefreshError},
    seal::{KeyRing, Purpose},
    secret::{AccessToken, IdToken, Random, RefreshToken},
    signing::Signer,
    store::{Advanced, Families, FamilyId, StoreError},
};

mod claims;
mod person;
mod refresh_token;
mod settings;

pub use settings::{CodeLogin, GatewaySettings};

/// The gateway as the authority.
pub(super) struct GatewayAuthority {
    pub(super) settings: GatewaySettings,
    pub(super) providers: Providers,
    pub(super) first_logins: FirstLogins,
    pub(super) families: Arc<dyn Families>,
    pub(super) ring: KeyRing,
    pub(super) signer: Signer,
    pub(super) clock: Clock,
    pub(super) random: Random,
}

impl GatewayAuthority {
    pub(super) async fn issue(&self, proof: Proof, from: &ClientDevice) -> Result<Issued, IssueError> {
        match proof {
            Proof::Provider(identity) => self.issue_to_identity(*identity, from).await,
            Proof::Credentials(_) => Err(IssueError::Unsupported),
            Proof::Code(address) => self.issue_to_address(&address, from).await,
        }
    }

    async fn issue_to_identity(&self, identity: Identity, from: &ClientDevice) -> Result<Issued, IssueError> {
        self.providers.check_allowed(&identity)?;
        let Some(person) = Person::of_identity(&identity) else {
            tracing::error!(provider = identity.provider, "authority: the provider names no subject");
            return Err(IssueError::Unsupported);
        };
        self.first_logins
            .notify_backend(|| PersonLogin::of_identity(&identity, person.subject.as_str().into()), from)
            .await?;
        self.begin_family(person, identity.id_token).await
    }

    async fn issue_to_address(&self, address: &ProvedAddress, from: &ClientDevice) -> Result<Issued, IssueError> {
        if !self.takes_codes(address.channel) {
            return Err(IssueError::Unsupported);
        }
        let person = Person::of_address(address);
        address.check_allowed()?;
        self.check_still_allowed(&person).map_err(IssueError::NotAllowed)?;
        self.first_logins
            .notify_backend(|| Some(PersonLogin::of_address(address, person.subject.as_str().into())), from)
            .await?;
        self.begin_family(person, None).await
    }

    /// Issues the next tokens of a family. The person's permission and roles are read anew from the configuration.
    pub(super) async fn refresh(&self, token: &RefreshToken, from: &ClientDevice) -> Result<Issued, RefreshError> {
        let Some(opened) = self.open_refresh_token(token) else { return Err(RefreshError::Refused) };
        let now = self.clock.now();
        let (family, until) = (opened.family, self.settings.end_of(opened.logged_in_at, now));
        if until <= now {
            self.try_end_family(family, now).await;
            return Err(RefreshError::Refused);
        }
        let grace = self.settings.refresh_grace;
        let advanced = self.families.advance(family, opened.generation, grace, until, now).await;
        let (generation, record) = match advanced.map_err(|error| store_failure(&error))? {
            Advanced::To { generation, record } => (generation, record),
            Advanced::Unknown => return Err(RefreshError::Refused),
            Advanced::Reused => {
                let (client, device) = (from.client.address(), from.device.id);
                tracing::warn!(
                    target: "audit", %client, %device,
                    "a refresh token was used again after its grace time: its session has ended"
                );
                return Err(RefreshError::Refused);
            }
        };
        let Some(person) = self.open_record(&record) else {
            tracing::error!(
                "authority: the record of a login does not open, so the login has ended; check that its session key was not removed"
            );
            self.try_end_family(family, now).await;
            return Err(RefreshError::Refused);
        };
        if let Err(reason) = self.check_still_allowed(&person) {
            let (provider, client) = (person.from.name(), from.client.address());
            tracing::info!(target: "audit", provider, %client, %reason, "a person is no longer permitted to log in");
            self.try_end_family(family, now).await;
            return Err(RefreshError::Refused);
        }
        Ok(self.new_tokens(&person, OwnRefresh { generation, ..opened }, now))
    }

    /// Ends the family of a refresh token.
    pub(super) async fn sign_out(&self, token: Option<&RefreshToken>) -> SignedOut {
        let Some(opened) = token.and_then(|token| self.open_refresh_token(token)) else {
            return SignedOut::NothingToDo;
        };
        match self.families.end_family(opened.family, self.clock.now()).await {
            Ok(()) => SignedOut::Confirmed,
            Err(error) => {
                tracing::warn!(%error, "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }

    /// True if one-time codes of this channel log in.
    pub(super) fn takes_codes(&self, channel: Channel) -> bool {
        self.settings.takes_codes(channel)
    }

    async fn begin_family(&self, person: Person, id_token: Option<IdToken>) -> Result<Issued, IssueError> {
        let now = self.clock.now();
        let family = FamilyId(self.random.bytes());
        let record = self.seal_record(&person).into();
        self.families.begin(family, record, self.settings.end_of(now, now), now).await?;
        let issued = self.new_tokens(&person, OwnRefresh { family, generation: 0, logged_in_at: now }, now);
        Ok(Issued { id_token, identity: Some(person.claims), ..issued })
    }

    /// Fails if the current configuration does not permit the person, who may have logged in under an earlier one.
    fn check_still_allowed(&self, person: &Person) -> Result<(), NotPermitted> {
        let allow = match &person.from {
            ProofSource::Provider(name) => {
                self.providers.named(name).map(|provider| provider.settings().allow.as_ref())
            }
            ProofSource::Code { channel, .. } => {
                self.settings.codes.iter().find(|login| login.channel == *channel).map(|login| login.allow.as_ref())
            }
        };
        // A way to log in that is no longer configured permits no person.
        let allow = allow.ok_or(NotPermitted::Nobody)?;
        allow.map_or(Ok(()), |allow| allow.check(&person.claims))
    }

    fn new_tokens(&self, person: &Person, refresh: OwnRefresh, now: Timestamp) -> Issued {
        // An access token must not outlive its login.
        let until = now.plus(self.settings.access_token_lifetime).min(self.settings.end_of(refresh.logged_in_at, now));
        let claims = self.settings.claims_for(person, &self.random, now, until);
        let sealed = self.ring.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
        Issued {
            access_token: AccessToken::new(self.signer.sign(claims::ACCESS_TOKEN_TYPE, &claims)),
            refresh_token: Some(RefreshToken::new(sealed)),
            id_token: None,
            expires_in: Some(until.since(now)),
            identity: None,
            access_claims: Some(AccessClaims { claims, verified: true }),
            answered: Claims::new(),
        }
    }

    /// `None` if the gateway did not make the token, or the key that sealed it is no longer configured.
    fn open_refresh_token(&self, token: &RefreshToken) -> Option<OwnRefresh> {
        let plain = self.ring.open(Purpose::OwnRefresh, token.expose().as_bytes(), 1).ok()?;
        OwnRefresh::from_bytes(&plain)
    }

    fn seal_record(&self, person: &Person) -> String {
        let plain = Zeroizing::new(serde_json::to_vec(person).expect("a person is made of strings and JSON"));
        self.ring.seal(Purpose::Record, &plain, |_| 1)
    }

    fn open_record(&self, sealed: &[u8]) -> Option<Person> {
        serde_json::from_slice(&self.ring.open(Purpose::Record, sealed, 1).ok()?).ok()
    }

    /// Ends a family. After a store error each of its refreshes is refused until the family expires.
    async fn try_end_family(&self, family: FamilyId, now: Timestamp) {
        if let Err(error) = self.families.end_family(family, now).await {
            tracing::warn!(%error, "authority: a family of refresh tokens was not ended");
        }
    }
}

/// A store error ends no session. If the store advanced the family and its answer was lost, the refresh token can be
/// used again within the grace time, so the next try needs no wait.
fn store_failure(error: &StoreError) -> RefreshError {
    tracing::error!(%error, "authority: the store did not answer; the session was not refreshed");
    match error {
        StoreError::Unavailable(_) => RefreshError::Unsent,
        StoreError::Full => RefreshError::Failed { retry_after: None },
    }
}

#[cfg(test)]
mod tests;
