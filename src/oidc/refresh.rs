//! The refresh of a provider's tokens (OpenID Connect Core section 12).

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;

use super::{
    claims::Claims,
    endpoints::Endpoints,
    fetch::{self, Unavailable},
    id_token::{Expected, Flaw, IdTokenError},
    metadata::Metadata,
    provider::{Protocol, Provider, Published},
    token::{TokenAnswer, TokenError},
    userinfo::{self, UserinfoError},
};
use crate::{
    outbound::{NoAnswer, chain},
    secret::RefreshToken,
};

/// The result of a refresh.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The new tokens; an ID token among them is verified.
    pub tokens: TokenAnswer,
    /// The new profile; `None` if the old one stays.
    pub profile: Option<Claims>,
}

/// Why a refresh failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RefreshError {
    /// A well-formed refusal (`invalid_grant`, or a status in `authority.refresh.refused`): this refresh token is no
    /// longer valid.
    #[error("the refresh token was refused")]
    Refused,
    /// The request was not sent.
    #[error("the authority could not be reached")]
    Unsent,
    /// The request was sent and not answered: the refresh token may be spent.
    #[error("the authority did not answer")]
    Unanswered,
    /// The answer is 429. It says nothing of other sessions.
    #[error("the authority answered 429: too many requests")]
    TooMany {
        /// The wait in its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The answer is neither tokens nor a refusal.
    #[error("the authority's answer has no tokens and is no refusal")]
    Failed {
        /// The wait in its `Retry-After`.
        retry_after: Option<Duration>,
    },
}

impl Provider {
    /// Requests new tokens. A new ID token or profile must be of the same person and client as `previous`, the claims
    /// in the session.
    pub async fn refresh(
        &self,
        refresh_token: &RefreshToken,
        previous: Option<&Claims>,
    ) -> Result<Refreshed, RefreshError> {
        let published = match &self.protocol {
            Protocol::OpenId(published) => published,
            Protocol::OAuth2(oauth2) => return self.refresh_by_profile(oauth2, refresh_token, previous).await,
        };
        let metadata = self.metadata(published).await.map_err(|_| RefreshError::Unsent)?;
        let endpoints = metadata.endpoints(self.settings.preset);
        let mut tokens = self.refreshed_tokens(&endpoints, refresh_token).await?;
        let claims = match self.refreshed_claims(published, &metadata, &tokens, previous).await {
            Ok(claims) => claims,
            Err(IdTokenError::Invalid(rejection)) => {
                tracing::error!(provider = self.settings.name, %rejection, "oidc: a refresh returned a wrong ID token");
                return Err(RefreshError::Failed { retry_after: None });
            }
            Err(IdTokenError::Unavailable(error)) => {
                // The refresh token is spent, so the new tokens must not be lost because no key can be fetched. The
                // specification permits an answer without ID token.
                tracing::warn!(provider = self.settings.name, %error, "oidc: ID token dropped, no keys to verify it");
                tokens.id_token = None;
                None
            }
        };
        let profile = self.refreshed_profile((published, &metadata), &tokens, claims, previous).await;
        Ok(Refreshed { tokens, profile })
    }

