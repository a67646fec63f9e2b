//! Logout at a provider: revocation of its tokens (RFC 7009), and the URL that ends the provider's session.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;
use url::Url;

use super::{
    endpoints::Revocation,
    fetch::{self, Unavailable},
    provider::{Protocol, Provider},
    token,
};
use crate::secret::{AccessToken, IdToken, RefreshToken};

/// Longest address of a provider's logout, in bytes: browsers and proxies take longer ones, but not all of them.
const LONGEST_ADDRESS: usize = 2000;

/// A provider's logout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProviderLogout {
    /// At this address.
    At(Url),
    /// The provider has none.
    None,
    /// The provider does not answer what it has.
    Unknown,
}

impl Provider {
    /// Revokes the tokens. `Ok(false)`: the provider has no revocation for them.
    pub async fn revoke(
        &self,
        refresh_token: Option<&RefreshToken>,
        access_token: Option<&AccessToken>,
    ) -> Result<bool, Arc<Unavailable>> {
        let endpoints = self.endpoints().await?;
        let (endpoint, fields) = match &endpoints.revocation {
            Revocation::None => return Ok(false),
            Revocation::At(endpoint) => {
                let (token, hint) = match (refresh_token, access_token) {
                    (Some(token), _) => (token.expose(), "refresh_token"),
                    (None, Some(token)) => (token.expose(), "access_token"),
                    (None, None) => return Ok(false),
                };
                (endpoint, vec![("token", token.to_owned()), ("token_type_hint", hint.to_owned())])
            }
            Revocation::DeleteAtTokenEndpoint => {
                let Some(token) = access_token else { return Ok(false) };
                let fields = vec![
                    ("grant_type", "delete".to_owned()),
                    ("access_token", token.expose().to_owned()),
                    ("service_provider", "NAVER".to_owned()),
                ];
                (&endpoints.token, fields)
            }
        };
        let request = token::request(&self.http, endpoint, &self.settings, endpoints.token_auth, fields);
        let answer = self.ask(request, fetch::CALL).await?;
        let error = answer.json::<Value>().is_ok_and(|body| body.get("error").is_some());
        if answer.status.is_success() && !error {
            return Ok(true);
        }
        Err(Arc::new(Unavailable::status_of(&answer, self.clock.now())))
    }

    /// The address at which the browser ends the provider's session (OpenID Connect RP-Initiated Logout 1.0). If it
    /// would be longer than [`LONGEST_ADDRESS`], it has no `id_token_hint`: an ID token grows with a person's groups,
    /// and `client_id` says as well which client asks. `logout_hint` then names the person, where the token does.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&IdToken>,
        redirect_uri: &str,
        state: Option<&str>,
    ) -> ProviderLogout {
        let Protocol::OpenId(published) = &self.protocol else { return ProviderLogout::None };
        let preset = self.settings.preset;
        let mut url = match preset.logout_endpoint(&self.settings.issuer) {
            Some(url) => url,
            None => match self.published_metadata(published).await {
                Ok(metadata) => match metadata.end_session_endpoint.clone() {
                    Some(url) => url,
                    None => return ProviderLogout::None,
                },
                Err(_) => return ProviderLogout::Unknown,
            },
        };
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair(preset.logout_redirect_param(), redirect_uri)
            .extend_pairs(state.map(|state| ("state", state)));
        let Some(token) = id_token_hint else { return ProviderLogout::At(url) };
        let with = |name: &str, value: &str| {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair(name, value);
            Some(url).filter(|url| url.as_str().len() <= LONGEST_ADDRESS)
        };
        let by_token = with("id_token_hint", token.expose());
        let by_name = || with("logout_hint", &logout_hint(token)?);
        ProviderLogout::At(by_token.or_else(by_name).unwrap_or(url))
    }
}

/// The name by which a provider knows the person in a verified ID token: the claim `login_hint`, where a provider makes
/// one for this purpose, else the user name or the e-mail address.
fn logout_hint(token: &IdToken) -> Option<String> {
    let payload = URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&payload).ok()?;
    let names = ["login_hint", "preferred_username", "email"];
    names.into_iter().find_map(|name| Some(claims.get(name)?.as_str()?.to_owned()))
}
