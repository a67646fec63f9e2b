//! What logins need of `[session]`, `[server]` and `[otp]`, after validation.

use crate::{channel::Channel, endpoint::Places, pages::Site};

/// What logins need of `[session]`, `[server]` and `[otp]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use.
    pub public_url: url::Url,
    /// Where the gateway's own endpoints live, e.g. `/auth`; no slash at the end.
    pub base_path: String,
    /// The app's own login page; `None`: the built-in one.
    pub login_page: Option<String>,
    /// Where a login without `return_to` goes.
    pub after_login: String,
    /// Where a logout leads.
    pub after_logout: String,
    /// Origins besides `public_url`'s that `return_to` may name.
    pub return_to_origins: Vec<String>,
    /// The channels whose codes log people in.
    pub codes: Vec<Channel>,
}

impl Settings {
    /// The address where a login begins: the built-in page, or the app's own.
    pub fn login_page(&self) -> String {
        self.login_page.clone().unwrap_or_else(|| format!("{}/login", self.base_path))
    }

    /// The site that the pages belong to.
    pub fn site<'s>(&'s self, login_page: &'s str) -> Site<'s> {
        Site {
            public_url: &self.public_url,
            base_path: &self.base_path,
            login_page,
            form_targets: &self.return_to_origins,
        }
    }

    /// The addresses where logins may end.
    pub fn places(&self) -> Places<'_> {
        Places {
            public_url: &self.public_url,
            base_path: &self.base_path,
            after_login: &self.after_login,
            origins: &self.return_to_origins,
        }
    }
}
