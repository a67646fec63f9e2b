//! Logins through an identity provider, with an ID token from an app, and with e-mail and password; and the logout.
//!
//! Each endpoint is a sequence of checks and returns an answer or a [`LoginError`], which converts into a problem.

mod attempt;
mod callback;
mod credentials;
mod error;
mod fields;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod id_token;
mod logged_out;
mod logins;
mod logout;
mod loop_guard;
mod outcome;
mod page;
mod settings;
mod state;

pub use credentials::Credentials;
pub use error::LoginError;
pub use fields::OWN_FIELDS;
pub use logged_out::AfterLogout;
pub use logins::{Failed, Logins};
pub use logout::SignedOut;
pub use page::{Method, MethodKind};
pub use settings::Settings;

#[cfg(test)]
mod tests;
