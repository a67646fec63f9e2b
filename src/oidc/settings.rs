//! `[providers.NAME]`: the settings of a provider.

use rustls::pki_types::CertificateDer;
use url::Url;

use super::{allow::Allow, issuer::Tenants, oauth2::settings::OAuth2, presets::Preset};
use crate::{secret::Secret, text::Translated};

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
    /// `issuer` as the file has it: of an issuer without a path, `Url` does not keep whether it ends with a slash.
    pub issuer_as_written: String,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret; `None` for a public client.
    pub client_secret: Option<Secret>,
    /// Requested scopes.
    pub scopes: Vec<String>,
    /// Extra parameters of the authorization request.
    pub authorize_params: Vec<(String, String)>,
    /// Extra form fields of the code exchange.
    pub token_params: Vec<(String, String)>,
    /// Extra form fields of a refresh, e.g. `scope` for Entra.
    pub refresh_params: Vec<(String, String)>,
    /// OpenID Connect: the addresses that the configuration gives.
    pub addresses: Addresses,
    /// Which tenants are taken where the metadata's issuer stands for many.
    pub tenants: Tenants,
    /// `ca`: the only certificate authorities that its certificates may be of, in DER; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// How the browser sends the callback's parameters.
    pub response_mode: ResponseMode,
    /// `id_token_login`: the audiences of ID tokens accepted at `POST {base_path}/{provider}`; `None`: none are
    /// accepted.
    pub id_token_audiences: Option<Vec<String>>,
    /// `allow`: which persons may log in.
    pub allow: Option<Allow>,
    /// `label`: its name on the login page; `None`: the usual name of a known provider, else its name in the file.
    pub label: Option<Translated<String>>,
}

/// Addresses of an OpenID provider. What is given wins over the metadata: a provider may have another address inside
/// than outside (a container network, a router without hairpin).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Addresses {
    /// `discovery_url`: where the metadata is; `None`: under the issuer.
    pub discovery: Option<Url>,
    /// `authorize_url`
    pub authorize: Option<Url>,
    /// `token_url`
    pub token: Option<Url>,
    /// `jwks_url`
    pub jwks: Option<Url>,
    /// `userinfo_url`
    pub userinfo: Option<Url>,
    /// `revoke_url`
    pub revoke: Option<Url>,
}

/// Parameters that the gateway sets itself, so that no `…_params` may: a login could lose a protection, or a request
/// its meaning. `scope` of the authorization request has a key of its own.
pub const RESERVED_PARAMS: [&str; 17] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "nonce",
    "redirect_uri",
    "refresh_token",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "state",
];

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

#[cfg(test)]
impl Settings {
    /// An OpenID provider that nothing but its issuer is known of.
    pub(crate) fn for_tests(issuer: Url) -> Self {
        Self {
            name: "corp".to_owned(),
            preset: Preset::Generic,
            kind: ProviderKind::Oidc,
            issuer_as_written: super::issuer::issuer_text(&issuer).to_owned(),
            issuer,
            client_id: "client".to_owned(),
            client_secret: None,
            scopes: vec!["openid".to_owned(), "email".to_owned()],
            authorize_params: vec![],
            token_params: vec![],
            refresh_params: vec![],
            addresses: Addresses::default(),
            tenants: Tenants::Listed(vec![]),
            ca: None,
            response_mode: ResponseMode::Query,
            id_token_audiences: None,
            allow: None,
            label: None,
        }
    }
}
