//! A login, from the authorization request to a verified identity (OpenID Connect Core section 3.1).

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    claims::Claims,
    endpoints::Endpoints,
    fetch::{self, Unavailable},
    id_token::{Expected, Flaw, IdTokenError, Rejection},
    issuer,
    provider::{Protocol, Provider, Published},
    settings::{RESERVED_PARAMS, ResponseMode},
    token::{Refusal, TokenAnswer, TokenError},
    userinfo::{self, UserinfoError},
};
use crate::{
    received,
    secret::{IdToken, Secret},
};

/// An authorization request, and the secrets that its callback must match.
#[derive(Debug)]
pub struct Authorization {
    /// The URL that the browser is redirected to.
    pub url: Url,
    /// For the caller to seal into a cookie.
    pub attempt: Attempt,
}

/// The secrets that bind a callback to the browser that began the login: new for each attempt, used once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// `state`: 256 random bits.
    pub state: Secret,
    /// `nonce` of the ID token: 256 random bits.
    pub nonce: Secret,
    /// The PKCE verifier (RFC 7636 section 4.1): 256 random bits.
    pub verifier: Secret,
}

/// The parameters of a callback.
#[derive(Clone, Debug)]
pub struct CallbackParams {
    /// `code`: the authorization code.
    pub code: Secret,
    /// `state`: must equal that of the authorization request.
    pub state: Secret,
    /// `iss`: the issuer (RFC 9207).
    pub iss: Option<String>,
}

/// The person who logged in: proved by a verified ID token, or by a profile that was read with the login's access
/// token.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The ID token's claims; without an ID token, those made from the profile.
    pub claims: Claims,
    /// `claims` and those of the userinfo endpoint, under OpenID Connect's names.
    pub profile: Claims,
    /// The profile in the provider's form, if that differs from OpenID Connect's.
    pub profile_as_given: Option<Claims>,
    /// What an OAuth 2.0 provider says in place of a boolean about whether the address is verified; for the log.
    pub email_verified_as_given: Option<Value>,
    /// The verified ID token; `None` with OAuth 2.0.
    pub id_token: Option<IdToken>,
    /// The provider's tokens; `None` if an app sent the ID token.
    pub tokens: Option<TokenAnswer>,
}

/// Why a login failed.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider is down, or its answer violates the specification: a later try may succeed.
    #[error("the provider is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// As `Unavailable`, and the provider has not taken the code: the same callback can be tried again.
    #[error("the provider is not available")]
    CodeUnused(#[source] Arc<Unavailable>),
    /// The provider refused the code or the client: a new login is needed.
    #[error("the provider refused: {0}")]
    Refused(Refusal),
    /// The callback does not belong to this attempt.
    #[error("the callback belongs to another login attempt")]
    Attempt,
    /// The ID token or profile is not accepted.
    #[error("the provider's answer is not accepted: {0}")]
    Untrusted(Rejection),
}

impl OidcError {
    /// Whether only the operator can mend it: another login fails in the same way.
    pub fn is_misconfigured(&self) -> bool {
        match self {
            Self::Unavailable(error) | Self::CodeUnused(error) => error.is_misconfigured(),
            // RFC 6749 section 5.2: all but `invalid_grant` are about the client. RFC 8707, RFC 9449; the last two are
            // GitHub's words, and Google's.
            Self::Refused(refusal) => matches!(
                refusal.error.as_str(),
                "invalid_client"
                    | "invalid_request"
                    | "invalid_scope"
                    | "unauthorized_client"
                    | "unsupported_grant_type"
                    | "invalid_target"
                    | "invalid_dpop_proof"
                    | "use_dpop_nonce"
                    | "incorrect_client_credentials"
                    | "redirect_uri_mismatch"
            ),
            Self::Attempt => false,
            Self::Untrusted(rejection) => rejection.flaw.is_misconfigured(),
        }
    }
}

