//! Sessions: read from a request's cookies, issued at a login, refreshed, ended. No other module reads or writes the
//! gateway's cookies.
//!
//! | question | file |
//! | --- | --- |
//! | which cookies are ours, and with which attributes? | `cookies/` |
//! | which session does a request have, and is it alive? | `visit/` |
//! | how are tokens refreshed? | `refresh/` |
//! | how does a login become a session? | `enter.rs`, then `issue.rs` |
//! | how does a session end? | `logout.rs` and `end.rs` |

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderValue};
use tokio::{runtime::Handle, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{authority::Authority, clock::Clock, seal::KeyRing, secret::Random, store::Store, telemetry::Metrics};

mod again;
mod attempt;
mod challenge;
mod check;
mod claims;
mod cookies;
mod csrf;
mod deposits;
pub mod device;
mod digest;
mod end;
mod enter;
mod forged_tokens;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grant;
mod issue;
mod logout;
mod open;
mod opened;
mod refresh;
mod sealed;
mod settings;
mod shared;
mod state;
mod status;
mod store_later;
mod visit;

pub use crate::authority::Claims;
#[cfg(test)]
pub(crate) use cookies::tests::settings as test_settings;

pub use again::PackedSession;
pub use attempt::{Attempts, FoundAttempt, MOST_ATTEMPTS};
pub use challenge::Challenges;
pub use cookies::{CookieChanges, Reach};
pub use csrf::CsrfTokens;
pub use deposits::{DepositOwner, DepositSlot, Deposits};
pub use enter::{EnterError, Entered, NewLogin};
pub use grant::{AccessGrant, Login, RefreshGrant, Session};
pub use issue::BeginError;
pub use logout::LoggedOut;
pub use settings::{AuthJsVersion, Settings, StoreDown};
pub use shared::Sessions;
pub use status::{AuthStatus, Undecided};
pub use visit::{After401, CarriedToken, Visit};

impl Sessions {
    /// Starts to follow the ends of sessions that the store announces. Refreshes run on `background`.
    pub fn new(
        settings: Settings,
        authority: Arc<Authority>,
        store: Store,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
        background: Handle,
    ) -> Self {
        let dropped = CancellationToken::new();
        let shared = shared::Shared {
            _alive: dropped.clone().drop_guard(),
            jar: cookies::Jar::new(&settings),
            ring: KeyRing::new(&settings.keys, random.clone()),
            opened: opened::OpenedCookies::new(),
            forged_tokens: forged_tokens::ForgedTokens::default(),
            states: state::SessionStates::default(),
            in_flight: refresh::in_flight::InFlight::default(),
            process: random.bytes(),
            authorities: refresh::watch::Authorities::new(refresh::watch::WatchDeps {
                store: store.clone(),
                clock: clock.clone(),
                random: random.clone(),
                metrics: metrics.clone(),
                background: background.clone(),
            }),
            settings,
            authority,
            store,
            clock,
            random,
            metrics,
            pending_writes: Arc::new(Semaphore::new(store_later::MOST_PENDING)),
            background,
        };
        let sessions = Self { shared: Arc::new(shared) };
        sessions.follow_endings(dropped);
        sessions
    }

    /// The authorities that refreshes have asked, by name, and whether each counts as down.
    pub fn authorities_down(&self) -> BTreeMap<String, bool> {
        self.shared.authorities.are_down()
    }

    /// The `Cookie` headers of a request that have a cookie of ours.
    pub fn own_cookie_lines<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h HeaderValue> {
        self.shared.jar.own_lines(headers)
    }

    /// Removes our cookies from a request before it is forwarded. The access token's and the device's cookie stay if
    /// `keep` names them.
    pub fn strip_request(&self, headers: &mut HeaderMap, keep: &[String]) {
        self.shared.jar.strip_request(headers, keep);
    }

    /// Removes `Set-Cookie` of our cookies from an upstream's answer.
    pub fn strip_answer(&self, headers: &mut HeaderMap) {
        self.shared.jar.strip_answer(headers);
    }

    /// The cookies of login attempts.
    pub fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.shared)
    }

    /// Values that the store keeps for minutes.
    pub fn deposits(&self) -> Deposits<'_> {
        Deposits::new(&self.shared)
    }

    /// The cookies of one-time code challenges.
    pub fn challenges(&self) -> Challenges<'_> {
        Challenges::new(&self.shared)
    }

    /// The CSRF tokens of Auth.js, and the cookies that it left behind.
    pub fn csrf(&self) -> CsrfTokens<'_> {
        CsrfTokens::new(&self.shared)
    }

    /// The claims of the person that scripts may know (`expose_claims`).
    pub fn exposed_claims(&self, access: &AccessGrant) -> serde_json::Map<String, serde_json::Value> {
        let names = self.shared.settings.expose_claims.iter();
        names.filter_map(|name| Some((name.clone(), access.claims.get(name)?.clone()))).collect()
    }

    /// The JSON object that `GET /session` answers for this access token.
    pub fn describe(&self, access: &AccessGrant) -> serde_json::Value {
        serde_json::json!({
            "authenticated": true,
            "user": self.exposed_claims(access),
            "roles": access.roles,
            "expiresAt": access.expires_at.rfc3339(),
            "refreshAt": access.due_at.rfc3339(),
            "deviceId": access.login.as_ref().map(|login| login.device.id),
        })
    }
}
