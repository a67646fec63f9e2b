//! One identity provider: a login from its start to a verified identity, the refresh, and the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use reqwest::{Client, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::{
    Claims, Flaw, ResponseMode, Settings, TokenAnswer, Unavailable,
    fetch::{self, Received},
    id_token::Expected,
    jws::{self, Jws},
    kept::Kept,
    keys::KeySource,
    metadata::{self, Metadata},
    token::{self, Failure},
    userinfo::{self, UserinfoError},
};
use crate::{
    clock::Clock,
    secret::{AccessToken, IdToken, Random, RefreshToken, Secret},
};

/// A configured provider. What it publishes is fetched when it is first needed.
pub struct Provider {
    settings: Settings,
    http: Client,
    clock: Clock,
    random: Random,
    metadata: Kept<Metadata>,
    keys: KeySource,
    heard: AtomicU8,
}

/// Where to send the visitor, and what to remember of it.
#[derive(Debug)]
pub struct Authorization {
    /// The authorization request.
    pub url: Url,
    /// For the cookie of this attempt.
    pub attempt: Attempt,
}

/// What binds a callback to the browser that began the login: made anew each time, used once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// `state`: 192 random bits.
    pub state: Secret,
    /// `nonce` of the ID token: 192 random bits.
    pub nonce: Secret,
    /// The PKCE verifier (RFC 7636 section 4.1): 256 random bits.
    pub verifier: Secret,
}

/// What the callback brought.
#[derive(Clone, Debug)]
pub struct CallbackParams {
    /// `code`
    pub code: Secret,
    /// `state`
    pub state: Secret,
    /// `iss` (RFC 9207)
    pub iss: Option<String>,
}

/// Who logged in, proved by a verified ID token.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The ID token's claims.
    pub claims: Claims,
    /// The same and what the userinfo endpoint adds.
    pub profile: Claims,
    /// The ID token.
    pub id_token: IdToken,
    /// The provider's tokens; none where an app brought the ID token.
    pub tokens: Option<TokenAnswer>,
}

/// What a refresh brought.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// The new tokens; an ID token among them is verified.
    pub tokens: TokenAnswer,
    /// The profile as it is now; none keeps the old one.
    pub profile: Option<Claims>,
}

/// Why a login did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider is down or not what it should be: try again later.
    #[error("the provider is not available")]
    Unavailable(#[source] Arc<Unavailable>),
    /// The provider refused the code, or us: begin again.
    #[error("the provider refused: {error}")]
    Refused {
        /// Its error code.
        error: String,
    },
    /// The callback does not belong to this attempt.
    #[error("the callback belongs to another login attempt")]
    Attempt,
    /// The identity in the answer is not proved.
    #[error("the provider's answer is not believed: {0}")]
    Untrusted(Flaw),
}

/// Why an ID token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenError {
    /// It proves nothing.
    #[error("the ID token is not believed: {0}")]
    Invalid(Flaw),
    /// The provider's keys cannot be had now.
    #[error("the ID token cannot be verified now")]
    Unavailable(#[source] Arc<Unavailable>),
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

/// What the last exchange with a provider showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Reachability {
    /// There was none yet.
    Untried,
    /// It answers.
    Reachable,
    /// It does not.
    Unreachable,
}