impl Provider {
    /// Begins a login. `extra` are parameters of this request only, such as `prompt`; those that protect the login
    /// cannot be replaced.
    pub async fn authorization(&self, redirect_uri: &str, extra: &[(&str, &str)]) -> Result<Authorization, OidcError> {
        let endpoints = self.endpoints().await.map_err(OidcError::Unavailable)?;
        let attempt = Attempt {
            state: Secret::new(self.random.token::<32>()),
            nonce: Secret::new(self.random.token::<32>()),
            verifier: Secret::new(self.random.token::<32>()),
        };
        let challenge = digest::digest(&digest::SHA256, attempt.verifier.expose().as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let scope = self.settings.scopes.join(" ");
        let mut fixed = vec![
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", redirect_uri),
            ("state", attempt.state.expose()),
        ];
        if !scope.is_empty() {
            fixed.push(("scope", &scope));
        }
        if matches!(self.protocol, Protocol::OpenId(_)) {
            fixed.push(("nonce", attempt.nonce.expose()));
        }
        if self.uses_pkce() {
            fixed.extend([("code_challenge", challenge.as_str()), ("code_challenge_method", "S256")]);
        }
        if self.settings.response_mode == ResponseMode::FormPost {
            fixed.push(("response_mode", "form_post"));
        }
        let configured = self.settings.authorize_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let configured = configured.filter(|(name, _)| extra.iter().all(|(replaced, _)| replaced != name));
        let is_reserved = |name: &str| name == "scope" || RESERVED_PARAMS.contains(&name);
        let others = configured.chain(extra.iter().copied()).filter(|(name, _)| !is_reserved(name));
        let mut url = endpoints.authorization;
        url.query_pairs_mut()
            .extend_pairs(fixed)
            .extend_pairs(others.map(|(name, value)| self.settings.preset.authorize_param(name, value)));
        Ok(Authorization { url, attempt })
    }

    /// Completes a login: exchanges the callback's code for an identity. The caller has deleted the cookie of
    /// `attempt`.
    pub async fn redeem(
        &self,
        callback: CallbackParams,
        attempt: &Attempt,
        redirect_uri: &str,
    ) -> Result<Identity, OidcError> {
        if attempt.state.is_empty() || callback.state != attempt.state {
            return Err(OidcError::Attempt);
        }
        match &self.protocol {
            Protocol::OpenId(published) => self.redeem_by_id_token(published, callback, attempt, redirect_uri).await,
            Protocol::OAuth2(oauth2) => self.redeem_by_profile(oauth2, callback, attempt, redirect_uri).await,
        }
    }

    async fn redeem_by_id_token(
        &self,
        published: &Published,
        callback: CallbackParams,
        attempt: &Attempt,
        redirect_uri: &str,
    ) -> Result<Identity, OidcError> {
        let metadata = self.metadata(published).await.map_err(OidcError::CodeUnused)?;
        match &callback.iss {
            Some(issuer) if issuer::is_of(&metadata.issuer, issuer) => {}
            None if !metadata.authorization_response_iss_parameter_supported => {}
            named => return Err(self.other_issuer(named.as_deref(), &metadata.issuer)),
        }
        let endpoints = metadata.endpoints(self.settings.preset);
        let tokens = self.exchange_code(&endpoints, &callback, attempt, redirect_uri).await?;
        let reason = "there is no `id_token` in the token answer, or it is no text: is the scope `openid` asked for?";
        let absent = || OidcError::Untrusted(Flaw::Form.because(reason));
        let id_token = tokens.id_token.clone().ok_or_else(absent)?;
        let claims = self
            .verified_claims(
                published,
                &id_token,
                Expected {
                    nonce: Some(attempt.nonce.expose()),
                    access_token: Some(&tokens.access_token),
                    ..self.expected(&metadata)
                },
            )
            .await?;
        // An issuer that stands for many tenants is compared with the token's, as soon as that is known.
        let of_token = claims.get("iss").and_then(Value::as_str);
        if issuer::has_tenant(&metadata.issuer)
            && let Some(named) = callback.iss.as_deref().filter(|named| of_token != Some(named))
        {
            return Err(self.other_issuer(Some(named), of_token.unwrap_or_default()));
        }
        let userinfo = match self.userinfo((published, &metadata), &tokens.access_token, &claims, fetch::CALL).await {
            Err(error @ UserinfoError::Refused(_)) => {
                tracing::warn!(provider = self.settings.name, %error, "oidc: the login has no userinfo");
                None
            }
            userinfo => userinfo?,
        };
        let profile = userinfo::merged(&claims, userinfo);
        Ok(Identity {
            provider: self.settings.name.clone(),
            claims,
            profile,
            profile_as_given: None,
            email_verified_as_given: None,
            id_token: Some(id_token),
            tokens: Some(tokens),
        })
    }

    /// The error for a callback whose `iss` (RFC 9207) is absent or another one than expected. The log has both values:
    /// they may differ by a slash alone.
    pub(super) fn other_issuer(&self, named: Option<&str>, expected: &str) -> OidcError {
        let named = named.map(|named| received::for_log(named, 200, &[]));
        tracing::warn!(
            provider = self.settings.name,
            named,
            expected,
            "oidc: the callback's `iss` is not that of the provider; the login is refused"
        );
        OidcError::Attempt
    }

    /// Exchanges the callback's code for tokens.
    pub(super) async fn exchange_code(
        &self,
        endpoints: &Endpoints,
        callback: &CallbackParams,
        attempt: &Attempt,
        redirect_uri: &str,
    ) -> Result<TokenAnswer, OidcError> {
        let mut fields = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", callback.code.expose().to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
        ];
        if self.uses_pkce() {
            fields.push(("code_verifier", attempt.verifier.expose().to_owned()));
        }
        if self.settings.preset.state_at_exchange() {
            fields.push(("state", callback.state.expose().to_owned()));
        }
        fields.extend(self.settings.token_params.iter().map(|(name, value)| (name.as_str(), value.clone())));
        self.tokens(endpoints, fields, fetch::CALL).await.map_err(|error| match error {
            TokenError::Refused(refusal) => OidcError::Refused(refusal),
            TokenError::Unavailable(error) if error.is_unheard() => OidcError::CodeUnused(Arc::new(error)),
            TokenError::Unavailable(error) => OidcError::Unavailable(Arc::new(error)),
        })
    }

