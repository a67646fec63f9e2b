//! `GET·POST /signin` and `/signin/{provider}`: where a login begins. A script is told the address, and the browser
//! goes there by itself: a login attempt begins with that navigation, as every other does.

use super::{
    AuthJs, Body, Failed,
    csrf::Protected,
    error::{is_word, on_login_page},
};
use crate::{
    endpoint::{Call, EndpointAnswer, Parameters},
    session::AuthJsVersion,
};

/// Longest `callbackUrl` in the address of the app's own login page, in bytes. `return_to` is there in any case.
const LONGEST_CALLBACK_URL: usize = 2000;

impl AuthJs {
    /// `GET /signin`: leads to the login page, with `callbackUrl` and `error` of the query. `GET /signin/{provider}`
    /// leads to the login at that provider.
    pub fn sign_in_page(&self, call: &Call, provider: Option<&str>) -> EndpointAnswer {
        let Some(provider) = provider else { return self.to_login_page(call, None) };
        let address = self.logins.start_address(provider, &self.return_to(call, &Body::default()));
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer::see_other(address, cookies, auth_status)
    }

    /// `POST /signin/{provider}`: tells where the login at that provider begins. Without a provider, that is the login
    /// page.
    pub fn sign_in(&self, call: &Call, provider: Option<&str>) -> Result<EndpointAnswer, Failed> {
        let body = Self::read(call, &call.body)?;
        let reader = self.reader(call, &body);
        if !self.repeats_token(call, &body) {
            return Ok(self.without_token(call, reader, Protected::SignIn));
        }
        let address = match (provider, self.version) {
            (Some(provider), _) => self.logins.start_address(provider, &self.return_to(call, &body)),
            (None, AuthJsVersion::NextAuth4) => self.at("signin", &[("csrf", "true")]),
            (None, AuthJsVersion::AuthJs5) => self.at("signin", &[]),
        };
        let (auth_status, cookies) = call.visit.head();
        Ok(Self::lead_to(&call.origin, reader, &address, cookies, auth_status))
    }

    /// Redirects to the login page. It shows the error of the query, else `default`: the built-in page in the gateway's
    /// words, the app's own in those that its developer knows.
    pub(super) fn to_login_page(&self, call: &Call, default: Option<&str>) -> EndpointAnswer {
        let query = Parameters::of(call.query.as_deref().unwrap_or_default().as_bytes());
        let asked = |name| query.once(name).ok().flatten();
        let (error, code) = (asked("error").or(default), asked("code"));
        let return_to = self.return_to.follow(asked("callbackUrl"), &call.origin);
        let callback_url = call.origin.absolute(&return_to);
        let mut parameters = Vec::new();
        if self.own_login_page.is_some() {
            parameters.extend(error.filter(|word| is_word(word)).map(|word| ("error", word)));
            parameters.extend(code.filter(|word| is_word(word)).map(|word| ("code", word)));
            parameters
                .extend(Some(("callbackUrl", &*callback_url)).filter(|(_, url)| url.len() <= LONGEST_CALLBACK_URL));
        } else {
            parameters.extend(error.and_then(|error| on_login_page(error, code)).map(|error| ("error", error)));
        }
        let address = self.logins.login_page_for(&parameters, &return_to);
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer::see_other(address, cookies, auth_status)
    }
}
