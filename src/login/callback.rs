//! `GET` and `POST /callback/{provider}`: the end of a login at a provider.

use bytes::Bytes;
use http::Method;

use super::{Answer, Call, Failed, LoginError, Logins, page::Attempt, state};
use crate::{
    authority::Proof,
    endpoint::Parameters,
    oidc::{CallbackParams, OidcError},
    problem::Denial,
    secret::{Secret, ct_eq},
    session::{AuthStatus, CookieChanges},
    telemetry,
};

/// How a callback ends, where it does not fail.
enum End {
    /// Logged in.
    Entered { cookies: CookieChanges, return_to: String },
    /// The provider said no: back to the login page.
    Denied { denial: Denial, return_to: String },
}

impl Logins {
    /// `GET /callback/{provider}`, and `POST` where the provider answers with a form.
    pub async fn callback(&self, mut call: Call, provider: &str) -> Result<Answer, Failed> {
        let mut spent = CookieChanges::default();
        match self.end_at(&mut call, provider, &mut spent).await {
            Ok(End::Entered { cookies, return_to }) => {
                let location = self.return_to.follow(Some(&return_to));
                Ok(Answer::see_other(location, spent.and(cookies), AuthStatus::Refreshed))
            }
            Ok(End::Denied { denial, return_to }) => {
                tracing::info!(target: "audit", method = provider, client = %call.client.address(), reason = denial.code(), "login failed");
                self.metrics.login(provider, telemetry::Login::Refused);
                let (auth_status, cookies) = call.visit.head();
                let location = self.login_page_with(denial.code(), self.return_to.follow(Some(&return_to)));
                Ok(Answer::see_other(location, cookies.and(spent), auth_status))
            }
            Err(LoginError::AttemptExpired) => {
                // The back button, or an attempt of which another tab was quicker: whoever is logged in goes on.
                call.visit.ensure().await;
                if call.visit.access().is_none() {
                    return Err(self.failed(&call, provider, LoginError::AttemptExpired, spent));
                }
                let (auth_status, cookies) = call.visit.head();
                Ok(Answer::see_other(&self.settings.after_login, cookies.and(spent), auth_status))
            }
            Err(error) => Err(self.failed(&call, provider, error, spent)),
        }
    }

    async fn end_at(&self, call: &mut Call, name: &str, spent: &mut CookieChanges) -> Result<End, LoginError> {
        let provider = self.provider(name)?;
        let answer = if call.method == Method::POST {
            call.body.clone()
        } else {
            Bytes::from(std::mem::take(&mut call.query).unwrap_or_default())
        };
        let parameters = Parameters::of(&answer);
        let state = parameters.once("state")?.ok_or(LoginError::AttemptExpired)?;
        let id = state::attempt_of(state).ok_or(LoginError::AttemptExpired)?;

        // Taken before anything of it is checked: a second try finds nothing.
        let (attempt, cleared) = self.sessions.attempts().take::<Attempt>(&call.headers, id).await?;
        *spent = cleared;
        let attempt = attempt.ok_or(LoginError::AttemptExpired)?;
        if attempt.provider != name || !ct_eq(attempt.oidc.state.expose().as_bytes(), state.as_bytes()) {
            return Err(LoginError::AttemptExpired);
        }
        if ["access_token", "id_token"].into_iter().any(|token| parameters.first(token).is_some()) {
            // Only a code is asked for (RFC 9700 section 2.1.2): tokens have been seen by the browser's history, and prove nothing.
            tracing::warn!(provider = name, "tokens in a callback are not read");
        }
        let return_to = attempt.return_to;
        if let Some(error) = parameters.once("error")? {
            return Ok(End::Denied { denial: Denial::of_provider(error), return_to });
        }
        let Some(code) = parameters.once("code")? else {
            return Ok(End::Denied { denial: Denial::Refused, return_to });
        };
        let callback = CallbackParams {
            code: Secret::new(code),
            state: Secret::new(state),
            iss: parameters.once("iss")?.map(str::to_owned),
        };
        let identity = match provider.redeem(callback, &attempt.oidc, &self.redirect_uri(name)).await {
            Ok(identity) => identity,
            Err(error @ (OidcError::Refused { .. } | OidcError::Untrusted(_))) => {
                tracing::warn!(provider = name, %error, "the provider's answer makes no login");
                return Ok(End::Denied { denial: Denial::Refused, return_to });
            }
            Err(error) => return Err(error.into()),
        };
        let device = call.device(&self.sessions, &self.random, attempt.device, None);
        let device_id = device.id;
        let entered = self.enter(call, Proof::Provider(Box::new(identity)), name, device).await?;
        self.loops.arrived(device_id, &return_to, self.clock.now());
        Ok(End::Entered { cookies: entered.cookies, return_to })
    }
}