impl Provider {
    /// A provider that is reached through `http` (see [`super::http_client`]).
    pub fn new(settings: Settings, http: Client, clock: Clock, random: Random) -> Self {
        let metadata = {
            let (issuer, preset) = (settings.issuer.clone(), settings.preset);
            let (http, now) = (http.clone(), clock.clone());
            Kept::new(format!("{} metadata", settings.name), clock.clone(), move || {
                let (http, issuer, now) = (http.clone(), issuer.clone(), now.now());
                async move { metadata::discover(&http, &issuer, preset, now).await.map_err(Arc::new) }.boxed()
            })
        };
        let located = metadata.clone();
        let keys = KeySource::published(format!("{} keys", settings.name), http.clone(), clock.clone(), move || {
            let located = located.clone();
            async move { Ok(located.current().await?.jwks_uri.clone()) }.boxed()
        });
        let heard = AtomicU8::new(Reachability::Untried as u8);
        Self { settings, http, clock, random, metadata, keys, heard }
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The identity in an ID token that [`Provider::verify_id_token`] has verified.
    pub fn identity(&self, id_token: IdToken, claims: Claims) -> Identity {
        Identity { provider: self.settings.name.clone(), profile: claims.clone(), claims, id_token, tokens: None }
    }

    /// Begins a login. `extra` are parameters of this one request, such as `prompt`; they cannot replace those that protect it.
    pub async fn authorization(&self, redirect_uri: &str, extra: &[(&str, &str)]) -> Result<Authorization, OidcError> {
        let metadata = self.metadata().await.map_err(OidcError::Unavailable)?;
        let attempt = Attempt {
            state: Secret::new(self.random.token::<24>()),
            nonce: Secret::new(self.random.token::<24>()),
            verifier: Secret::new(self.random.token::<32>()),
        };
        let challenge = digest::digest(&digest::SHA256, attempt.verifier.expose().as_bytes());
        let challenge = URL_SAFE_NO_PAD.encode(challenge);
        let scope = self.settings.scopes.join(" ");
        let mut own = vec![
            ("response_type", "code"),
            ("client_id", &self.settings.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &scope),
            ("state", attempt.state.expose()),
            ("nonce", attempt.nonce.expose()),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if self.settings.response_mode == ResponseMode::FormPost {
            own.push(("response_mode", "form_post"));
        }
        let configured = self.settings.authorize_params.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let configured = configured.filter(|(name, _)| extra.iter().all(|(over, _)| over != name));
        let others = configured.chain(extra.iter().copied()).filter(|(name, _)| !PROTECTED.contains(name));
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .extend_pairs(own)
            .extend_pairs(others.map(|(name, value)| self.settings.preset.authorize_param(name, value)));
        Ok(Authorization { url, attempt })
    }

    /// Ends a login: the callback's code becomes an identity. `attempt` must have been taken out of its cookie for good.
    pub async fn redeem(
        &self,
        callback: CallbackParams,
        attempt: &Attempt,
        redirect_uri: &str,
    ) -> Result<Identity, OidcError> {
        if attempt.state.is_empty() || callback.state != attempt.state {
            return Err(OidcError::Attempt);
        }
        let metadata = self.metadata().await.map_err(OidcError::Unavailable)?;
        match &callback.iss {
            Some(issuer) if *issuer == metadata.issuer => {}
            None if !metadata.authorization_response_iss_parameter_supported => {}
            _ => return Err(OidcError::Attempt),
        }
        let mut fields = vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", callback.code.expose().to_owned()),
            ("redirect_uri", redirect_uri.to_owned()),
            ("code_verifier", attempt.verifier.expose().to_owned()),
        ];
        if self.settings.preset.state_at_exchange() {
            fields.push(("state", callback.state.expose().to_owned()));
        }
        let request = token::request(&self.http, &metadata.token_endpoint, &self.settings, &metadata, fields);
        let received = self.ask(request, fetch::CALL).await.map_err(|error| OidcError::Unavailable(Arc::new(error)))?;
        let tokens = token::read(&received, self.clock.now()).map_err(|failure| match failure {
            Failure::Error(error) => OidcError::Refused { error },
            Failure::Unavailable(error) => OidcError::Unavailable(Arc::new(error)),
        })?;
        let id_token = tokens.id_token.clone().ok_or(OidcError::Untrusted(Flaw::Form))?;
        let claims = self
            .verified(
                &id_token,
                Expected {
                    nonce: Some(attempt.nonce.expose()),
                    access_token: Some(&tokens.access_token),
                    ..self.expected(&metadata)
                },
            )
            .await?;
        let userinfo = self.userinfo(&metadata, &tokens.access_token, &claims, fetch::CALL).await?;
        let profile = userinfo::merged(&claims, userinfo);
        Ok(Identity { provider: self.settings.name.clone(), claims, profile, id_token, tokens: Some(tokens) })
    }

    /// Verifies an ID token that came another way than by our own login, from an app for example. `audiences` are those that `aud` and `azp`
    /// may name; `max_age` bounds its `iat`.
    pub async fn verify_id_token(
        &self,
        token: &IdToken,
        audiences: &[String],
        nonce: Option<&str>,
        max_age: Option<Duration>,
    ) -> Result<Claims, IdTokenError> {
        let metadata = self.metadata().await.map_err(IdTokenError::Unavailable)?;
        self.verified(token, Expected { audiences, nonce, max_age, ..self.expected(&metadata) }).await
    }

    /// Asks for new tokens. A new ID token must be of the person and client that `previous`, the claims of the session so far, names.
    pub async fn refresh(
        &self,
        refresh_token: &RefreshToken,
        previous: Option<&Claims>,
    ) -> Result<Refreshed, RefreshError> {
        let metadata = self.metadata().await.map_err(|_| RefreshError::Unsent)?;
        let fields =
            vec![("grant_type", "refresh_token".to_owned()), ("refresh_token", refresh_token.expose().to_owned())];
        let request = token::request(&self.http, &metadata.token_endpoint, &self.settings, &metadata, fields);
        let received = self.ask(request, fetch::REFRESH).await?;
        let mut tokens = token::read(&received, self.clock.now()).map_err(|failure| match failure {
            Failure::Error(error) if error == "invalid_grant" => RefreshError::Refused,
            Failure::Error(error) => {
                tracing::warn!(provider = self.settings.name, error, "oidc: refresh answered with an error");
                RefreshError::Failed { retry_after: None }
            }
            Failure::Unavailable(error) => error.into(),
        })?;
        let claims = match self.refreshed_claims(&metadata, &tokens, previous).await {
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

    /// Makes the tokens worthless at the provider (RFC 7009). `Ok(false)` where it has no way to.
    pub async fn revoke(
        &self,
        refresh_token: Option<&RefreshToken>,
        access_token: Option<&AccessToken>,
    ) -> Result<bool, Arc<Unavailable>> {
        let metadata = self.metadata().await?;
        let (endpoint, fields) = if self.settings.preset.deletes_at_token_endpoint() {
            let Some(token) = access_token else { return Ok(false) };
            let fields = vec![
                ("grant_type", "delete".to_owned()),
                ("access_token", token.expose().to_owned()),
                ("service_provider", "NAVER".to_owned()),
            ];
            (&metadata.token_endpoint, fields)
        } else {
            let Some(endpoint) = &metadata.revocation_endpoint else { return Ok(false) };
            let (token, hint) = match (refresh_token, access_token) {
                (Some(token), _) => (token.expose(), "refresh_token"),
                (None, Some(token)) => (token.expose(), "access_token"),
                (None, None) => return Ok(false),
            };
            (endpoint, vec![("token", token.to_owned()), ("token_type_hint", hint.to_owned())])
        };
        let request = token::request(&self.http, endpoint, &self.settings, &metadata, fields);
        let received = self.ask(request, fetch::CALL).await?;
        let error = serde_json::from_slice::<Value>(&received.body).is_ok_and(|body| body.get("error").is_some());
        if received.status.is_success() && !error {
            return Ok(true);
        }
        Err(Arc::new(received.unhelpful(self.clock.now())))
    }

    /// Where to send the visitor so that the provider's own session ends too (OpenID Connect RP-Initiated Logout), where it has that.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&IdToken>,
        redirect_uri: &str,
        state: Option<&str>,
    ) -> Option<Url> {
        let preset = self.settings.preset;
        let mut url = match preset.logout_endpoint(&self.settings.issuer) {
            Some(url) => url,
            None => self.metadata().await.ok()?.end_session_endpoint.clone()?,
        };
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair(preset.logout_redirect_param(), redirect_uri)
            .extend_pairs(id_token_hint.map(|token| ("id_token_hint", token.expose())))
            .extend_pairs(state.map(|state| ("state", state)));
        Some(url)
    }

    /// What the last exchange showed.
    pub fn reachable(&self) -> Reachability {
        match self.heard.load(Ordering::Relaxed) {
            heard if heard == Reachability::Reachable as u8 => Reachability::Reachable,
            heard if heard == Reachability::Unreachable as u8 => Reachability::Unreachable,
            _ => Reachability::Untried,
        }
    }
}

/// What a configuration or one request may not change: the login would lose a protection, or its meaning.
const PROTECTED: [&str; 11] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "response_mode",
    "request",
    "request_uri",
];

/// At a refresh somebody waits for the tokens; the profile must not hold them up for long.
const USERINFO_AT_REFRESH: Duration = Duration::from_secs(3);

impl Provider {
    async fn metadata(&self) -> Result<Arc<Metadata>, Arc<Unavailable>> {
        let metadata = self.metadata.current().await;
        if metadata.is_err() {
            self.hear(Reachability::Unreachable);
        }
        metadata
    }

