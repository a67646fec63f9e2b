//! `[providers.NAME]`: the settings of a provider.

use url::Url;

use super::{allow::Allow, oauth2::settings::OAuth2, presets::Preset};
use crate::secret::Secret;

/// One `[providers.NAME]`, validated; with the preset's defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// NAME: its name in the file and in paths.
    pub name: String,
    /// The known provider, else [`Preset::Generic`].
    pub preset: Preset,
    /// `kind`: the protocol of the provider.
    pub kind: ProviderKind,
    /// The issuer: base URL of the discovery document, and with the subject the identity of a person.
    pub issuer: Url,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// How the browser sends the callback's parameters.
    pub response_mode: ResponseMode,
    /// `id_token_login`: the audiences of ID tokens accepted at `POST {base_path}/{provider}`; `None`: none are
    /// accepted.
    pub id_token_audiences: Option<Vec<String>>,
    /// `allow`: which persons may log in.
    pub allow: Option<Allow>,
    /// Its name on the login page.
    pub label: Option<String>,
}

/// The protocol of a provider.
#[derive(Clone, Debug)]
pub enum ProviderKind {
    /// `oidc`: OpenID Connect, with discovery.
    Oidc,
    /// `oauth2`: OAuth 2.0 without OpenID Connect, with configured endpoints and profile request.
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
