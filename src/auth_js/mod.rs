//! What the clients of Auth.js ask and expect (`session.compat`): `next-auth/react` of version 4, and of version 5,
//! which names itself Auth.js. The statuses, the names of fields and the error words are theirs; who may log in, what
//! counts as a guess, and where a login may lead is decided where it is for the gateway's own endpoints.
//!
//! | endpoint | file |
//! | --- | --- |
//! | `GET·POST /session` | `session.rs` |
//! | `GET /csrf` | `csrf.rs` |
//! | `GET /providers` | `providers.rs` |
//! | `GET·POST /signin`, `/signin/{provider}` | `sign_in.rs` |
//! | `POST /callback/credentials` | `credentials.rs` |
//! | `GET·POST /signout` | `sign_out.rs` |
//! | `GET /error` | `error.rs` |

mod body;
mod credentials;
mod csrf;
mod error;
mod providers;
mod session;
mod sign_in;
mod sign_out;

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use url::form_urlencoded::Serializer;

use crate::{
    endpoint::{self, Call, EndpointAnswer, Parameters, ReturnTo, Unreadable, VisitorOrigin},
    login::{self, Logins},
    own_headers::X_AUTH_RETURN_REDIRECT,
    pages::Pages,
    problem::Problem,
    respond::Content,
    session::{AuthJsVersion, AuthStatus, CookieChanges, Sessions, Undecided},
};
use body::Body;

/// A call that fails as those of the gateway's own endpoints do.
pub type Failed = endpoint::Failed<AuthJsError>;

/// Why a call fails. Refused logins and missing CSRF tokens have answers of Auth.js instead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthJsError {
    /// It is unknown whether the session is alive.
    Undecided(Undecided),
    /// The body cannot be read.
    Unreadable(Unreadable),
}

impl From<AuthJsError> for Problem {
    fn from(error: AuthJsError) -> Self {
        match error {
            AuthJsError::Undecided(why) => why.into(),
            AuthJsError::Unreadable(why) => why.into(),
        }
    }
}

/// The endpoints of Auth.js.
pub struct AuthJs {
    version: AuthJsVersion,
    base_path: String,
    /// The app's own login page; `None`: the built-in one.
    own_login_page: Option<String>,
    return_to: ReturnTo,
    logins: Arc<Logins>,
    sessions: Sessions,
    pages: Arc<Pages>,
}

/// Who the answer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reader {
    /// A script, which gets the address in JSON.
    Script,
    /// A browser, which is redirected.
    Browser,
}

impl AuthJs {
    /// The endpoints for pages with that version of the client.
    pub fn new(
        version: AuthJsVersion,
        settings: &login::Settings,
        logins: Arc<Logins>,
        sessions: Sessions,
        pages: Arc<Pages>,
    ) -> Self {
        Self {
            version,
            base_path: settings.base_path.clone(),
            own_login_page: settings.login_page.clone(),
            return_to: ReturnTo::new(&settings.return_to()),
            logins,
            sessions,
            pages,
        }
    }

    /// `POST /_log`: takes what the client of version 4 reports of errors, and writes nothing. The body was bounded
    /// when it was read.
    pub fn log(&self, call: &Call) -> EndpointAnswer {
        let (auth_status, cookies) = call.visit.head();
        EndpointAnswer { status: StatusCode::OK, content: Content::Empty, cookies, auth_status, wrong_guess: false }
    }

    /// The body of `call`; `bytes` are a copy of it.
    fn read<'b>(call: &Call, bytes: &'b [u8]) -> Result<Body<'b>, Failed> {
        let failed = |why| Failed::new(call, AuthJsError::Unreadable(why), CookieChanges::default());
        Body::of(call, bytes).map_err(failed)
    }

    /// Who reads the answer: version 4 says it in the body, version 5 in a header.
    fn reader(&self, call: &Call, body: &Body<'_>) -> Reader {
        let is_script = match self.version {
            AuthJsVersion::NextAuth4 => body.text("json") == Some("true"),
            AuthJsVersion::AuthJs5 => call.headers.contains_key(X_AUTH_RETURN_REDIRECT),
        };
        if is_script { Reader::Script } else { Reader::Browser }
    }

    /// Tells where the visitor is to go on: an absolute address, because the client parses it as one.
    fn lead_to(
        origin: &VisitorOrigin,
        reader: Reader,
        address: &str,
        cookies: CookieChanges,
        status: AuthStatus,
    ) -> EndpointAnswer {
        let url = origin.absolute(address);
        match reader {
            Reader::Script => EndpointAnswer::json(StatusCode::OK, json!({ "url": url }), cookies, status),
            Reader::Browser => EndpointAnswer::see_other(url, cookies, status),
        }
    }

    /// The address that `callbackUrl` of the body or the query asks for, if a login may lead there.
    fn wanted(&self, call: &Call, body: &Body<'_>) -> Option<String> {
        let query = Parameters::of(call.query.as_deref().unwrap_or_default().as_bytes());
        let asked = body.text("callbackUrl").or_else(|| query.once("callbackUrl").ok().flatten())?;
        self.return_to.allow(asked, &call.origin).map(Into::into)
    }

    /// The same address, else `session.after_login`.
    fn return_to(&self, call: &Call, body: &Body<'_>) -> String {
        self.wanted(call, body).unwrap_or_else(|| self.return_to.after_login().to_owned())
    }

    /// The path of an endpoint, with these parameters.
    fn at(&self, endpoint: &str, parameters: &[(&str, &str)]) -> String {
        let path = format!("{}/{endpoint}", self.base_path);
        if parameters.is_empty() {
            return path;
        }
        format!("{path}?{}", Serializer::new(String::new()).extend_pairs(parameters).finish())
    }
}
