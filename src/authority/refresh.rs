//! A refresh token becomes new tokens, or is refused; anything else ends nothing.

use super::{Authority, Backend, ClientDevice, Issued, Kind, RefreshError, answer::Tokens};
use crate::{
    call::{CallError, Placeholder},
    oidc::{self, Claims},
    secret::{AccessToken, RefreshToken},
};

/// What a session shows to be refreshed.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// Its newest refresh token.
    pub refresh_token: &'a RefreshToken,
    /// Its newest access token, if it still has it.
    pub access_token: Option<&'a AccessToken>,
    /// The provider it came from; empty where none.
    pub provider: &'a str,
    /// What is known of the person: a new ID token must not be somebody else's.
    pub identity: Option<&'a Claims>,
}

impl Authority {
    /// Asks for new tokens. To be run to its end: an answer that nobody takes may be the only one.
    pub async fn refresh(&self, request: RefreshRequest<'_>, from: &ClientDevice) -> Result<Issued, RefreshError> {
        match &self.kind {
            Kind::Provider => self.refresh_at_provider(request).await,
            Kind::Backend(backend) => self.refresh_at_backend(backend, request, from).await,
            Kind::Gateway(gateway) => self.refresh_own(gateway, request.refresh_token, from).await,
        }
    }

    async fn refresh_at_provider(&self, request: RefreshRequest<'_>) -> Result<Issued, RefreshError> {
        let Some(provider) = self.provider(request.provider) else {
            // Taken out of the configuration, and with it the word of who may issue.
            return Err(RefreshError::Refused);
        };
        let oidc::Refreshed { tokens, profile } = provider.refresh(request.refresh_token, request.identity).await?;
        let fresh = Tokens {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_in: tokens.expires_in,
        };
        let issued = self.issued(fresh, None).await.map_err(|error| useless(&error))?;
        Ok(Issued { id_token: tokens.id_token, identity: profile, ..issued })
    }

    async fn refresh_at_backend(
        &self,
        backend: &Backend,
        request: RefreshRequest<'_>,
        from: &ClientDevice,
    ) -> Result<Issued, RefreshError> {
        // Without a call to renew it a session is over with its access token.
        let template = backend.refresh.as_ref().ok_or(RefreshError::Refused)?;
        let mut values = from
            .values()
            .with(Placeholder::RefreshToken, request.refresh_token.expose())
            .with(Placeholder::Provider, request.provider);
        if let Some(token) = request.access_token {
            values = values.with(Placeholder::AccessToken, token.expose());
        }
        if let Some(claims) = request.identity {
            values = values.with_claims(claims.clone());
        }
        let answer = self.caller.call(template, &values, &from.client).await.map_err(|error| {
            tracing::warn!(%error, "authority: refresh call failed");
            match error {
                CallError::Unsent(_) => RefreshError::Unsent,
                CallError::Unanswered(_) => RefreshError::Unanswered,
                CallError::TooLarge(_) | CallError::Value(_) => RefreshError::Failed { retry_after: None },
            }
        })?;
        // A page comes from a proxy in between or an error handler: no word of the backend's on this token.
        if backend.refused.contains(&answer.status.as_u16()) && !answer.is_html {
            return Err(RefreshError::Refused);
        }
        if !answer.status.is_success() {
            tracing::warn!(status = answer.status.as_u16(), "authority: refresh call of no use");
            let retry_after = oidc::retry_after(&answer.headers, self.clock.now());
            return Err(RefreshError::Failed { retry_after });
        }
        let Some(tokens) = backend.answer.tokens(&answer) else {
            tracing::error!("authority: no access token where [authority.answer] says");
            return Err(RefreshError::Failed { retry_after: None });
        };
        self.issued(tokens, None).await.map_err(|error| useless(&error))
    }
}

fn useless(error: &super::VerifyError) -> RefreshError {
    tracing::error!(%error, "authority: its new access token does not pass [authority.verify]");
    RefreshError::Failed { retry_after: None }
}
