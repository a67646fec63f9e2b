//! `POST /login`: e-mail address and password, which the backend checks. A script posts JSON, the login page a form.

use super::{
    error::LoginError,
    logins::{Failed, Logins},
};
use crate::{
    authority::Proof,
    endpoint::{self, BodyFormat, Call, EndpointAnswer, Fields, Parameters, Unreadable},
    problem::FormPage,
    secret::Secret,
    session::{AuthStatus, CookieChanges},
};

/// The name of this login method in sessions, audit lines and metrics.
const METHOD: &str = "credentials";

/// The fields of the body; empty where absent.
struct CredentialsBody {
    email: String,
    password: Secret,
    device_id: Option<String>,
    device_name: Option<String>,
    /// Of a form alone: a script goes on by itself.
    return_to: Option<String>,
}

impl Logins {
    /// `POST /login`. A script gets the object of `GET /session`; a form is redirected to `return_to`, or back to the
    /// login page with a message.
    pub async fn credentials(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let none = CookieChanges::default();
        let request = match self.read_credentials(&call) {
            Ok(request) => request,
            Err(error) => return Err(self.failed(&call, METHOD, error, none)),
        };
        let return_to = self.return_to.follow(request.return_to.as_deref(), &call.origin).into_owned();
        let is_form = call.is_form();
        let device = call.device(
            &self.sessions,
            &self.random,
            endpoint::app_device_id(request.device_id.as_deref()),
            request.device_name.as_deref(),
        );
        let email = request.email.trim().to_owned();
        if email.is_empty() || request.password.is_empty() {
            return self.refused(&call, is_form, LoginError::CredentialsMissing, &return_to);
        }
        // Counted before the backend is asked, so that the answer does not depend on whether the account exists.
        let guess = match self.guesses.at_account(&email).await {
            Ok(guess) => guess,
            Err(error) => return self.refused(&call, is_form, error.into(), &return_to),
        };
        let proof = Proof::Credentials { email, password: request.password };
        let entered = self.enter(&mut call, proof, METHOD, device).await;
        if !entered.as_ref().is_err_and(|error| error.kind().is_wrong_guess()) {
            self.guesses.give_back(guess).await;
        }
        match entered {
            Ok(entered) if is_form => Ok(EndpointAnswer::see_other(return_to, entered.cookies, AuthStatus::Refreshed)),
            Ok(entered) => Ok(self.entered(entered)),
            Err(error) => self.refused(&call, is_form, error, &return_to),
        }
    }

    /// The answer instead of [`Logins::credentials`] if the client has too many wrong guesses. The credentials are not
    /// checked.
    pub fn credentials_not_tried(&self, call: &Call, error: LoginError) -> Result<EndpointAnswer, Failed> {
        match self.read_credentials(call) {
            Ok(request) => {
                let return_to = self.return_to.follow(request.return_to.as_deref(), &call.origin);
                self.refused(call, call.is_form(), error, &return_to)
            }
            Err(error) => Err(self.failed(call, METHOD, error, CookieChanges::default())),
        }
    }

    fn read_credentials(&self, call: &Call) -> Result<CredentialsBody, LoginError> {
        if !self.authority.takes_credentials() {
            return Err(LoginError::NotConfigured);
        }
        match call.body_format() {
            BodyFormat::Json => {
                let fields = Fields::of(call)?;
                let field = |name| fields.text(name).map(str::to_owned);
                Ok(CredentialsBody {
                    email: field("email").unwrap_or_default(),
                    password: Secret::new(fields.text("password").unwrap_or_default()),
                    device_id: field("deviceId"),
                    device_name: field("deviceName"),
                    return_to: None,
                })
            }
            BodyFormat::Form => {
                let form = Parameters::of(&call.body);
                let field = |name| form.once(name);
                Ok(CredentialsBody {
                    email: field("email")?.unwrap_or_default().to_owned(),
                    password: Secret::new(field("password")?.unwrap_or_default()),
                    device_id: None,
                    device_name: None,
                    return_to: field("return_to")?.map(str::to_owned),
                })
            }
            BodyFormat::Empty => Err(LoginError::CredentialsMissing),
            BodyFormat::Other => Err(Unreadable::NotJson.into()),
        }
    }

    /// The failure. If a form was posted and the login page can show the problem, a redirect to that page.
    fn refused(
        &self,
        call: &Call,
        is_form: bool,
        error: LoginError,
        return_to: &str,
    ) -> Result<EndpointAnswer, Failed> {
        let failed = self.failed(call, METHOD, error, CookieChanges::default()).returning_to(Some(return_to));
        let kind = failed.error.kind();
        if !is_form || kind.row().form != FormPage::Login {
            return Err(failed);
        }
        let page = self.login_page_with(kind.code(), return_to);
        let wrong_guess = kind.is_wrong_guess();
        Ok(EndpointAnswer { wrong_guess, ..EndpointAnswer::see_other(page, failed.cookies, failed.auth_status) })
    }
}
