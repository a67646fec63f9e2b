//! The gateway as the authority: short-lived JWTs that the backend verifies by the published keys, and opaque rotating refresh tokens with reuse detection.

use zeroize::Zeroizing;

use super::{
    AccessClaims, Authority, ClientDevice, Code, Gateway, IssueError, Issued, RefreshError, SignedOut, notify::Arrival,
};
use crate::{
    clock::Timestamp,
    oidc::Identity,
    seal::Purpose,
    secret::{AccessToken, IdToken, RefreshToken},
    store::{Advanced, FamilyId, StoreError},
};

mod person;
mod token;

use person::Person;
use token::OwnRefresh;

impl Authority {
    /// Issues tokens to who came from a provider.
    pub(super) async fn issue_to_identity(
        &self,
        gateway: &Gateway,
        identity: Identity,
        from: &ClientDevice,
    ) -> Result<Issued, IssueError> {
        self.check_allowed(&identity)?;
        let Some(person) = Person::of_identity(&identity) else {
            tracing::error!(provider = identity.provider, "authority: the provider names no subject");
            return Err(IssueError::Unsupported);
        };
        self.welcome(|| Arrival::of_identity(&identity), from).await?;
        self.begin_family(gateway, person, identity.id_token).await
    }

    /// Issues tokens to who proved an address.
    pub(super) async fn issue_to_code(
        &self,
        gateway: &Gateway,
        code: &Code,
        from: &ClientDevice,
    ) -> Result<Issued, IssueError> {
        if !gateway.codes.iter().any(|login| login.channel == code.channel) {
            return Err(IssueError::Unsupported);
        }
        let person = Person::of_code(code);
        if !code.is_permitted() || !self.may_still_come(gateway, &person) {
            return Err(IssueError::NotAllowed);
        }
        self.welcome(|| Some(Arrival::of_code(code)), from).await?;
        self.begin_family(gateway, person, None).await
    }

    /// The next tokens of a family. Who may come and who has which role is read anew.
    pub(super) async fn refresh_own(
        &self,
        gateway: &Gateway,
        shown: &RefreshToken,
        from: &ClientDevice,
    ) -> Result<Issued, RefreshError> {
        let Some(shown) = self.open_own(shown) else { return Err(RefreshError::Refused) };
        let now = self.clock.now();
        let (family, until) = (shown.family, gateway.end_of(shown.made, now));
        if until <= now {
            self.end_family_quietly(family, now).await;
            return Err(RefreshError::Refused);
        }
        let advanced = self.store.families.advance(family, shown.generation, gateway.refresh_grace, until, now).await;
        let (generation, record) = match advanced.map_err(|error| outage(&error))? {
            Advanced::To { generation, record } => (generation, record),
            Advanced::Unknown => return Err(RefreshError::Refused),
            Advanced::Reused => {
                let (client, device) = (from.client.address(), from.device.id);
                tracing::warn!(target: "audit", %client, %device, "a refresh token was used again long after it was replaced: its session is over everywhere");
                return Err(RefreshError::Refused);
            }
        };
        let Some(person) = self.open_record(&record) else {
            tracing::error!("authority: what is kept of a login does not open: was its session key taken out?");
            self.end_family_quietly(family, now).await;
            return Err(RefreshError::Refused);
        };
        if !self.may_still_come(gateway, &person) {
            let (provider, client) = (person.from.name(), from.client.address());
            tracing::info!(target: "audit", provider, %client, "a person may no longer come in");
            self.end_family_quietly(family, now).await;
            return Err(RefreshError::Refused);
        }
        Ok(self.mint(gateway, &person, OwnRefresh { generation, ..shown }, now))
    }

    /// Ends the family of a refresh token.
    pub(super) async fn sign_out_own(&self, shown: Option<&RefreshToken>) -> SignedOut {
        let Some(shown) = shown.and_then(|shown| self.open_own(shown)) else { return SignedOut::NothingToDo };
        match self.store.families.end_family(shown.family, self.clock.now()).await {
            Ok(()) => SignedOut::Confirmed,
            Err(error) => {
                tracing::warn!(%error, "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }

    async fn begin_family(
        &self,
        gateway: &Gateway,
        person: Person,
        id_token: Option<IdToken>,
    ) -> Result<Issued, IssueError> {
        let now = self.clock.now();
        let family = FamilyId(self.random.bytes());
        let record = self.seal_record(&person).into();
        self.store.families.begin(family, record, gateway.end_of(now, now), now).await?;
        let issued = self.mint(gateway, &person, OwnRefresh { family, generation: 0, made: now }, now);
        Ok(Issued { id_token, identity: Some(person.claims), ..issued })
    }

    /// Whether the configuration of now still lets somebody in who came in by that of then.
    fn may_still_come(&self, gateway: &Gateway, person: &Person) -> bool {
        let allow = match &person.from {
            person::From::Provider(name) => self.provider(name).map(|provider| provider.settings().allow.as_ref()),
            person::From::Code { channel, .. } => {
                gateway.codes.iter().find(|login| login.channel == *channel).map(|login| login.allow.as_ref())
            }
        };
        allow.is_some_and(|allow| allow.is_none_or(|allow| allow.permits(&person.claims)))
    }

    fn mint(&self, gateway: &Gateway, person: &Person, refresh: OwnRefresh, now: Timestamp) -> Issued {
        // Nobody has access for longer than they are logged in.
        let until = now.plus(gateway.access_token_lifetime).min(gateway.end_of(refresh.made, now));
        let claims = gateway.claims_for(person, &self.random, now, until);
        let sealed = self.ring.seal(Purpose::OwnRefresh, &refresh.to_bytes(), |_| 1);
        Issued {
            access_token: AccessToken::new(self.signer.sign(token::ACCESS, &claims)),
            refresh_token: Some(RefreshToken::new(sealed)),
            id_token: None,
            expires_in: Some(until.since(now)),
            identity: None,
            access_claims: Some(AccessClaims { claims, verified: true }),
        }
    }

    /// `None`: not one of ours, or sealed by a key that is no longer ours.
    fn open_own(&self, token: &RefreshToken) -> Option<OwnRefresh> {
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

    /// A family that cannot be ended now ends by itself, and is refused until then.
    async fn end_family_quietly(&self, family: FamilyId, now: Timestamp) {
        if let Err(error) = self.store.families.end_family(family, now).await {
            tracing::warn!(%error, "authority: a family of refresh tokens was not ended");
        }
    }
}

/// Nothing but its family's own word ends a session. What the store may have done unheard is done again within the grace time, so there is no need to wait.
fn outage(error: &StoreError) -> RefreshError {
    tracing::error!(%error, "authority: the store is away");
    match error {
        StoreError::Unavailable(_) => RefreshError::Unsent,
        StoreError::Full => RefreshError::Failed { retry_after: None },
    }
}

impl Gateway {
    /// When a login made at `made` ends, if it is not used after `now`.
    fn end_of(&self, made: Timestamp, now: Timestamp) -> Timestamp {
        now.plus(self.idle).min(made.plus(self.absolute))
    }
}

#[cfg(test)]
mod tests;
