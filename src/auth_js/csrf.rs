//! `GET /csrf`, and the check of its token, which every other call repeats.

use http::StatusCode;
use serde_json::json;

use super::{AuthJs, Body, Reader};
use crate::{
    endpoint::{Call, EndpointAnswer},
    session::AuthJsVersion,
};

/// A call that needs the token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protected {
    SignIn,
    SignOut,
}

impl AuthJs {
    /// `GET /csrf`: the token of this browser.
    pub fn csrf(&self, call: &Call) -> EndpointAnswer {
        let (token, cookie) = self.sessions.csrf().of(&call.headers);
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer::json(StatusCode::OK, json!({ "csrfToken": token }), cookies.and(cookie), auth_status)
    }

    /// Whether the body repeats the token of the browser's cookie.
    pub(super) fn repeats_token(&self, call: &Call, body: &Body<'_>) -> bool {
        body.text("csrfToken").is_some_and(|token| self.sessions.csrf().is_of(&call.headers, token))
    }

    /// The answer to a call without the right token. Version 4 leads back to the page that the call came from, version
    /// 5 to its error page.
    pub(super) fn without_token(&self, call: &Call, reader: Reader, protected: Protected) -> EndpointAnswer {
        let address = match (self.version, protected) {
            (AuthJsVersion::NextAuth4, Protected::SignIn) => self.at("signin", &[("csrf", "true")]),
            (AuthJsVersion::NextAuth4, Protected::SignOut) => self.at("signout", &[("csrf", "true")]),
            (AuthJsVersion::AuthJs5, _) => self.at("error", &[("error", "MissingCSRF")]),
        };
        let (auth_status, cookies) = call.visit.head();
        Self::lead_to(&call.origin, reader, &address, cookies, auth_status)
    }
}
