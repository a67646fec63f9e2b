//! Logins by OIDC, by an ID token of an app, and by e-mail and password; and the logout.
//!
//! Each endpoint is a straight descent of guard clauses. It answers a value; a failure is a [`LoginError`], which
//! converts itself into a problem.

mod callback;
mod credentials;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod id_token;
mod logins;
mod logout;
mod loop_guard;
mod page;
mod settings;
mod state;

pub use error::LoginError;
pub use logins::{Failed, Logins};
pub use settings::Settings;

#[cfg(test)]
mod tests;
