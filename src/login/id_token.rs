//! `POST /{provider}` and `POST /{provider}/nonce`: a login with an ID token that an app or a page got directly from
//! the provider (Google One Tap, native sign-in).

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{
    error::LoginError,
    logins::{Failed, Logins},
};
use crate::{
    authority::Proof,
    endpoint::{self, Call, EndpointAnswer, Fields},
    oidc::{Claims, IdTokenError},
    secret::IdToken,
    session::CookieChanges,
};

/// Oldest accepted `iat` of an ID token.
const MAX_AGE: Duration = Duration::from_secs(600);
/// How long a used token is remembered: [`MAX_AGE`] and 5 min for differences between clocks.
const REMEMBERED: Duration = Duration::from_secs(900);

impl Logins {
    /// `POST /{provider}`, where `id_token_login` is configured.
    pub async fn id_token(&self, mut call: Call, provider: &str) -> Result<EndpointAnswer, Failed> {
        match self.exchange(&mut call, provider).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(&call, provider, error, CookieChanges::default())),
        }
    }

    /// `POST /{provider}/nonce`: a nonce for the ID token of a browser.
    pub fn nonce(&self, call: &Call, provider: &str) -> Result<EndpointAnswer, Failed> {
        match self.audiences(provider) {
            Ok(_) => {
                let nonce = self.sessions.attempts().seal_nonce(provider);
                let (auth_status, cookies) = call.visit.head();
                Ok(EndpointAnswer::json(StatusCode::OK, json!({ "nonce": nonce }), cookies, auth_status))
            }
            Err(error) => Err(self.failed(call, provider, error, CookieChanges::default())),
        }
    }

    async fn exchange(&self, call: &mut Call, name: &str) -> Result<EndpointAnswer, LoginError> {
        let audiences = self.audiences(name)?;
        let fields = Fields::of(call)?;
        let id_token = fields.text("id_token").filter(|token| !token.is_empty()).ok_or(LoginError::FieldMissing)?;
        let id_token = IdToken::new(id_token);
        let provider = self.provider(name)?;
        let verified = provider.verify_id_token(&id_token, audiences, None, Some(MAX_AGE)).await;
        let claims = verified.map_err(|error| match error {
            IdTokenError::Invalid(rejection) => LoginError::InvalidIdToken(rejection),
            IdTokenError::Unavailable(cause) => LoginError::ProviderUnavailable(cause),
        })?;
        self.take_nonce(call, name, &claims).await?;
        self.take_token(call, &id_token).await?;

        let device = call.device(
            &self.sessions,
            &self.random,
            endpoint::app_device_id(fields.text("deviceId")),
            fields.text("deviceName"),
        );
        let identity = provider.identity(id_token, claims);
        let entered = self.enter(call, Proof::Provider(Box::new(identity)), name, device).await?;
        Ok(self.entered(entered))
    }

    fn audiences(&self, provider: &str) -> Result<&[String], LoginError> {
        self.provider(provider)?.settings().id_token_audiences.as_deref().ok_or(LoginError::NotConfigured)
    }

    /// Uses up the nonce. Another site could make a browser log in with the attacker's token, so a token from a browser
    /// must have an unused nonce of ours. A token from an app may have any nonce.
    async fn take_nonce(&self, call: &Call, provider: &str, claims: &Claims) -> Result<(), LoginError> {
        let nonce = claims.get("nonce").and_then(|nonce| nonce.as_str());
        let ours = nonce.filter(|nonce| self.sessions.attempts().is_own_nonce(provider, nonce));
        match ours {
            Some(nonce) => self.take_once(call, &[b"nonce", provider.as_bytes(), nonce.as_bytes()]).await,
            None if call.is_from_browser() => Err(LoginError::NonceExpected),
            None => Ok(()),
        }
    }

    /// Uses up the token. It is identified by its signed part, because an ECDSA signature has a second valid form.
    async fn take_token(&self, call: &Call, token: &IdToken) -> Result<(), LoginError> {
        let signed = token.expose().rsplit_once('.').map_or(token.expose(), |(signed, _)| signed);
        self.take_once(call, &[b"id_token", signed.as_bytes()]).await
    }

    async fn take_once(&self, call: &Call, key: &[&[u8]]) -> Result<(), LoginError> {
        let until = self.clock.now().plus(REMEMBERED);
        let is_first = self.sessions.attempts().take_once(call.client.key(), key, until).await?;
        if is_first { Ok(()) } else { Err(LoginError::UsedIdToken) }
    }
}
