//! The settings of an OAuth 2.0 provider: its endpoints and its requests.

use url::Url;

use super::profile::Profile;
use crate::oidc::{
    endpoints::{Endpoints, Revocation, TokenAuth},
    presets::Preset,
};

/// The settings that replace a discovery document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OAuth2 {
    /// The authorization endpoint.
    pub authorize_url: Url,
    /// The token endpoint.
    pub token_url: Url,
    /// The revocation endpoint (RFC 7009).
    pub revoke_url: Option<Url>,
    /// Whether the configuration names the issuer: an `iss` in the callback must then equal it.
    pub issuer_is_given: bool,
    /// How the client sends its secret.
    pub token_auth: TokenAuth,
    /// Whether logins are protected by PKCE (S256).
    pub pkce: bool,
    /// The profile request.
    pub profile: Profile,
}

impl OAuth2 {
    pub(in crate::oidc) fn endpoints(&self, preset: Preset) -> Endpoints {
        Endpoints {
            authorization: self.authorize_url.clone(),
            token: self.token_url.clone(),
            token_auth: self.token_auth,
            revocation: match &self.revoke_url {
                Some(endpoint) => Revocation::At(endpoint.clone()),
                None if preset.deletes_at_token_endpoint() => Revocation::DeleteAtTokenEndpoint,
                None => Revocation::None,
            },
        }
    }
}
