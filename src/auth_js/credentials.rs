//! `POST /callback/credentials`: the login with e-mail and password, in the form of Auth.js.

use http::StatusCode;

use super::{AuthJs, Body, Failed, Reader, csrf::Protected, error::Words};
use crate::{
    endpoint::{Call, EndpointAnswer},
    login::LoginError,
    problem::ProblemKind,
    session::{AuthJsVersion, AuthStatus},
};

impl AuthJs {
    /// `POST /callback/credentials`. A script is told where to go on, with an error in that address if the login
    /// failed; a form is redirected there.
    pub async fn credentials(&self, mut call: Call) -> Result<EndpointAnswer, Failed> {
        let bytes = call.body.clone();
        let body = Self::read(&call, &bytes)?;
        let reader = self.reader(&call, &body);
        if !self.repeats_token(&call, &body) {
            return Ok(self.without_token(&call, reader, Protected::SignIn));
        }
        let return_to = self.return_to(&call, &body);
        let entered = match self.logins.credentials_of(|name| body.text(name)) {
            Ok(credentials) => self.logins.check_credentials(&mut call, credentials).await,
            Err(error) => Err(error),
        };
        match entered {
            Ok(entered) => Ok(Self::lead_to(&call.origin, reader, &return_to, entered.cookies, AuthStatus::Refreshed)),
            Err(error) => Ok(self.refused(&call, reader, &return_to, error)),
        }
    }

    /// The answer instead of [`AuthJs::credentials`] if the client has too many wrong guesses. The credentials are not
    /// checked.
    pub fn credentials_not_tried(&self, call: &Call, error: LoginError) -> Result<EndpointAnswer, Failed> {
        let body: Body<'_> = Self::read(call, &call.body)?;
        Ok(self.refused(call, self.reader(call, &body), &self.return_to(call, &body), error))
    }

    fn refused(&self, call: &Call, reader: Reader, return_to: &str, error: LoginError) -> EndpointAnswer {
        let words = Words::of(&error, self.version);
        let failed = self.logins.credentials_failed(call, error);
        let kind = failed.error.kind();
        let mut parameters = vec![("error", words.error)];
        match self.version {
            AuthJsVersion::NextAuth4 => parameters.push(("provider", "credentials")),
            AuthJsVersion::AuthJs5 => parameters.extend(words.code.map(|code| ("code", code))),
        }
        if return_to != self.return_to.after_login() {
            parameters.push(("callbackUrl", return_to));
        }
        let leads_to_login = self.version == AuthJsVersion::AuthJs5 && words.on_login_page;
        let address = self.at(if leads_to_login { "signin" } else { "error" }, &parameters);
        let answer = Self::lead_to(&call.origin, reader, &address, failed.cookies, failed.auth_status);
        let status = match (reader, self.version) {
            (Reader::Script, AuthJsVersion::NextAuth4) => status(kind),
            (Reader::Script, AuthJsVersion::AuthJs5) | (Reader::Browser, _) => answer.status,
        };
        EndpointAnswer { status, wrong_guess: kind.is_wrong_guess(), ..answer }
    }
}

/// The status for the client of version 4, which passes it on to the page. Missing credentials are as wrong as others
/// there; the statuses of other failures are the gateway's own.
fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::CredentialsMissing => StatusCode::UNAUTHORIZED,
        kind => kind.row().status,
    }
}
