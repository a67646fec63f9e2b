//! The keys of `[session]`, `[server]` and `[otp]` that logins use, after validation.

use crate::{
    channel::Channel,
    endpoint::{OriginSettings, Origins, ReturnToSettings, VisitorOrigin},
    pages::Site,
};

/// The keys of `[session]`, `[server]` and `[otp]` that logins use, validated.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `server.public_url`: the URL that visitors use.
    pub public_url: url::Url,
    /// `server.hosts` and the hosts of all routes: logins begin and end on the visitor's own host.
    pub hosts: Vec<String>,
    /// The path prefix of the gateway's own endpoints, e.g. `/auth`; no slash at the end.
    pub base_path: String,
    /// The app's own login page; `None`: the built-in one.
    pub login_page: Option<String>,
    /// The address after a login without `return_to`.
    pub after_login: String,
    /// The address after a logout.
    pub after_logout: String,
    /// Origins besides the visitor's own that `return_to` may name.
    pub return_to_origins: Vec<String>,
    /// The channels with purpose `login`, each with the name of the field for the address.
    pub codes: Vec<(Channel, String)>,
}

impl Settings {
    /// The address where a login begins: the built-in page, or the app's own.
    pub fn login_page(&self) -> String {
        self.login_page.clone().unwrap_or_else(|| format!("{}/login", self.base_path))
    }

    /// The site that the pages belong to.
    pub fn site(&self) -> Site<'_> {
        Site { public_url: &self.public_url, base_path: &self.base_path, form_targets: &self.return_to_origins }
    }

    /// The origins of visitors' hosts.
    pub fn origins(&self) -> Origins {
        Origins::new(&OriginSettings { public_url: &self.public_url, hosts: &self.hosts })
    }

    /// The redirect URI of a provider for logins that begin on `origin`; it is registered with the provider.
    pub fn redirect_uri(&self, origin: &VisitorOrigin, provider: &str) -> String {
        origin.absolute(&format!("{}/callback/{provider}", self.base_path))
    }

    /// The settings of [`ReturnTo`](crate::endpoint::ReturnTo).
    pub fn return_to(&self) -> ReturnToSettings<'_> {
        ReturnToSettings {
            base_path: &self.base_path,
            after_login: &self.after_login,
            origins: &self.return_to_origins,
        }
    }
}
