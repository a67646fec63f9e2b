//! The identity provider as the authority: its access and refresh tokens become the session's.

use std::sync::Arc;

use super::{
    client_device::ClientDevice,
    first_login::{FirstLogins, PersonLogin},
    issued::{FreshTokens, IssueError, Issued},
    proof::Proof,
    providers::Providers,
    requests::{RefreshRequest, SignOutRequest, SignedOut},
    verify::AccessTokenChecks,
};
use crate::oidc::{Identity, RefreshError, Refreshed};

/// The identity provider as the authority.
pub(super) struct ProviderAuthority {
    pub(super) providers: Providers,
    pub(super) first_logins: FirstLogins,
    pub(super) checks: Arc<AccessTokenChecks>,
}

impl ProviderAuthority {
    pub(super) async fn issue(&self, proof: Proof, from: &ClientDevice) -> Result<Issued, IssueError> {
        match proof {
            Proof::Provider(identity) => self.issue_provider_tokens(*identity, from).await,
            Proof::Credentials(_) | Proof::Code(_) => Err(IssueError::Unsupported),
        }
    }

    async fn issue_provider_tokens(&self, mut identity: Identity, from: &ClientDevice) -> Result<Issued, IssueError> {
        self.providers.check_allowed(&identity)?;
        let tokens = identity.tokens.take().ok_or(IssueError::Unsupported)?;
        let proved = (identity.id_token.take(), identity.profile.clone());
        let issued = FreshTokens::of_provider(tokens).for_login(&self.checks, Some(proved)).await?;
        let login = || PersonLogin::of_identity(&identity, issued.sub()?.clone());
        self.first_logins.notify_backend(login, from).await?;
        Ok(issued)
    }

    pub(super) async fn refresh(&self, request: RefreshRequest<'_>) -> Result<Issued, RefreshError> {
        // The sessions of a provider that was removed from the configuration must end.
        let provider = self.providers.named(request.provider).ok_or(RefreshError::Refused)?;
        let Refreshed { mut tokens, profile } = provider.refresh(request.refresh_token, request.identity).await?;
        let id_token = tokens.id_token.take();
        let issued = FreshTokens::of_provider(tokens).for_refresh(&self.checks).await?;
        Ok(Issued { id_token, identity: profile, ..issued })
    }

    /// Revokes the tokens (RFC 7009).
    pub(super) async fn sign_out(&self, request: SignOutRequest<'_>) -> SignedOut {
        let Some(provider) = self.providers.named(request.provider) else { return SignedOut::NothingToDo };
        match provider.revoke(request.refresh_token, request.access_token).await {
            Ok(true) => SignedOut::Confirmed,
            Ok(false) => SignedOut::NothingToDo,
            Err(error) => {
                tracing::warn!(provider = request.provider, %error, "authority: revocation not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }
}