    async fn ask(&self, request: RequestBuilder, deadline: Duration) -> Result<Received, Unavailable> {
        let received = fetch::exchange(request, deadline, fetch::ANSWER).await;
        let answers = received.as_ref().is_ok_and(|received| !received.status.is_server_error());
        self.hear(if answers { Reachability::Reachable } else { Reachability::Unreachable });
        received
    }

    fn hear(&self, reachability: Reachability) {
        self.heard.store(reachability as u8, Ordering::Relaxed);
    }

    fn expected<'a>(&'a self, metadata: &'a Metadata) -> Expected<'a> {
        Expected {
            issuer: &metadata.issuer,
            preset: self.settings.preset,
            audiences: std::slice::from_ref(&self.settings.client_id),
            nonce: None,
            access_token: None,
            max_age: None,
            now: self.clock.now(),
        }
    }

    /// The claims are looked at first: a token that is not for us is no reason to fetch keys.
    async fn verified(&self, token: &IdToken, expected: Expected<'_>) -> Result<Claims, IdTokenError> {
        let token = Jws::parse(token.expose()).ok_or(IdTokenError::Invalid(Flaw::Form))?;
        expected.check(&token).map_err(IdTokenError::Invalid)?;
        if !self.keys.verify(&token, jws::ASYMMETRIC).await.map_err(IdTokenError::Unavailable)? {
            return Err(IdTokenError::Invalid(Flaw::Signature));
        }
        Ok(token.claims)
    }

