//! The refresh of a provider's tokens (OpenID Connect Core section 12).

use std::time::Duration;

use serde_json::Value;

use super::{
    Claims, Flaw, IdTokenError, Provider, TokenAnswer, Unavailable, fetch,
    id_token::Expected,
    metadata::Metadata,
    provider::{Protocol, Published},
    token::{Endpoints, Failure},
    userinfo,
};
use crate::secret::RefreshToken;

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The new tokens; an ID token among them is verified.
    pub tokens: TokenAnswer,
    /// The profile as it is now; none keeps the old one.
    pub profile: Option<Claims>,
}

/// Why a refresh brought nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RefreshError {
    /// A well-formed refusal (`invalid_grant`, or what a backend says instead): this refresh token is over.
    #[error("the refresh token was refused")]
    Refused,
    /// Nothing reached the one who issues.
    #[error("the authority could not be reached")]
    Unsent,
    /// It was asked and may have acted, but its answer did not come.
    #[error("the authority did not answer")]
    Unanswered,
    /// It answered something useless.
    #[error("the authority's answer is of no use")]
    Failed {
        /// What it said about trying again.
        retry_after: Option<Duration>,
    },
}

impl Provider {
    /// Asks for new tokens. A new ID token or profile must be of the person (and client) that `previous`, the claims of the session so far, names.
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
        let mut tokens = self.refreshed_tokens(&endpoints, refresh_token, &[]).await?;
        let claims = match self.refreshed_claims(published, &metadata, &tokens, previous).await {
            Ok(claims) => claims,
            Err(IdTokenError::Invalid(flaw)) => {
                tracing::error!(provider = self.settings.name, %flaw, "oidc: refresh brought a bad ID token");
                return Err(RefreshError::Failed { retry_after: None });
            }
            Err(IdTokenError::Unavailable(error)) => {
                // The refresh token is spent: what came with it must not be lost for want of a key. An answer without ID token is legal.
                tracing::warn!(provider = self.settings.name, %error, "oidc: ID token of a refresh not verifiable now");
                tokens.id_token = None;
                None
            }
        };
        let profile = self.refreshed_profile(&metadata, &tokens, claims, previous).await;
        Ok(Refreshed { tokens, profile })
    }

    /// The new tokens alone. `extra` are fields of the request besides those of the specification.
    pub(super) async fn refreshed_tokens(
        &self,
        endpoints: &Endpoints,
        refresh_token: &RefreshToken,
        extra: &[(String, String)],
    ) -> Result<TokenAnswer, RefreshError> {
        let mut fields =
            vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh_token.expose().to_owned())];
        fields.extend(extra.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.tokens(endpoints, fields, fetch::REFRESH).await.map_err(|failure| match failure {
            Failure::Error(error) if self.settings.preset.refuses_refresh(&error) => RefreshError::Refused,
            Failure::Error(error) => {
                tracing::warn!(provider = self.settings.name, error, "oidc: refresh answered with an error");
                RefreshError::Failed { retry_after: None }
            }
            Failure::Unavailable(error) => error.into(),
        })
    }

    /// The claims of a refresh's ID token, if it brought one (OpenID Connect Core section 12.2).
    async fn refreshed_claims(
        &self,
        published: &Published,
        metadata: &Metadata,
        tokens: &TokenAnswer,
        previous: Option<&Claims>,
    ) -> Result<Option<Claims>, IdTokenError> {
        let Some(token) = &tokens.id_token else { return Ok(None) };
        let expected = Expected { access_token: Some(&tokens.access_token), ..self.expected(metadata) };
        let claims = self.verified(published, token, expected).await?;
        for (name, flaw) in [("iss", Flaw::Issuer), ("sub", Flaw::Subject), ("aud", Flaw::Audience)] {
            if let Some(before) = previous.and_then(|previous| previous.get(name))
                && claims.get(name).map(as_list) != Some(as_list(before))
            {
                return Err(IdTokenError::Invalid(flaw));
            }
        }
        let logged_in = |claims: &Claims| claims.get("auth_time").and_then(Value::as_f64);
        match (previous.and_then(logged_in), logged_in(&claims)) {
            (Some(before), Some(now)) if now < before => Err(IdTokenError::Invalid(Flaw::Time)),
            _ => Ok(Some(claims)),
        }
    }

    /// The profile after a refresh; none where it cannot be had whole, for half of one could lack a role.
    async fn refreshed_profile(
        &self,
        metadata: &Metadata,
        tokens: &TokenAnswer,
        claims: Option<Claims>,
        previous: Option<&Claims>,
    ) -> Option<Claims> {
        let base = match claims {
            Some(claims) => claims,
            // Without a new ID token the old one's facts about the login stand; what it said of the person may be out of date.
            None => userinfo::about_the_login(previous?),
        };
        let is_new = tokens.id_token.is_some();
        match self.userinfo(metadata, &tokens.access_token, &base, PROFILE_AT_REFRESH).await {
            Ok(None) => is_new.then_some(base),
            Ok(userinfo) => Some(userinfo::merged(&base, userinfo)),
            Err(error) => {
                tracing::warn!(provider = self.settings.name, %error, "oidc: no profile at refresh, the old one is kept");
                None
            }
        }
    }
}

/// At a refresh somebody waits for the tokens; the profile must not hold them up for long.
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
            Unavailable::Unsent(_) => Self::Unsent,
            Unavailable::Unanswered(_) => Self::Unanswered,
            Unavailable::Status { retry_after, .. } => Self::Failed { retry_after },
            _ => Self::Failed { retry_after: None },
        }
    }
}
