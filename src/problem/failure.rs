//! Why a request does not get its ordinary answer.

use http::HeaderValue;

use super::details::Problem;
#[cfg(doc)]
use super::table::ProblemKind;

/// Why a request does not get its ordinary answer: a problem, or a redirect or 204 that is no error.
#[derive(Debug)]
pub enum Failure {
    /// A problem.
    Problem(Problem),
    /// There is no session: a navigation or a submitted form is redirected to the login page, anything else gets
    /// [`ProblemKind::LoginRequired`].
    LogIn {
        /// Path and query to come back to.
        return_to: String,
        /// Who asked.
        asked_by: LoginAskedBy,
    },
    /// A logged-in user asked for a page for visitors without a session (`access = "anonymous"`): redirected
    /// to `after_login`.
    AlreadyLoggedIn,
    /// A navigation under another name of the loopback: redirected to this address under `public_url` with 307.
    ToPublicUrl(HeaderValue),
    /// A question about the gateway itself, such as `OPTIONS *`: 204 with `Allow`.
    AboutGateway,
}

/// What kind of request met a rule that needs a login.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginAskedBy {
    /// A navigation: redirected with 302.
    Navigation,
    /// A form that a page of the same origin submitted: redirected with 303, so that the login page is got with GET.
    Form,
    /// Anything else: 401.
    Script,
}

impl Failure {
    /// The address that a page's link to the login carries, unless it is known already.
    pub fn set_return_to(&mut self, return_to: Option<String>) {
        match self {
            Self::Problem(problem) => problem.set_return_to(return_to),
            Self::LogIn { .. } | Self::AlreadyLoggedIn | Self::ToPublicUrl(_) | Self::AboutGateway => {}
        }
    }

    /// Whether it counts as a wrong guess of the client.
    pub const fn is_wrong_guess(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.kind().is_wrong_guess(),
            Self::LogIn { .. } | Self::AlreadyLoggedIn | Self::ToPublicUrl(_) | Self::AboutGateway => false,
        }
    }
}

/// Everything that converts into a problem is a failure.
impl<E: Into<Problem>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}
