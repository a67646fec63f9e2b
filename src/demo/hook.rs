//! Hooks of the demo's servers, through which the integration tests change their answers and see their requests.
//! `vestibule demo` uses [`NoHook`].

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};

use super::{
    fault::FaultSwitch,
    provider::Endpoint,
    signing::{Claims, SigningKey},
};

/// What a test sends instead of a server's own answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScriptedAnswer {
    /// This answer; the request has no effect.
    Answer {
        /// The status.
        status: StatusCode,
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// The request takes effect, but the connection is closed without an answer.
    LoseAnswer,
}

/// `grant_type` of a token request (RFC 6749 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GrantType {
    /// `authorization_code`: a login.
    AuthorizationCode,
    /// `refresh_token`: a refresh.
    RefreshToken,
}

/// What a test can change at the provider.
pub trait ProviderHook: fmt::Debug + Send + Sync {
    /// The switch for outages of all endpoints.
    fn outage(&self) -> Option<&FaultSwitch> {
        None
    }

    /// The answer to send instead of the endpoint's own.
    fn answer(&self, _endpoint: Endpoint) -> Option<ScriptedAnswer> {
        None
    }

    /// The id of a person to log in without the login page.
    fn auto_login(&self) -> Option<String> {
        None
    }

    /// Changes the parameters of an authorization response.
    fn authorization_response(&self, _parameters: &mut Vec<(&'static str, String)>) {}

    /// Whether a login's token response has a refresh token.
    fn issues_refresh_tokens(&self) -> bool {
        true
    }

    /// Signs an ID token's claims; with `None` the token response has no ID token.
    fn sign_id_token(&self, key: &SigningKey, claims: Claims, _grant: GrantType) -> Option<String> {
        Some(key.sign("JWT", &claims))
    }
}

/// What a test can record and change at the backend.
pub trait BackendHook: fmt::Debug + Send + Sync {
    /// Called for each request before it is handled; `body` is empty if the body is streamed.
    fn received(&self, _method: &Method, _uri: &Uri, _headers: &HeaderMap, _body: &Bytes) {}

    /// The answer to send to a refresh instead of the backend's own.
    fn refresh_answer(&self) -> Option<ScriptedAnswer> {
        None
    }

    /// How long the answer to a refresh is delayed; the old refresh token is void immediately.
    fn refresh_delay(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether a refresh makes the old refresh token void. If not, its answer has no refresh token.
    fn rotates_refresh_tokens(&self) -> bool {
        true
    }

    /// Lifetime of new access tokens; `configured` is the lifetime in the backend's options.
    fn access_token_life(&self, configured: Duration) -> Duration {
        configured
    }

    /// Whether every request to the API gets 401.
    fn refuses_all_requests(&self) -> bool {
        false
    }

    /// The claims of an ID token that is accepted without a check; `None`: the backend checks it.
    fn accept_id_token(&self, _token: &str) -> Option<Claims> {
        None
    }
}

/// Changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoHook;

impl ProviderHook for NoHook {}

impl BackendHook for NoHook {}