    /// The claims of a refresh's ID token, if it brought one (OpenID Connect Core section 12.2).
    async fn refreshed_claims(
        &self,
        metadata: &Metadata,
        tokens: &TokenAnswer,
        previous: Option<&Claims>,
    ) -> Result<Option<Claims>, IdTokenError> {
        let Some(token) = &tokens.id_token else { return Ok(None) };
        let expected = Expected { access_token: Some(&tokens.access_token), ..self.expected(metadata) };
        let claims = self.verified(token, expected).await?;
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
        match self.userinfo(metadata, &tokens.access_token, &base, USERINFO_AT_REFRESH).await {
            Ok(None) => is_new.then_some(base),
            Ok(userinfo) => Some(userinfo::merged(&base, userinfo)),
            Err(error) => {
                tracing::warn!(provider = self.settings.name, %error, "oidc: no profile at refresh, the old one is kept");
                None
            }
        }
    }

    /// What the userinfo endpoint says of the person in `claims`; none where it need not or cannot be asked.
    async fn userinfo(
        &self,
        metadata: &Metadata,
        access_token: &AccessToken,
        claims: &Claims,
        deadline: Duration,
    ) -> Result<Option<Claims>, UserinfoError> {
        let Some(endpoint) =
            metadata.userinfo_endpoint.as_ref().filter(|_| !self.settings.preset.id_token_is_complete())
        else {
            return Ok(None);
        };
        let request = self.http.get(endpoint.clone()).bearer_auth(access_token.expose());
        let received =
            self.ask(request, deadline).await.map_err(|error| UserinfoError::Unavailable(Arc::new(error)))?;
        userinfo::read(&received, &self.settings, claims, self.clock.now())
    }
}

/// `aud` may be one name or a list of them.
fn as_list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        single => vec![single],
    }
}

impl From<IdTokenError> for OidcError {
    fn from(error: IdTokenError) -> Self {
        match error {
            IdTokenError::Invalid(flaw) => Self::Untrusted(flaw),
            IdTokenError::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl From<UserinfoError> for OidcError {
    fn from(error: UserinfoError) -> Self {
        match error {
            UserinfoError::Subject => Self::Untrusted(Flaw::Subject),
            UserinfoError::Unavailable(error) => Self::Unavailable(error),
        }
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

#[cfg(test)]
mod tests;
