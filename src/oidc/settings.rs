//! `[providers.NAME]`: the settings of a provider.

use url::Url;

use super::{allow::Allow, oauth2::settings::OAuth2, presets::Preset};
use crate::secret::Secret;

/// One `[providers.NAME]`, validated; a preset's values are filled in already.
#[derive(Clone, Debug)]
pub struct Settings {
    /// NAME: its name in the file and in paths.
    pub name: String,
    /// The provider, where it is a known one.
    pub preset: Preset,
    /// The protocol that it speaks.
    pub kind: ProviderKind,
    /// The issuer: it has the discovery document, and its name makes a subject unique.
    pub issuer: Url,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// Scopes asked for.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// How the browser sends the callback's parameters.
    pub response_mode: ResponseMode,
    /// `id_token_login`: the audiences of ID tokens accepted at `POST {base_path}/{provider}`; `None`: none are
    /// accepted.
    pub id_token_audiences: Option<Vec<String>>,
    /// `allow`: who may log in, where the gateway decides that.
    pub allow: Option<Allow>,
    /// Its name on the login page.
    pub label: Option<String>,
}

/// The protocol that a provider speaks.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// `oidc`: OpenID Connect, with discovery.
    Oidc,
    /// `oauth2`: OAuth 2.0 alone, with configured endpoints and profile request.
    OAuth2(Box<OAuth2>),
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
