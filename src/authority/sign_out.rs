//! Telling the authority that a session is over.

use std::time::Duration;

use super::{Authority, Backend, ClientDevice, Kind};
use crate::{
    call::Placeholder,
    secret::{AccessToken, RefreshToken},
};

/// What a session that ends gives back.
#[derive(Clone, Copy, Debug)]
pub struct SignOutRequest<'a> {
    /// Its newest refresh token.
    pub refresh_token: Option<&'a RefreshToken>,
    /// Its newest access token.
    pub access_token: Option<&'a AccessToken>,
    /// The provider it came from; empty where none.
    pub provider: &'a str,
}

/// What the authority made of it. Unless it confirmed, the refresh token may well live on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignedOut {
    /// The tokens are worthless there.
    Confirmed,
    /// It did not answer, or not well.
    NotConfirmed,
    /// It has no way to be told, or there is no token to give back.
    NothingToDo,
}

impl Authority {
    /// Signs out; takes 10 s at most, and never fails the logout.
    pub async fn sign_out(&self, request: SignOutRequest<'_>, from: &ClientDevice) -> SignedOut {
        let signed_out = async {
            match &self.kind {
                Kind::Provider => self.revoke(request).await,
                Kind::Backend(backend) => self.sign_out_at_backend(backend, request, from).await,
                Kind::Gateway(_) => self.sign_out_own(request.refresh_token).await,
            }
        };
        tokio::time::timeout(LONGEST, signed_out).await.unwrap_or(SignedOut::NotConfirmed)
    }

    async fn revoke(&self, request: SignOutRequest<'_>) -> SignedOut {
        let Some(provider) = self.provider(request.provider) else { return SignedOut::NothingToDo };
        match provider.revoke(request.refresh_token, request.access_token).await {
            Ok(true) => SignedOut::Confirmed,
            Ok(false) => SignedOut::NothingToDo,
            Err(error) => {
                tracing::warn!(provider = request.provider, %error, "authority: revocation not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }

    async fn sign_out_at_backend(
        &self,
        backend: &Backend,
        request: SignOutRequest<'_>,
        from: &ClientDevice,
    ) -> SignedOut {
        let Some(template) = &backend.signout else { return SignedOut::NothingToDo };
        let mut values = from.values().with(Placeholder::Provider, request.provider);
        if let Some(token) = request.refresh_token {
            values = values.with(Placeholder::RefreshToken, token.expose());
        }
        if let Some(token) = request.access_token {
            values = values.with(Placeholder::AccessToken, token.expose());
        }
        match self.caller.call(template, &values, &from.client).await {
            Ok(answer) if answer.status.is_success() => SignedOut::Confirmed,
            Ok(answer) => {
                tracing::warn!(status = answer.status.as_u16(), "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
            Err(error) => {
                tracing::warn!(%error, "authority: sign-out not confirmed");
                SignedOut::NotConfirmed
            }
        }
    }
}

/// A visitor waits for the logout.
const LONGEST: Duration = Duration::from_secs(10);
