//! A provider with OAuth 2.0 but without OpenID Connect: the person is read from a profile, with the access token.
//!
//! The profile is a proof only because the token came directly from the token endpoint, for the code of this login. A
//! token that a client sends would prove nothing and is never accepted.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Method, header};
use reqwest::RequestBuilder;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{
    claims::Claims,
    fetch::{self, Http, Unavailable},
    id_token::{Flaw, Rejection},
    issuer,
    login::{Attempt, CallbackParams, Identity, OidcError},
    provider::Provider,
    refresh::{PROFILE_AT_REFRESH, RefreshError, Refreshed},
};
use crate::{
    outbound::{HttpAnswer, chain},
    secret::{AccessToken, RefreshToken},
};

mod profile;
pub(super) mod settings;
#[cfg(test)]
mod tests;

pub use profile::{Profile, ProfileSuccess};
pub use settings::OAuth2;

/// The answer to the profile request, and the claims made from it.
struct ProfileAnswer {
    claims: Claims,
    as_given: Claims,
    email_verified_as_given: Option<Value>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
enum ProfileError {
    /// The provider is down, or its answer cannot be read.
    #[error("the profile is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// The answer is a refusal, or is not accepted as a proof.
    #[error("the profile is not accepted: {0}")]
    Untrusted(Rejection),
}

impl Provider {
    /// Exchanges the callback's code for an identity; the caller has checked `state`.
    pub(super) async fn redeem_by_profile(
        &self,
        oauth2: &OAuth2,
        callback: CallbackParams,
        attempt: &Attempt,
        redirect_uri: &str,
    ) -> Result<Identity, OidcError> {
        // RFC 9207. Without metadata the issuer is known only if it is configured.
        let is_other = |issuer: &&str| !issuer::is_issuer(&self.settings.issuer, issuer);
        if oauth2.issuer_is_given
            && let Some(named) = callback.iss.as_deref().filter(is_other)
        {
            return Err(self.other_issuer(Some(named), &self.settings.issuer_as_written));
        }
        let endpoints = oauth2.endpoints(self.settings.preset);
        let mut tokens = self.exchange_code(&endpoints, &callback, attempt, redirect_uri).await?;
        // It cannot be verified without a key set.
        tokens.id_token = None;
        let profile = self.profile(oauth2, &tokens.access_token, fetch::CALL).await?;
        Ok(Identity {
            provider: self.settings.name.clone(),
            claims: profile.claims.clone(),
            profile: profile.claims,
            profile_as_given: Some(profile.as_given),
            email_verified_as_given: profile.email_verified_as_given,
            id_token: None,
            tokens: Some(tokens),
        })
    }

    /// New tokens, and the profile fetched with them.
    pub(super) async fn refresh_by_profile(
        &self,
        oauth2: &OAuth2,
        refresh_token: &RefreshToken,
        previous: Option<&Claims>,
    ) -> Result<Refreshed, RefreshError> {
        let endpoints = oauth2.endpoints(self.settings.preset);
        let mut tokens = self.refreshed_tokens(&endpoints, refresh_token).await?;
        tokens.id_token = None;
        let name = &self.settings.name;
        let profile = match self.profile(oauth2, &tokens.access_token, PROFILE_AT_REFRESH).await {
            Ok(profile) => Some(profile.claims),
            Err(error) => {
                // The refresh token may be spent, so the new tokens must not be lost because there is no profile.
                tracing::warn!(provider = name, error = %chain(&error), "oidc: no profile at refresh; the old one stays");
                None
            }
        };
        let before = previous.and_then(|previous| previous.get("sub"));
        match (before, profile.as_ref().and_then(|profile| profile.get("sub"))) {
            (Some(before), Some(now)) if before != now => {
                // No refusal, so the session stays; the tokens are not used.
                tracing::error!(provider = name, "oidc: a refresh returned the tokens of another person");
                Err(RefreshError::Failed { retry_after: None })
            }
            _ => Ok(Refreshed { tokens, profile }),
        }
    }

    async fn profile(
        &self,
        oauth2: &OAuth2,
        access_token: &AccessToken,
        deadline: Duration,
    ) -> Result<ProfileAnswer, ProfileError> {
        let Profile { url, emails_url, .. } = &oauth2.profile;
        let emails = async {
            match emails_url {
                Some(url) => self.emails(&oauth2.profile, url, access_token, deadline).await,
                None => Ok(None),
            }
        };
        let profile = self.ask(profile_request(&self.http, url, &oauth2.profile, access_token), deadline);
        let (profile, emails) = futures_util::future::join(profile, emails).await;
        let received = profile.map_err(|error| ProfileError::Unavailable(Arc::new(error)))?;
        if fetch::is_refusal(&received) {
            let status = Value::from(received.status.as_u16());
            let rejection = Flaw::Profile.with(Some(&status), "a profile comes with status 200");
            return Err(ProfileError::Untrusted(rejection.of("profile: ")));
        }
        let as_given: Claims = self.document(&received, "profile")?;
        let issuer = issuer::issuer_text(&self.settings.issuer);
        let answer = Value::Object(as_given.clone());
        let emails = emails?;
        let claims = oauth2.profile.claims(issuer, &answer, emails.as_ref());
        let claims = claims.map_err(|flaw| {
            let reason = match flaw {
                Flaw::Subject => {
                    format!("`{}` holds no text and no whole number that can be one", oauth2.profile.subject)
                }
                _ => "its success value is another one".to_owned(),
            };
            ProfileError::Untrusted(flaw.because(&reason).of("profile: "))
        })?;
        let email_verified_as_given = oauth2.profile.verified_without_a_boolean(&answer, emails.as_ref()).cloned();
        Ok(ProfileAnswer { claims, as_given, email_verified_as_given })
    }

    /// The list of e-mail addresses; `None` if the provider refuses it, for example because a scope is missing.
    async fn emails(
        &self,
        profile: &Profile,
        url: &Url,
        access_token: &AccessToken,
        deadline: Duration,
    ) -> Result<Option<Value>, ProfileError> {
        let received = self.ask(profile_request(&self.http, url, profile, access_token), deadline).await;
        let received = received.map_err(|error| ProfileError::Unavailable(Arc::new(error)))?;
        if fetch::is_refusal(&received) {
            tracing::info!(
                provider = self.settings.name,
                status = received.status.as_u16(),
                "oidc: the provider refused the list of e-mail addresses"
            );
            return Ok(None);
        }
        self.document(&received, "list of e-mail addresses").map(Some)
    }

    fn document<T: DeserializeOwned>(&self, answer: &HttpAnswer, name: &'static str) -> Result<T, ProfileError> {
        fetch::read_json(answer, name, self.clock.now()).map_err(|error| ProfileError::Unavailable(Arc::new(error)))
    }
}

/// A GET with the access token as Bearer token.
fn profile_request(http: &Http, url: &Url, profile: &Profile, access_token: &AccessToken) -> RequestBuilder {
    let request = http.request(Method::GET, url.clone()).header(header::ACCEPT, "application/json");
    let own: HeaderMap = profile.headers.iter().cloned().collect();
    request.headers(own).bearer_auth(access_token.expose())
}

impl From<ProfileError> for OidcError {
    fn from(error: ProfileError) -> Self {
        match error {
            ProfileError::Unavailable(error) => Self::Unavailable(error),
            ProfileError::Untrusted(rejection) => Self::Untrusted(rejection),
        }
    }
}
