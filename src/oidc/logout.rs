//! Logout at a provider: revocation of its tokens (RFC 7009), and the URL that ends the provider's session.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::{
    endpoints::Revocation,
    fetch::{self, Unavailable},
    provider::{Protocol, Provider},
    token,
};
use crate::secret::{AccessToken, IdToken, RefreshToken};

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

    /// The URL at which the browser ends the provider's session (OpenID Connect RP-Initiated Logout 1.0); `None` if the
    /// provider has no such endpoint.
    pub async fn end_session_url(
        &self,
        id_token_hint: Option<&IdToken>,
        redirect_uri: &str,
        state: Option<&str>,
    ) -> Option<Url> {
        let Protocol::OpenId(published) = &self.protocol else { return None };
        let preset = self.settings.preset;
        let mut url = match preset.logout_endpoint(&self.settings.issuer) {
            Some(url) => url,
            None => self.metadata(published).await.ok()?.end_session_endpoint.clone()?,
        };
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair(preset.logout_redirect_param(), redirect_uri)
            .extend_pairs(id_token_hint.map(|token| ("id_token_hint", token.expose())))
            .extend_pairs(state.map(|state| ("state", state)));
        Some(url)
    }
}