    /// The new tokens; the ID token is not verified yet.
    pub(super) async fn refreshed_tokens(
        &self,
        endpoints: &Endpoints,
        refresh_token: &RefreshToken,
    ) -> Result<TokenAnswer, RefreshError> {
        let mut fields =
            vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh_token.expose().to_owned())];
        fields.extend(self.settings.refresh_params.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.tokens(endpoints, fields, fetch::REFRESH).await.map_err(|error| match error {
            TokenError::Refused(refusal) if self.settings.preset.refuses_refresh(&refusal.error) => {
                tracing::info!(provider = self.settings.name, error = %refusal, "oidc: the provider refused a refresh");
                RefreshError::Refused
            }
            TokenError::Refused(refusal) => {
                tracing::warn!(
                    provider = self.settings.name,
                    error = %refusal,
                    "oidc: the provider answered a refresh with an error"
                );
                RefreshError::Failed { retry_after: None }
            }
            TokenError::Unavailable(error) => {
                tracing::warn!(
                    provider = self.settings.name,
                    error = %chain(&error),
                    "oidc: the provider did not answer a refresh with tokens"
                );
                error.into()
            }
        })
    }

    /// The verified claims of a refresh's ID token, if there is one (OpenID Connect Core section 12.2).
    async fn refreshed_claims(
        &self,
        published: &Published,
        metadata: &Metadata,
        tokens: &TokenAnswer,
        previous: Option<&Claims>,
    ) -> Result<Option<Claims>, IdTokenError> {
        let Some(token) = &tokens.id_token else { return Ok(None) };
        let expected = Expected { access_token: Some(&tokens.access_token), ..self.expected(metadata) };
        let claims = self.verified_claims(published, token, expected).await?;
        for (name, flaw) in [("iss", Flaw::Issuer), ("sub", Flaw::Subject), ("aud", Flaw::Audience)] {
            if let Some(before) = previous.and_then(|previous| previous.get(name))
                && claims.get(name).map(as_list) != Some(as_list(before))
            {
                let wanted = "a refresh must be of the same person, issuer and client as the login";
                return Err(IdTokenError::Invalid(flaw.with(claims.get(name), wanted)));
            }
        }
        let logged_in = |claims: &Claims| claims.get("auth_time").and_then(Value::as_f64);
        match (previous.and_then(logged_in), logged_in(&claims)) {
            (Some(before), Some(now)) if now < before => {
                Err(IdTokenError::Invalid(Flaw::Time.because("`auth_time` is before that of the login")))
            }
            _ => Ok(Some(claims)),
        }
    }

    /// The profile after a refresh; `None` if a part of it cannot be fetched because of an outage: an incomplete one
    /// could lack a role.
    async fn refreshed_profile(
        &self,
        (published, metadata): (&Published, &Metadata),
        tokens: &TokenAnswer,
        claims: Option<Claims>,
        previous: Option<&Claims>,
    ) -> Option<Claims> {
        let base = match claims {
            Some(claims) => claims,
            // Without a new ID token, the old claims about the login stay valid; those about the person may be out of
            // date.
            None => userinfo::login_claims(previous?),
        };
        let is_new = tokens.id_token.is_some();
        match self.userinfo((published, metadata), &tokens.access_token, &base, PROFILE_AT_REFRESH).await {
            Ok(None) => is_new.then_some(base),
            Ok(userinfo) => Some(userinfo::merged(&base, userinfo)),
            // What the ID token says anew counts: a role that was taken away there must not stay.
            Err(error @ UserinfoError::Refused(_)) => {
                tracing::warn!(provider = self.settings.name, %error, "oidc: no userinfo at refresh");
                is_new.then_some(base)
            }
            Err(error) => {
                tracing::warn!(
                    provider = self.settings.name,
                    error = %chain(&error),
                    "oidc: no profile at refresh; the old one stays"
                );
                None
            }
        }
    }
}

/// Deadline of the profile request at a refresh. It is short because requests wait for the new tokens.
pub(super) const PROFILE_AT_REFRESH: Duration = Duration::from_secs(3);

/// `aud` may be one name or a list of them.
fn as_list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        single => vec![single],
    }
}

impl From<Unavailable> for RefreshError {
    fn from(error: Unavailable) -> Self {
        match error {
            Unavailable::NoAnswer(error) => error.into(),
            Unavailable::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after, .. } => {
                Self::TooMany { retry_after }
            }
            Unavailable::Status { retry_after, .. } => Self::Failed { retry_after },
            _ => Self::Failed { retry_after: None },
        }
    }
}

impl From<NoAnswer> for RefreshError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Unsent { .. } => Self::Unsent,
            NoAnswer::Unanswered { .. } => Self::Unanswered,
            NoAnswer::TooLarge { .. } => Self::Failed { retry_after: None },
        }
    }
}
