//! `GET` and `POST /callback/{provider}`: the provider's answer to a login.

use bytes::Bytes;
use http::Method;

use super::{
    error::LoginError,
    logins::{Failed, Logins},
    page::LoginAttempt,
    state,
};
use crate::{
    authority::Proof,
    endpoint::{Call, EndpointAnswer, Parameters},
    oidc::{CallbackParams, OidcError, Refusal},
    problem::Denial,
    secret::{Secret, ct_eq},
    session::{AuthStatus, CookieChanges},
    telemetry,
};

/// The result of a callback that has no error.
enum CallbackOutcome {
    /// A session was opened.
    Entered { cookies: CookieChanges, return_to: String },
    /// The provider refused the login: the login page shows why.
    Denied { denial: Denial, return_to: String },
}

impl Logins {
    /// `GET /callback/{provider}`, and `POST` where the provider answers with a form.
    pub async fn callback(&self, mut call: Call, provider: &str) -> Result<EndpointAnswer, Failed> {
        let mut spent = CookieChanges::default();
        match self.read_answer(&mut call, provider, &mut spent).await {
            Ok(CallbackOutcome::Entered { cookies, return_to }) => {
                let location = self.return_to.follow(Some(&return_to));
                Ok(EndpointAnswer::see_other(location, spent.and(cookies), AuthStatus::Refreshed))
            }
            Ok(CallbackOutcome::Denied { denial, return_to }) => {
                tracing::info!(target: "audit", method = provider, client = %call.client.address(), reason = denial.code(), "login failed");
                self.metrics.login(provider, telemetry::LoginResult::Refused);
                let (auth_status, cookies) = call.visit.head();
                let location = self.login_page_with(denial.code(), self.return_to.follow(Some(&return_to)));
                Ok(EndpointAnswer::see_other(location, cookies.and(spent), auth_status))
            }
            Err(LoginError::AttemptExpired) => {
                // After the back button, or because another tab finished the login: a visitor with a session is
                // redirected to `after_login`.
                call.visit.ensure().await;
                if call.visit.access().is_none() {
                    return Err(self.failed(&call, provider, LoginError::AttemptExpired, spent));
                }
                let (auth_status, cookies) = call.visit.head();
                Ok(EndpointAnswer::see_other(&self.settings.after_login, cookies.and(spent), auth_status))
            }
            Err(error) => Err(self.failed(&call, provider, error, spent)),
        }
    }

    async fn read_answer(
        &self,
        call: &mut Call,
        name: &str,
        spent: &mut CookieChanges,
    ) -> Result<CallbackOutcome, LoginError> {
        let provider = self.provider(name)?;
        let answer = if call.method == Method::POST {
            call.body.clone()
        } else {
            Bytes::from(std::mem::take(&mut call.query).unwrap_or_default())
        };
        let parameters = Parameters::of(&answer);
        let state = parameters.once("state")?.ok_or(LoginError::AttemptExpired)?;
        let id = state::attempt_of(state).ok_or(LoginError::AttemptExpired)?;

        // The attempt is used up before it is checked, so that it cannot be tried twice.
        let (attempt, cleared) = self.sessions.attempts().take::<LoginAttempt>(&call.headers, id).await?;
        *spent = cleared;
        let attempt = attempt.ok_or(LoginError::AttemptExpired)?;
        if attempt.provider != name || !ct_eq(attempt.oidc.state.expose().as_bytes(), state.as_bytes()) {
            return Err(LoginError::AttemptExpired);
        }
        if ["access_token", "id_token"].into_iter().any(|token| parameters.first(token).is_some()) {
            // Only a code is requested (RFC 9700 section 2.1.2). A token in a URL may come from an attacker who found
            // it in a browser's history or a log.
            tracing::warn!(provider = name, "a callback had tokens in its parameters: they are ignored");
        }
        let return_to = attempt.return_to;
        if let Some(error) = parameters.once("error")? {
            let refusal = Refusal::new(error, parameters.first("error_description"), &[]);
            tracing::info!(provider = name, error = %refusal, "the provider answered a login with an error");
            return Ok(CallbackOutcome::Denied { denial: Denial::of_provider(error), return_to });
        }
        let Some(code) = parameters.once("code")? else {
            return Ok(CallbackOutcome::Denied { denial: Denial::Refused, return_to });
        };
        let callback = CallbackParams {
            code: Secret::new(code),
            state: Secret::new(state),
            iss: parameters.once("iss")?.map(str::to_owned),
        };
        let identity = match provider.redeem(callback, &attempt.oidc, &self.redirect_uri(name)).await {
            Ok(identity) => identity,
            Err(error @ (OidcError::Refused(_) | OidcError::Untrusted(_))) => {
                tracing::warn!(provider = name, %error, "the provider's token response was refused, or cannot be trusted: nobody is logged in");
                let denial = if error.is_misconfigured() { Denial::Misconfigured } else { Denial::Refused };
                return Ok(CallbackOutcome::Denied { denial, return_to });
            }
            Err(error) => return Err(error.into()),
        };
        let device = call.device(&self.sessions, &self.random, attempt.device, None);
        let device_id = device.id;
        let entered = self.enter(call, Proof::Provider(Box::new(identity)), name, device).await?;
        self.loops.record(device_id, &return_to, self.clock.now());
        Ok(CallbackOutcome::Entered { cookies: entered.cookies, return_to })
    }
}
