//! `POST /logout`: ends the session at the gateway, at the token authority and at the provider.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use super::{
    logged_out::AfterLogout,
    logins::{Failed, Logins},
};
use crate::{
    endpoint::{BodyFormat, Call, EndpointAnswer, Parameters},
    oidc::ProviderLogout,
    session::{AuthStatus, CookieChanges, LoggedOut},
};

/// How long a logout waits for the provider's metadata; afterwards it ends without the provider's logout.
const WAIT_FOR_PROVIDER: Duration = Duration::from_secs(2);

/// A completed logout of Auth.js.
#[derive(Debug)]
pub struct SignedOut {
    /// Where the visitor is to go on; a path, or an address with an origin.
    pub address: String,
    /// The changed cookies.
    pub cookies: CookieChanges,
    /// `x-auth-status` of the answer.
    pub status: AuthStatus,
}

impl Logins {
    /// `POST /logout`. Ends the session, whatever the authority answers. A form is redirected to the provider's logout
    /// where it has one, else to `after_logout` if that is open, else to the page after a logout. A form with
    /// `login_to` is of somebody who wants to log in again, as another person: it skips `after_logout`, and that page's
    /// link to the login leads there. A script gets the address of that page, or one of ours that goes on to the
    /// provider: never one with a token.
    pub async fn logout(&self, mut call: Call, after_logout: AfterLogout) -> Result<EndpointAnswer, Failed> {
        let is_form = call.is_form();
        let mut ended = self.end_session(&mut call).await;
        let cookies = std::mem::take(&mut ended.cookies);
        let at_provider = self.logout_at_provider(&call, &ended, after_logout).await;
        if is_form {
            let next = self.next_login(&call);
            let location = match at_provider {
                ProviderLogout::At(address) => address.into(),
                _ if after_logout == AfterLogout::Open && next.is_none() => self.settings.after_logout.clone(),
                ProviderLogout::None => self.logged_out_page(ended.provider.as_deref(), next.as_deref()),
                ProviderLogout::Unknown => self.logged_out_page(None, next.as_deref()),
            };
            return Ok(EndpointAnswer::see_other(location, cookies, ended.status));
        }
        let url = match at_provider {
            ProviderLogout::At(address) => match self.one_time_address(&call, address.as_str()).await {
                Some(address) => address,
                None => self.logged_out_page(None, None),
            },
            ProviderLogout::None => self.logged_out_page(ended.provider.as_deref(), None),
            ProviderLogout::Unknown => self.logged_out_page(None, None),
        };
        Ok(EndpointAnswer::json(StatusCode::OK, json!({ "success": true, "url": url }), cookies, ended.status))
    }

    /// The logout of Auth.js, for a script or a form. The visitor is led to the provider's logout where it has one, by
    /// an address without a token in it, else to `wanted`, which needs no login, else as a form of [`Logins::logout`]
    /// is.
    pub async fn sign_out(&self, mut call: Call, after_logout: AfterLogout, wanted: Option<String>) -> SignedOut {
        let mut ended = self.end_session(&mut call).await;
        let cookies = std::mem::take(&mut ended.cookies);
        let address = match self.logout_at_provider(&call, &ended, after_logout).await {
            ProviderLogout::At(address) => {
                let address = self.one_time_address(&call, address.as_str()).await;
                address.unwrap_or_else(|| self.logged_out_page(None, None))
            }
            without => {
                let open = wanted.or_else(|| match after_logout {
                    AfterLogout::Open => Some(self.settings.after_logout.clone()),
                    AfterLogout::NeedsLogin => None,
                });
                let provider = ended.provider.as_deref().filter(|_| matches!(without, ProviderLogout::None));
                open.unwrap_or_else(|| self.logged_out_page(provider, None))
            }
        };
        SignedOut { address, cookies, status: ended.status }
    }

    async fn end_session(&self, call: &mut Call) -> LoggedOut {
        let device = self.sessions.device_id(&call.headers);
        if let Some(device) = device {
            self.loops.forget(device);
        }
        let ended = self.sessions.log_out(&mut call.visit, &call.client).await;
        let method = ended.provider.as_deref().unwrap_or_default();
        tracing::info!(target: "audit", method, device = device.map(tracing::field::display), client = %call.client.address(), "logged out");
        ended
    }

    /// Where the next login of a form with `login_to` leads.
    fn next_login(&self, call: &Call) -> Option<String> {
        let form = (call.body_format() == BodyFormat::Form).then(|| Parameters::of(&call.body))?;
        let asked = form.once("login_to").ok()??;
        Some(self.return_to.follow(Some(asked), &call.origin).into_owned())
    }

    /// The provider's logout (OpenID Connect RP-Initiated Logout 1.0, section 2). A session that began without a
    /// provider has none to say anything about.
    async fn logout_at_provider(&self, call: &Call, ended: &LoggedOut, after_logout: AfterLogout) -> ProviderLogout {
        let provider = ended.provider.as_deref().and_then(|name| self.provider(name).ok());
        let Some(provider) = provider else { return ProviderLogout::Unknown };
        let back = self.after_provider(&call.origin, after_logout);
        let address = provider.end_session_url(ended.id_token.as_ref(), &back, None);
        tokio::time::timeout(WAIT_FOR_PROVIDER, address).await.unwrap_or(ProviderLogout::Unknown)
    }
}
