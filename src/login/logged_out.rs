//! Where a logout ends: on something that does not log in again. `GET /logged-out`, and the one-time address that leads
//! a script's visitor on to the provider's logout.

use std::time::Duration;

use http::StatusCode;

use super::logins::{Failed, Logins};
use crate::{
    endpoint::{Call, EndpointAnswer, Parameters, Repeated, VisitorOrigin, with_return_to},
    session::{CookieChanges, DepositOwner, DepositSlot},
};

/// How long the one-time address to the provider's logout works.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Whether `session.after_logout` can be shown to a person who has just logged out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterLogout {
    /// It needs no login.
    Open,
    /// It needs a login, or begins one.
    NeedsLogin,
}

impl Logins {
    /// The host and the path of `session.after_logout` for a visitor of `origin`; `None` if the host is not ours.
    pub fn place_after_logout(&self, origin: &VisitorOrigin) -> Option<(String, String)> {
        self.place_of(&self.settings.after_logout, origin)
    }

    /// The host and the path that an address leads a visitor of `origin` to; `None` if the host is not ours.
    pub fn place_of(&self, address: &str, origin: &VisitorOrigin) -> Option<(String, String)> {
        self.origins.locate(address, origin)
    }

    /// Whether the built-in login page redirects to the only provider at once.
    pub fn login_page_goes_on(&self) -> bool {
        self.only_provider().is_some()
    }

    /// `GET /logged-out`: the page after a logout; its link to the login carries `return_to`. With `go` of
    /// [`Logins::one_time_address`], the first request is redirected to the provider's logout.
    pub async fn logged_out(&self, call: Call) -> Result<EndpointAnswer, Failed> {
        let query = call.query.as_deref().unwrap_or_default();
        let query = Parameters::of(query.as_bytes());
        let [Ok(provider), Ok(go), Ok(asked)] = ["provider", "go", "return_to"].map(|name| query.once(name)) else {
            return Err(Failed::new(&call, Repeated.into(), CookieChanges::default()));
        };
        let (auth_status, cookies) = call.visit.head();
        if let Some(slot) = go.and_then(slot_in)
            && let Ok(Some(address)) = self.sessions.deposits().withdraw::<String>(&slot).await
        {
            return Ok(EndpointAnswer::see_other(address, cookies, auth_status));
        }
        let provider = provider.and_then(|name| self.provider(name).ok());
        let label = provider.map(|provider| self.label_of(provider, call.language));
        let return_to = self.return_to.follow(asked, &call.origin);
        let login_page = with_return_to(&self.login_page, &[], self.in_link(&return_to));
        let page = self.pages.logged_out(call.language, label.as_deref(), login_page);
        Ok(EndpointAnswer::page(StatusCode::OK, page, cookies, auth_status))
    }

    /// The page after a logout. With the name of a provider, it says that this one has no logout of its own. Its link
    /// to the login carries `return_to`.
    pub(super) fn logged_out_page(&self, provider: Option<&str>, return_to: Option<&str>) -> String {
        let provider: Vec<_> = provider.map(|name| ("provider", name)).into_iter().collect();
        with_return_to(&self.at("logged-out"), &provider, return_to.and_then(|return_to| self.in_link(return_to)))
    }

    /// `post_logout_redirect_uri` on the visitor's host: `after_logout` if that needs no login, else the page after a
    /// logout.
    pub(super) fn after_provider(&self, origin: &VisitorOrigin, after_logout: AfterLogout) -> String {
        match after_logout {
            AfterLogout::Open => origin.absolute(&self.settings.after_logout),
            AfterLogout::NeedsLogin => origin.absolute(&self.logged_out_page(None, None)),
        }
    }

    /// An address of ours that redirects to `address` once, without having it in itself: it may contain a token. `None`
    /// if the store does not take it.
    pub(super) async fn one_time_address(&self, call: &Call, address: &str) -> Option<String> {
        let deposits = self.sessions.deposits();
        let secret = self.random.token::<32>();
        let slot = DepositSlot { owner: deposits.owner(call.client.key()), secret: secret.as_str().into() };
        if let Err(error) = deposits.put(&slot, &address, KEPT_FOR).await {
            tracing::warn!(%error, "the store did not take the address of a provider's logout");
            return None;
        }
        Some(format!("{}?go={}{secret}", self.logged_out_page(None, None), slot.owner.text()))
    }
}

/// The slot that the `go` of a one-time address names.
fn slot_in(go: &str) -> Option<DepositSlot> {
    let (owner, secret) = go.split_at_checked(DepositOwner::TEXT_LENGTH)?;
    Some(DepositSlot { owner: DepositOwner::parse(owner)?, secret: secret.into() })
}
