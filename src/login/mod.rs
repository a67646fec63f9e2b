//! The ways to prove who one is: OIDC, an ID token held by an app, credentials; and logout.

mod loop_guard;
mod return_to;
mod state;

/// What logins must know of `[session]` and `[server]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use.
    pub public_url: url::Url,
    /// Where the gateway's own endpoints live, e.g. `/auth`; no slash at the end.
    pub base_path: String,
    /// `login_page`: `None` is the built-in one.
    pub login_page: Option<String>,
    /// Where a login without `return_to` goes.
    pub after_login: String,
    /// Where a logout goes.
    pub after_logout: String,
    /// Origins besides `public_url`'s that `return_to` may name.
    pub return_to_origins: Vec<String>,
}
