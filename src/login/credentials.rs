//! `POST /login`: e-mail address and password, which the backend checks. A script posts JSON, the login page a form.
//! Auth.js has an endpoint of its own for the same check ([`Logins::check_credentials`]).

use super::{
    error::LoginError,
    logins::{Failed, Logins},
};
use crate::{
    authority::Proof,
    endpoint::{self, BodyFormat, Call, EndpointAnswer, Fields, Parameters, Unreadable},
    problem::FormPage,
    secret::Secret,
    session::{AuthStatus, CookieChanges, Entered},
};

/// The name of this login method in sessions, audit lines and metrics.
pub(super) const METHOD: &str = "credentials";

/// What a person typed, and the device that an app names; empty where absent.
pub struct Credentials {
    email: String,
    password: Secret,
    device_id: Option<String>,
    device_name: Option<String>,
}

impl Credentials {
    /// Reads the fields of a body.
    pub fn of<'b>(field: impl Fn(&str) -> Option<&'b str>) -> Self {
        let text = |name| field(name).map(str::to_owned);
        Self {
            email: text("email").unwrap_or_default(),
            password: Secret::new(field("password").unwrap_or_default()),
            device_id: text("deviceId"),
            device_name: text("deviceName"),
        }
    }
}

/// The body of `POST /login`.
struct CredentialsBody {
    credentials: Credentials,
    /// Of a form alone: a script goes on by itself.
    return_to: Option<String>,
}

impl Logins {
    /// `POST /login`. A script gets the object of `GET /session`; a form is redirected to `return_to`, or back to the
    /// login page with a message.
    pub async fn credentials(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let request = match self.read_credentials(&call) {
            Ok(request) => request,
            Err(error) => return Err(self.credentials_failed(&call, error)),
        };
        let return_to = self.return_to.follow(request.return_to.as_deref(), &call.origin).into_owned();
        let is_form = call.is_form();
        match self.check_credentials(&mut call, request.credentials).await {
            Ok(entered) if is_form => Ok(EndpointAnswer::see_other(return_to, entered.cookies, AuthStatus::Refreshed)),
            Ok(entered) => Ok(self.entered(entered)),
            Err(error) => self.refused(&call, is_form, error, &return_to),
        }
    }

    /// Has the backend check the credentials, and opens a session. The guesses at the account are limited here, those
    /// of the client by the caller.
    pub async fn check_credentials(&self, call: &mut Call, credentials: Credentials) -> Result<Entered, LoginError> {
        let Credentials { email, password, device_id, device_name } = credentials;
        let device_id = endpoint::app_device_id(device_id.as_deref());
        let device = call.device(&self.sessions, &self.random, device_id, device_name.as_deref());
        let email = email.trim().to_owned();
        if email.is_empty() || password.is_empty() {
            return Err(LoginError::CredentialsMissing);
        }
        // Counted before the backend is asked, so that the answer does not depend on whether the account exists.
        let guess = self.guesses.at_account(&email).await?;
        let entered = self.enter(call, Proof::Credentials { email, password }, METHOD, device).await;
        if !entered.as_ref().is_err_and(|error| error.kind().is_wrong_guess()) {
            self.guesses.give_back(guess).await;
        }
        entered
    }

    /// Counts a failed login with credentials and writes its audit line.
    pub fn credentials_failed(&self, call: &Call, error: LoginError) -> Failed {
        self.failed(call, METHOD, error, CookieChanges::default())
    }

    /// The answer instead of [`Logins::credentials`] if the client has too many wrong guesses. The credentials are not
    /// checked.
    pub fn credentials_not_tried(&self, call: &Call, error: LoginError) -> Result<EndpointAnswer, Failed> {
        match self.read_credentials(call) {
            Ok(request) => {
                let return_to = self.return_to.follow(request.return_to.as_deref(), &call.origin);
                self.refused(call, call.is_form(), error, &return_to)
            }
            Err(error) => Err(self.credentials_failed(call, error)),
        }
    }

    fn read_credentials(&self, call: &Call) -> Result<CredentialsBody, LoginError> {
        if !self.authority.takes_credentials() {
            return Err(LoginError::NotConfigured);
        }
        match call.body_format() {
            BodyFormat::Json => {
                let fields = Fields::of(call)?;
                Ok(CredentialsBody { credentials: Credentials::of(|name| fields.text(name)), return_to: None })
            }
            BodyFormat::Form => {
                let form = Parameters::of(&call.body);
                let field = |name| form.once(name);
                let (email, password) = (field("email")?, field("password")?);
                let typed = |name: &str| match name {
                    "email" => email,
                    "password" => password,
                    _ => None,
                };
                Ok(CredentialsBody {
                    credentials: Credentials::of(typed),
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
        let failed = self.credentials_failed(call, error).returning_to(Some(return_to));
        let kind = failed.error.kind();
        if !is_form || kind.row().form != FormPage::Login {
            return Err(failed);
        }
        let page = self.login_page_with(kind.code(), return_to);
        let wrong_guess = kind.is_wrong_guess();
        Ok(EndpointAnswer { wrong_guess, ..EndpointAnswer::see_other(page, failed.cookies, failed.auth_status) })
    }
}
