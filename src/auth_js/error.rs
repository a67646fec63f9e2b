//! Error words: those of Auth.js for a failed login, and what the login page shows for each.

use super::AuthJs;
use crate::{
    endpoint::{Call, EndpointAnswer},
    login::LoginError,
    problem::{Denial, ProblemKind},
    session::AuthJsVersion,
};

/// The error of a page that needs a session, which is no failure.
const SESSION_REQUIRED: &str = "SessionRequired";
/// Longest error word that is passed on to the app's own login page, in bytes.
const LONGEST_WORD: usize = 64;

/// A failed login in the words of Auth.js.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Words {
    /// `error` of the address.
    pub(super) error: &'static str,
    /// `code` of the address, in version 5.
    pub(super) code: Option<&'static str>,
    /// Whether version 5 leads to the login page. Version 4 always leads to the error page.
    pub(super) on_login_page: bool,
}

impl Words {
    /// Version 5 has one word for refused credentials, and `code` for the reason. Version 4 has only a word: that of
    /// Auth.js for wrong credentials, the gateway's own for other reasons, as if the app had thrown it.
    pub(super) fn of(error: &LoginError, version: AuthJsVersion) -> Self {
        let kind = error.kind();
        let refused = |code| Self { error: "CredentialsSignin", code: Some(code), on_login_page: true };
        let is_about_credentials =
            matches!(kind, ProblemKind::BadCredentials | ProblemKind::AccountRefused | ProblemKind::CredentialsMissing);
        match (kind, version) {
            (ProblemKind::BadCredentials | ProblemKind::AccountRefused, _) => refused("credentials"),
            (ProblemKind::NotAllowed, _) => Self { error: "AccessDenied", code: None, on_login_page: false },
            (_, AuthJsVersion::NextAuth4) if is_about_credentials => refused("credentials"),
            (_, AuthJsVersion::NextAuth4) => Self { error: kind.code(), code: None, on_login_page: false },
            (ProblemKind::CredentialsMissing | ProblemKind::TooManyGuesses, _) => refused(kind.code()),
            (_, AuthJsVersion::AuthJs5) => {
                Self { error: "Configuration", code: Some(kind.code()), on_login_page: false }
            }
        }
    }
}

impl AuthJs {
    /// `GET /error`: leads to the login page, which explains the error.
    pub fn error(&self, call: &Call) -> EndpointAnswer {
        self.to_login_page(call, Some("Default"))
    }
}

/// The login page's code for an error word of Auth.js, with version 5's `code`; `None` if nothing has failed.
pub(super) fn on_login_page(error: &str, code: Option<&str>) -> Option<&'static str> {
    let of_problem = |code: &str| ProblemKind::on_login_page(code).map(ProblemKind::code);
    let of_denial = |code: &str| Denial::of_code(code).map(Denial::code);
    match error {
        SESSION_REQUIRED => None,
        "CredentialsSignin" => Some(code.and_then(of_problem).unwrap_or_else(|| ProblemKind::BadCredentials.code())),
        "AccessDenied" => Some(Denial::NotAllowed.code()),
        own => Some(of_problem(own).or_else(|| of_denial(own)).unwrap_or(Denial::Refused.code())),
    }
}

/// Whether an app's own login page may get this word: letters, digits and `_`.
pub(super) fn is_word(text: &str) -> bool {
    text.len() <= LONGEST_WORD && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authority::Guess;

    #[test]
    fn each_failure_has_the_word_of_its_version() {
        let of = |error: &LoginError| {
            [AuthJsVersion::NextAuth4, AuthJsVersion::AuthJs5].map(|version| {
                let words = Words::of(error, version);
                (words.error, words.code)
            })
        };
        let wrong = ("CredentialsSignin", Some("credentials"));
        assert_eq!(of(&LoginError::BadCredentials(Guess::Counted)), [wrong, wrong]);
        assert_eq!(of(&LoginError::BadCredentials(Guess::Uncounted)), [wrong, wrong]);
        assert_eq!(of(&LoginError::CredentialsMissing), [wrong, ("CredentialsSignin", Some("credentials_missing"))]);
        let too_many = [("too_many", None), ("CredentialsSignin", Some("too_many"))];
        assert_eq!(of(&LoginError::TooMany(Duration::from_secs(1))), too_many);
        let elsewhere = [("repeated_parameter", None), ("Configuration", Some("repeated_parameter"))];
        assert_eq!(of(&LoginError::RepeatedParameter), elsewhere);
    }

    #[test]
    fn the_login_page_shows_an_error_of_auth_js_in_its_own_words() {
        for (error, code, shown) in [
            ("CredentialsSignin", None, Some("bad_credentials")),
            ("CredentialsSignin", Some("credentials"), Some("bad_credentials")),
            ("CredentialsSignin", Some("too_many"), Some("too_many")),
            ("CredentialsSignin", Some("<b>"), Some("bad_credentials")),
            ("AccessDenied", None, Some("not_allowed")),
            ("too_many", None, Some("too_many")),
            ("MissingCSRF", None, Some("login_failed")),
            ("your account was stolen", None, Some("login_failed")),
            ("SessionRequired", None, None),
        ] {
            assert_eq!(on_login_page(error, code), shown, "{error} {code:?}");
        }
    }
}
