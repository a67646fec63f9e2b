//! The tokens that an authority issues, and why it issues none.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::{
    sub::sub_of,
    verify::{AccessClaims, AccessTokenChecks, RejectedToken},
};
use crate::{
    call::CallError,
    oidc::{Claims, NotPermitted, RefreshError, TokenAnswer},
    secret::{AccessToken, IdToken, RefreshToken},
    store::StoreError,
};

/// The tokens that the authority issued.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Opaque, or a JWT.
    pub access_token: AccessToken,
    /// The refresh token. At a refresh, `None` keeps the old one.
    pub refresh_token: Option<RefreshToken>,
    /// A verified ID token. At a refresh, `None` keeps the old one.
    pub id_token: Option<IdToken>,
    /// Lifetime of the access token, if the authority stated it.
    pub expires_in: Option<Duration>,
    /// The identity provider's claims about the person. At a refresh, `None` keeps the old ones.
    pub identity: Option<Claims>,
    /// The claims of the access token, if it is a JWT.
    pub access_claims: Option<AccessClaims>,
    /// What the backend's answer says of the person (`[authority.answer] claims`); null where it says that there is
    /// none. At a refresh, a claim that is not in it stays.
    pub answered: Claims,
}

impl Issued {
    /// The `sub` of the session that begins with it, for an authority that adopts the provider's subject.
    pub(super) fn sub(&self) -> Option<&Value> {
        let access = self.access_claims.as_ref().map(|access| &access.claims);
        sub_of(&self.answered, access, self.identity.as_ref())
    }
}

/// Why no tokens were issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The backend refused this e-mail with this password.
    #[error("bad credentials")]
    BadCredentials(Guess),
    /// The backend has too many tries of its own count; with the wait in its `Retry-After`.
    #[error("the backend answered with status 429")]
    TooMany(Option<Duration>),
    /// The backend refused this person.
    #[error("the backend refused the login with status {0}")]
    Refused(StatusCode),
    /// `allow` of the provider or the channel does not permit this person.
    #[error("`allow` does not permit this person: {0}")]
    NotAllowed(NotPermitted),
    /// This authority issues no tokens for this kind of proof.
    #[error("no login of this kind is configured")]
    Unsupported,
    /// The authority does not answer, or its answer cannot be used: a later try may succeed.
    #[error("the authority is not available")]
    Unavailable(#[source] AuthorityOutage),
}

impl IssueError {
    /// Whether only the operator can mend it: another login fails in the same way.
    pub const fn is_misconfigured(&self) -> bool {
        matches!(self, Self::Unavailable(AuthorityOutage::AccessToken(_)))
    }
}

/// Whether a refused login may have been a guess at a password, and counts as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guess {
    /// It counts.
    Counted,
    /// It does not: the account is locked, gone or in conflict, which does not depend on the password.
    Uncounted,
}

/// Why an authority is not available; for the log.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityOutage {
    /// The call has no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The status of its answer neither accepts nor refuses the login.
    #[error("it answered with status {0}")]
    Status(StatusCode),
    /// The answer is a page, from a proxy on the way or from an error handler.
    #[error("it answered with a page and status {0}")]
    Page(StatusCode),
    /// The answer has a list of errors (GraphQL section 7.1.2), although its status is that of a success.
    #[error("it answered with status {0} and a list of errors")]
    Errors(StatusCode),
    /// The answer has no access token where `[authority.answer]` says.
    #[error("there is no access token in its answer: {0}")]
    NoAccessToken(String),
    /// The store does not answer.
    #[error(transparent)]
    Store(StoreError),
    /// The wait for another login of the same person, for which the backend is being called, took too long.
    #[error("another first login of the same person has not ended")]
    OtherLoginPending,
    /// The access token does not pass `[authority.verify]`.
    #[error("its access token does not pass [authority.verify]")]
    AccessToken(#[source] RejectedToken),
}

impl From<StoreError> for IssueError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(AuthorityOutage::Store(error))
    }
}

/// New tokens whose access token's claims are not read yet.
pub(super) struct FreshTokens {
    pub(super) access_token: AccessToken,
    pub(super) refresh_token: Option<RefreshToken>,
    /// As received.
    pub(super) expires_in: Option<Value>,
    /// [`Issued::answered`].
    pub(super) answered: Claims,
}

impl FreshTokens {
    pub(super) fn of_provider(tokens: TokenAnswer) -> Self {
        let TokenAnswer { access_token, refresh_token, expires_in, .. } = tokens;
        Self { access_token, refresh_token, expires_in, answered: Claims::new() }
    }

    /// The tokens of a login, with the claims of the access token and `proved`: the provider's ID token and claims.
    pub(super) async fn for_login(
        self,
        checks: &AccessTokenChecks,
        proved: Option<(Option<IdToken>, Claims)>,
    ) -> Result<Issued, IssueError> {
        let issued = self.checked(checks, proved).await;
        issued.map_err(|error| IssueError::Unavailable(AuthorityOutage::AccessToken(error)))
    }

    /// The tokens of a refresh, with the claims of the access token.
    pub(super) async fn for_refresh(self, checks: &AccessTokenChecks) -> Result<Issued, RefreshError> {
        self.checked(checks, None).await.map_err(|error| {
            tracing::error!(%error, "authority: the refreshed access token does not pass [authority.verify]");
            RefreshError::Failed { retry_after: None }
        })
    }

    async fn checked(
        self,
        checks: &AccessTokenChecks,
        proved: Option<(Option<IdToken>, Claims)>,
    ) -> Result<Issued, RejectedToken> {
        let access_claims = checks.claims_of_new(&self.access_token).await?;
        let expires_in = checks.stated_life(self.expires_in.as_ref(), access_claims.as_ref());
        let (id_token, identity) = proved.unzip();
        Ok(Issued {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            id_token: id_token.flatten(),
            expires_in,
            identity,
            access_claims,
            answered: self.answered,
        })
    }
}
