//! What has to be registered with each provider: redirect URIs, and the addresses after its logout.

use super::{logged_out::AfterLogout, settings::Settings};
use crate::endpoint::VisitorOrigin;

/// The addresses of one provider's registration, one for each host on which logins begin, `public_url`'s first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registration {
    /// The provider's name.
    pub provider: String,
    /// `redirect_uris` (OpenID Connect Dynamic Client Registration 1.0 section 2).
    pub redirect_uris: Vec<String>,
    /// `post_logout_redirect_uris` (OpenID Connect RP-Initiated Logout 1.0 section 3.1).
    pub post_logout_redirect_uris: Vec<String>,
}

/// The registrations of `providers`. `after_logout` says whether `session.after_logout` is open on the host of an origin.
pub fn registrations<'p>(
    settings: &Settings,
    providers: impl Iterator<Item = &'p str>,
    after_logout: impl Fn(&VisitorOrigin) -> AfterLogout,
) -> Vec<Registration> {
    let origins = settings.origins().of_logins();
    let after = |origin: &VisitorOrigin| match after_logout(origin) {
        AfterLogout::Open => origin.absolute(&settings.after_logout),
        AfterLogout::NeedsLogin => origin.absolute(&format!("{}/logged-out", settings.base_path)),
    };
    let mut ends: Vec<_> = origins.iter().map(after).collect();
    ends.dedup();
    let registration = |name: &str| Registration {
        provider: name.to_owned(),
        redirect_uris: origins
            .iter()
            .map(|origin| origin.absolute(&format!("{}/callback/{name}", settings.base_path)))
            .collect(),
        post_logout_redirect_uris: ends.clone(),
    };
    providers.map(registration).collect()
}
