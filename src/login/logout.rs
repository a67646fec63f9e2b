//! `POST /logout`: ends the session at the gateway, at the token authority and, if a form was posted, at the provider.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::logins::{Failed, Logins};
use crate::{
    endpoint::{Call, EndpointAnswer},
    session::LoggedOut,
};

/// How long a logout waits for the provider's metadata; afterwards it redirects to `after_logout`.
const WAIT_FOR_PROVIDER: Duration = Duration::from_secs(2);

impl Logins {
    /// `POST /logout`. Ends the session, whatever the authority answers. A form is redirected to the provider's logout
    /// endpoint if it has one, else to `after_logout`.
    pub async fn logout(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let device = self.sessions.device_id(&call.headers);
        if let Some(device) = device {
            self.loops.forget(device);
        }
        let is_form = call.is_form();
        let mut ended = self.sessions.log_out(&mut call.visit).await;
        let cookies = std::mem::take(&mut ended.cookies);
        let method = ended.provider.as_deref().unwrap_or_default();
        tracing::info!(target: "audit", method, device = device.map(tracing::field::display), client = %call.client.address(), "logged out");
        if !is_form {
            // A script does not get the URL of the provider's logout, because the ID token is in it.
            return Ok(EndpointAnswer::json(StatusCode::OK, json!({ "success": true }), cookies, ended.status));
        }
        let at_provider = self.end_session_address(&ended).await;
        let location = at_provider.unwrap_or_else(|| self.settings.after_logout.clone());
        Ok(EndpointAnswer::see_other(location, cookies, ended.status))
    }

    /// The URL of the provider's logout (OpenID Connect RP-Initiated Logout 1.0, section 2).
    async fn end_session_address(&self, ended: &LoggedOut) -> Option<String> {
        let provider = self.provider(ended.provider.as_deref()?).ok()?;
        let after_logout = &self.settings.after_logout;
        let back = if after_logout.starts_with('/') { self.public_address(after_logout) } else { after_logout.clone() };
        let address = provider.end_session_url(ended.id_token.as_ref(), &back, None);
        tokio::time::timeout(WAIT_FOR_PROVIDER, address).await.ok()?.map(String::from)
    }
}
