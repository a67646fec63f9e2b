//! `POST /login`: e-mail address and password, or other fields, which the backend checks. A script posts JSON, the
//! login page a form. Auth.js has an endpoint of its own for the same check ([`Logins::check_credentials`]).

use super::{
    error::LoginError,
    fields::{FieldKind, are_usual},
    logins::{Failed, Logins},
};
use crate::{
    authority::{CREDENTIALS_METHOD, Proof},
    endpoint::{self, BodyFormat, Call, EndpointAnswer, Fields, Parameters, Unreadable},
    problem::FormPage,
    secret::Secret,
    session::{AuthStatus, CookieChanges, Entered},
};

/// What a person typed, and the device that an app names.
pub struct Credentials {
    /// The fields of the configuration, each with its name; empty where absent.
    fields: Vec<(String, Secret)>,
    device_id: Option<String>,
    device_name: Option<String>,
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

    /// The credentials in a script's body, whose texts `field` gives.
    pub fn credentials_of<'b>(&self, field: impl Fn(&str) -> Option<&'b str>) -> Result<Credentials, LoginError> {
        let names = self.authority.credential_fields().ok_or(LoginError::NotConfigured)?;
        let text = |name| field(name).map(str::to_owned);
        Ok(Credentials {
            fields: names.iter().map(|name| value(name, field(name))).collect(),
            device_id: text("deviceId"),
            device_name: text("deviceName"),
        })
    }

    /// Has the backend check the credentials, and opens a session. The guesses at the account are limited here, those
    /// of the client by the caller.
    pub async fn check_credentials(&self, call: &mut Call, credentials: Credentials) -> Result<Entered, LoginError> {
        let Credentials { fields, device_id, device_name } = credentials;
        let device_id = endpoint::app_device_id(device_id.as_deref());
        let device = call.device(&self.sessions, &self.random, device_id, device_name.as_deref());
        let is_complete = fields.iter().all(|(_, value)| !value.is_empty());
        let (_, account) = fields.first().filter(|_| is_complete).ok_or(LoginError::CredentialsMissing)?;
        // Counted before the backend is asked, so that the answer does not depend on whether the account exists.
        let guess = self.guesses.at_account(account.expose()).await?;
        let entered = self.enter(call, Proof::Credentials(fields), CREDENTIALS_METHOD, device).await;
        if !entered.as_ref().is_err_and(|error| error.kind().is_wrong_guess()) {
            self.guesses.give_back(guess).await;
        }
        entered
    }

    /// Counts a failed login with credentials and writes its audit line.
    pub fn credentials_failed(&self, call: &Call, error: LoginError) -> Failed {
        self.failed(call, CREDENTIALS_METHOD, error, CookieChanges::default())
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
        match call.body_format() {
            BodyFormat::Json => {
                let fields = Fields::of(call)?;
                Ok(CredentialsBody { credentials: self.credentials_of(|name| fields.text(name))?, return_to: None })
            }
            BodyFormat::Form => {
                let form = Parameters::of(&call.body);
                let names = self.authority.credential_fields().ok_or(LoginError::NotConfigured)?;
                let fields = names.iter().map(|name| Ok(value(name, form.once(name)?)));
                Ok(CredentialsBody {
                    credentials: Credentials {
                        fields: fields.collect::<Result<_, LoginError>>()?,
                        device_id: None,
                        device_name: None,
                    },
                    return_to: form.once("return_to")?.map(str::to_owned),
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
        let is_usual = self.authority.credential_fields().is_none_or(are_usual);
        let error = if is_usual { error } else { LoginError::OfOtherFields(Box::new(error)) };
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

/// A field and its value; blanks around it belong to passwords alone.
fn value(name: &str, typed: Option<&str>) -> (String, Secret) {
    let typed = typed.unwrap_or_default();
    (name.to_owned(), Secret::new(if FieldKind::of(name).keeps_blanks() { typed } else { typed.trim() }))
}
