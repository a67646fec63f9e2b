//! The client's side of OAuth 2.0 and OpenID Connect: discovery, keys, PKCE, the token endpoint, ID tokens, and the presets of known providers.

use serde_json::{Map, Value};
use url::Url;

use crate::secret::Secret;

mod allow;
#[cfg(test)]
pub(crate) mod fake;
mod document_cache;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod id_token;
mod jws;
mod keys;
mod login;
mod logout;
mod metadata;
mod oauth2;
pub mod presets;
mod provider;
mod refresh;
mod token;
mod userinfo;

pub use fetch::{AnswerSizes, Http, Unavailable, http_client};
pub use id_token::Flaw;
pub(crate) use id_token::numeric_date;
pub(crate) use jws::{ASYMMETRIC, Jws, Verdict, claims_as_received};
pub(crate) use keys::KeySource;
pub use login::{Attempt, Authorization, CallbackParams, IdTokenError, Identity, OidcError};
pub use oauth2::{OAuth2, Profile, Success};
pub use provider::{Provider, Reachability};
pub use refresh::{RefreshError, Refreshed};
pub use token::{TokenAnswer, TokenAuth};
pub(crate) use token::{is_token, seconds};

/// The verified claims of a token or the profile of a person.
pub type Claims = Map<String, Value>;

/// One `[providers.NAME]`, validated; a preset's values are filled in already.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name in the file and in paths.
    pub name: String,
    /// Which provider's habits apply.
    pub preset: Preset,
    /// What it speaks.
    pub kind: Kind,
    /// The issuer: whose discovery document is read, and to whom subjects belong.
    pub issuer: Url,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret; absent for a public client.
    pub client_secret: Option<Secret>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// How the provider's answer comes back.
    pub response_mode: ResponseMode,
    /// `id_token_login`: the audiences accepted at `POST {base_path}/{provider}`; absent: that is off.
    pub id_token_audiences: Option<Vec<String>>,
    /// `allow`: who may come in, where the gateway's word is what counts.
    pub allow: Option<Allow>,
    /// What the login page calls it.
    pub label: Option<String>,
}

/// What a provider speaks.
#[derive(Clone, Debug)]
pub enum Kind {
    /// `oidc`: OpenID Connect, with discovery.
    Oidc,
    /// `oauth2`: OAuth 2.0 alone, with endpoints and a profile request that are configured.
    OAuth2(Box<OAuth2>),
}

/// A provider with habits of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Nothing special.
    Generic,
    /// Google.
    Google,
    /// Kakao.
    Kakao,
    /// Naver.
    Naver,
    /// GitHub, which has no OpenID Connect for logins.
    GitHub,
}

/// `response_mode` of the authorization request (OAuth 2.0 Multiple Response Types, Form Post Response Mode).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ResponseMode {
    /// Parameters in the callback's query.
    #[default]
    Query,
    /// Parameters in a form that the browser posts.
    FormPost,
}

/// Who may come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Allow {
    /// `allow = "anyone"`.
    Anyone,
    /// All lists that are given must be met: an e-mail (or its domain) that is listed, and every claim as listed.
    Listed {
        /// Domains, lower case.
        email_domains: Vec<String>,
        /// Addresses, lower case.
        emails: Vec<String>,
        /// Claim name and the values accepted (the claim equals one of them, or is an array that holds one).
        claims: Vec<(String, Vec<Value>)>,
    },
}

#[cfg(test)]
mod tests;
