//! The authority: it issues the access and refresh tokens. There are three kinds, each in a separate file or folder:
//! a backend (`backend`), the identity provider (`provider`), and the gateway itself (`gateway`).
//!
//! Each kind has three operations: issue tokens for a proof of a person's identity, refresh them, and sign out. To add
//! a kind, add its file and a variant of [`AuthorityKind`]; the compiler then names every `match` that needs an arm for
//! it.

use std::{sync::Arc, time::Duration};

use self::{
    backend::BackendAuthority,
    first_login::FirstLogins,
    gateway::GatewayAuthority,
    provider::ProviderAuthority,
    providers::Providers,
    verify::{AccessTokenChecks, Verifier},
};
use crate::{
    call::{Caller, Template},
    channel::Channel,
    clock::Clock,
    oidc::Provider,
    seal::KeyRing,
    secret::Random,
    signing::Signer,
    store::Store,
};

mod backend;
mod client_device;
mod first_login;
mod gateway;
mod issued;
mod lifetime;
mod person_key;
mod placeholders;
mod proof;
mod provider;
mod providers;
mod requests;
mod sub;
mod verify;

pub use backend::{AnswerFields, BackendSettings, Pointer, RefusedWhen};
pub use client_device::{ClientDevice, Device};
pub use gateway::{CodeLogin, GatewaySettings};
pub use issued::{AuthorityOutage, Guess, IssueError, Issued};
pub use lifetime::{Lifetime, id_token_lifetime, lifetime, names_its_end};
pub use placeholders::{
    CLAIMS, EXCHANGE, LOGIN_NOTIFY, OTP, OTP_NOTIFY, OWN_CLAIMS, REFRESH, SIGN_OUT, of_credentials,
};
pub use proof::{CREDENTIALS_METHOD, Proof, ProvedAddress};
pub use requests::{RefreshRequest, SignOutRequest, SignedOut};
pub use sub::sub_of;
pub use verify::{AccessClaims, BadKey, RejectedToken, UnverifiedToken, VerifyError, VerifyKeys, VerifySettings};

pub(crate) use crate::oidc::claims_as_received;
pub use crate::oidc::{Allow, Claims, NotPermitted, RefreshError};

/// How long a logout waits for the authority at most.
const LONGEST_SIGN_OUT: Duration = Duration::from_secs(10);

/// `[authority]`, validated, with `[login.notify]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `authority.kind`, with the settings of that kind.
    pub kind: AuthorityKind,
    /// `[authority.verify]`: how a JWT access token is verified. Needed for `seal = false` and for roles from the
    /// access token.
    pub verify: Option<VerifySettings>,
    /// `[login.notify]`: the call at a person's first login.
    pub notify: Option<Template>,
}

/// The kind of authority that issues the tokens, with its settings.
#[derive(Clone, Debug)]
pub enum AuthorityKind {
    /// The identity provider: its tokens become the session's.
    Provider,
    /// A backend of the operator.
    Backend(Box<BackendSettings>),
    /// The gateway itself.
    Gateway(Box<GatewaySettings>),
}

/// The parts that an [`Authority`] is built from.
#[derive(Clone)]
pub struct Deps {
    /// Makes calls to backends.
    pub caller: Arc<Caller>,
    /// The identity providers.
    pub providers: Vec<Arc<Provider>>,
    /// Fetches the keys of `[authority.verify]`.
    pub http: crate::oidc::Http,
    /// Has the families of the gateway's own refresh tokens, and marks of persons who have logged in before.
    pub store: Store,
    /// Seals the gateway's own refresh tokens.
    pub ring: KeyRing,
    /// Signs the gateway's own access tokens.
    pub signer: Signer,
    /// The clock that decides all expiry.
    pub clock: Clock,
    /// Source of `jti`s, family ids and jitter.
    pub random: Random,
}

/// The authority that the configuration names.
pub struct Authority {
    issuer: TokenIssuer,
    checks: Arc<AccessTokenChecks>,
}

/// An authority of one kind, with its dependencies.
enum TokenIssuer {
    Provider(Box<ProviderAuthority>),
    Backend(Box<BackendAuthority>),
    Gateway(Box<GatewayAuthority>),
}

impl Authority {
    /// Builds the authority of these settings. Fails if `authority.verify.public_key` is no public key.
    pub fn new(settings: Settings, deps: Deps) -> Result<Self, BadKey> {
        let Deps { caller, providers, http, store, ring, signer, clock, random } = deps;
        let verifier = match (&settings.kind, settings.verify) {
            (AuthorityKind::Gateway(gateway), _) => Some(Verifier::of_own(&gateway.issuer, &gateway.audience, &signer)),
            (AuthorityKind::Provider | AuthorityKind::Backend(_), Some(verify)) => {
                Some(Verifier::new(verify, http, clock.clone(), random.clone())?)
            }
            (AuthorityKind::Provider | AuthorityKind::Backend(_), None) => None,
        };
        let checks = Arc::new(AccessTokenChecks::new(verifier, clock.clone()));
        let providers = Providers::new(providers);
        let first_logins =
            FirstLogins { notify: settings.notify, caller: caller.clone(), store: store.clone(), clock: clock.clone() };
        let issuer = match settings.kind {
            AuthorityKind::Provider => {
                let provider = ProviderAuthority { providers, first_logins, checks: checks.clone() };
                TokenIssuer::Provider(Box::new(provider))
            }
            AuthorityKind::Backend(settings) => {
                let backend =
                    BackendAuthority { settings: *settings, caller, providers, checks: checks.clone(), clock };
                TokenIssuer::Backend(Box::new(backend))
            }
            AuthorityKind::Gateway(settings) => {
                let gateway = GatewayAuthority {
                    settings: *settings,
                    providers,
                    first_logins,
                    families: store.families,
                    ring,
                    signer,
                    clock,
                    random,
                };
                TokenIssuer::Gateway(Box::new(gateway))
            }
        };
        Ok(Self { issuer, checks })
    }