    fn uses_pkce(&self) -> bool {
        match &self.protocol {
            Protocol::OpenId(_) => true,
            Protocol::OAuth2(oauth2) => oauth2.pkce,
        }
    }

    /// Verifies an ID token that an app sent. `audiences` are the values that `aud` and `azp` may have; `max_age` is
    /// the longest time since `iat`.
    pub async fn verify_id_token(
        &self,
        token: &IdToken,
        audiences: &[String],
        nonce: Option<&str>,
        max_age: Option<Duration>,
    ) -> Result<Claims, IdTokenError> {
        let Protocol::OpenId(published) = &self.protocol else { return Err(IdTokenError::Invalid(Flaw::Form.into())) };
        let metadata = self.metadata(published).await.map_err(IdTokenError::Unavailable)?;
        self.verified_claims(published, token, Expected { audiences, nonce, max_age, ..self.expected(&metadata) }).await
    }

    /// The identity in an ID token that [`Provider::verify_id_token`] has verified.
    pub fn identity(&self, id_token: IdToken, claims: Claims) -> Identity {
        Identity {
            provider: self.settings.name.clone(),
            profile: claims.clone(),
            claims,
            profile_as_given: None,
            email_verified_as_given: None,
            id_token: Some(id_token),
            tokens: None,
        }
    }
}

impl From<IdTokenError> for OidcError {
    fn from(error: IdTokenError) -> Self {
        match error {
            IdTokenError::Invalid(rejection) => Self::Untrusted(rejection),
            IdTokenError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<UserinfoError> for OidcError {
    fn from(error: UserinfoError) -> Self {
        match error {
            UserinfoError::Subject => {
                Self::Untrusted(Flaw::Subject.because("userinfo has not the `sub` of the ID token"))
            }
            UserinfoError::Refused(_) => Self::Untrusted(Flaw::Profile.into()),
            UserinfoError::Untrusted(rejection) => Self::Untrusted(rejection.of("signed userinfo: ")),
            UserinfoError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}