    /// Issues tokens for `proof`.
    pub async fn issue(&self, proof: Proof, from: &ClientDevice) -> Result<Issued, IssueError> {
        match &self.issuer {
            TokenIssuer::Provider(provider) => provider.issue(proof, from).await,
            TokenIssuer::Backend(backend) => backend.issue(proof, from).await,
            TokenIssuer::Gateway(gateway) => gateway.issue(proof, from).await,
        }
    }

    /// Exchanges a refresh token for new tokens. Only [`RefreshError::Refused`] ends the session.
    ///
    /// The caller must not cancel this: the answer may have the only valid tokens.
    pub async fn refresh(&self, request: RefreshRequest<'_>, from: &ClientDevice) -> Result<Issued, RefreshError> {
        match &self.issuer {
            TokenIssuer::Provider(provider) => provider.refresh(request).await,
            TokenIssuer::Backend(backend) => backend.refresh(request, from).await,
            TokenIssuer::Gateway(gateway) => gateway.refresh(request.refresh_token, from).await,
        }
    }

    /// Tells the authority that a session has ended. Takes 10 s at most; a failure does not fail the logout.
    pub async fn sign_out(&self, request: SignOutRequest<'_>, from: &ClientDevice) -> SignedOut {
        let signed_out = async {
            match &self.issuer {
                TokenIssuer::Provider(provider) => provider.sign_out(request).await,
                TokenIssuer::Backend(backend) => backend.sign_out(request, from).await,
                TokenIssuer::Gateway(gateway) => gateway.sign_out(request.refresh_token).await,
            }
        };
        tokio::time::timeout(LONGEST_SIGN_OUT, signed_out).await.unwrap_or(SignedOut::NotConfirmed)
    }

    /// True if there is a login with e-mail and password, or with other fields.
    pub fn takes_credentials(&self) -> bool {
        self.credential_fields().is_some()
    }

    /// The fields of the login with e-mail and password, or with others; the first is the account. `None` if there is
    /// no such login.
    pub fn credential_fields(&self) -> Option<&[String]> {
        match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Gateway(_) => None,
            TokenIssuer::Backend(backend) => {
                backend.settings.credentials.as_ref().map(|_| backend.settings.fields.as_slice())
            }
        }
    }

    /// True if a one-time code of this channel logs in.
    pub fn takes_codes(&self, channel: Channel) -> bool {
        match &self.issuer {
            TokenIssuer::Provider(_) => false,
            TokenIssuer::Backend(backend) => backend.settings.otp.is_some(),
            TokenIssuer::Gateway(gateway) => gateway.takes_codes(channel),
        }
    }

    /// True if a refresh token can be exchanged for new tokens.
    pub fn refreshes(&self) -> bool {
        match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Gateway(_) => true,
            TokenIssuer::Backend(backend) => backend.settings.refresh.is_some(),
        }
    }

    /// Who is asked to refresh the sessions of this provider, for the counts of outages: each provider and each backend
    /// apart. `None`: there is no such peer, because the configuration no longer names one.
    pub fn asked_for<'a>(&self, provider: &'a str) -> Option<&'a str> {
        match &self.issuer {
            TokenIssuer::Provider(own) => own.providers.named(provider).map(|_| provider),
            TokenIssuer::Backend(backend) => backend.settings.refresh.as_ref().map(|_| "the backend"),
            TokenIssuer::Gateway(_) => Some("the gateway"),
        }
    }

    /// True if refresh tokens rotate and the authority detects reuse (RFC 9700 section 4.14.2).
    pub fn detects_reuse(&self) -> bool {
        match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Backend(_) => false,
            TokenIssuer::Gateway(_) => true,
        }
    }

    /// Whether the provider's subject may stand for the person. A backend has subjects of its own, and those of two
    /// providers may be equal.
    pub fn adopts_providers_subject(&self) -> bool {
        match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Gateway(_) => true,
            TokenIssuer::Backend(_) => false,
        }
    }

    /// The names of the claims that `[authority.answer]` takes from the backend's answers.
    pub fn answered_claims(&self) -> impl Iterator<Item = &str> {
        let claims = match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Gateway(_) => &[][..],
            TokenIssuer::Backend(backend) => &backend.settings.answer.claims,
        };
        claims.iter().map(|(name, _)| name.as_str())
    }

    /// Index of the upstream that issues the tokens; `None` if no upstream does.
    pub fn upstream(&self) -> Option<usize> {
        match &self.issuer {
            TokenIssuer::Provider(_) | TokenIssuer::Gateway(_) => None,
            TokenIssuer::Backend(backend) => Some(backend.settings.upstream),
        }
    }

    /// True if access tokens are verified: by `[authority.verify]`, or because the gateway signs them.
    pub fn verifies(&self) -> bool {
        self.checks.verify_signatures()
    }

    /// Checks algorithm, type, issuer, audience and (if `leeway` is given) times of a client's access token. Its
    /// signature is checked by [`UnverifiedToken::verify`].
    pub fn read_access_token<'a>(
        &'a self,
        token: &'a str,
        leeway: Option<Duration>,
    ) -> Result<UnverifiedToken<'a>, VerifyError> {
        self.checks.read(token, leeway)
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::deps as test_deps;
