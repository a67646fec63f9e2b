//! The session: what the visitor's cookies prove, how it is issued, kept fresh and ended. The last module that knows what a cookie is.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, header};
use tokio::{runtime::Handle, sync::Semaphore};
use url::Url;
use uuid::Uuid;

use crate::{
    authority::Authority,
    clock::{Clock, Timestamp},
    seal::{KeyRing, SealKey},
    secret::Random,
    store::Store,
    telemetry::Metrics,
};

mod attempt;
mod challenge;
mod check;
mod cookies;
pub mod device;
mod end;
mod enter;
mod forgeries;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod grant;
mod issue;
mod later;
mod open;
mod outage;
mod refresh;
mod state;
mod visit;

pub use crate::oidc::Claims;
#[cfg(test)]
pub(crate) use cookies::tests::settings as test_settings;

pub use attempt::{Attempts, MOST_ATTEMPTS};
pub use challenge::Challenges;
pub use cookies::{CookieChanges, Reach};
pub use end::LoggedOut;
pub use enter::{EnterError, Entered};
pub use grant::{AccessGrant, Login, RefreshGrant, Session};
pub use issue::{BeginError, NewLogin};
pub use visit::{After401, Undecided, Visit};

/// `x-auth-status`: how the session fared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthStatus {
    /// Served with the access token that came in.
    Valid,
    /// The answer carries new cookies.
    Refreshed,
    /// The session is over.
    Invalid,
    /// There was no session.
    Anonymous,
    /// Nobody can tell now: the authority did not answer and the access token has expired, or too many forged ones came from this client.
    Unavailable,
}

impl AuthStatus {
    /// The header's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Refreshed => "refreshed",
            Self::Invalid => "invalid",
            Self::Anonymous => "anonymous",
            Self::Unavailable => "unavailable",
        }
    }
}

/// `[session]`, validated, with what it needs of `[server]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address visitors use: decides `Secure`.
    pub public_url: Url,
    /// `cookie_prefix`, e.g. `sb_`.
    pub cookie_prefix: String,
    /// Put `__Host-` in front.
    pub host_prefix: bool,
    /// Whether `sb_at` is sealed; `sb_rt` always is.
    pub seal: bool,
    /// 32 bytes each; the first seals, all open.
    pub keys: Vec<SealKey>,
    /// The file names no keys (on loopback): one was made, which a reload must not replace.
    pub key_was_made: bool,
    /// Refresh this long before expiry (at most a fifth of the token's life).
    pub refresh_ahead: Duration,
    /// How long a result outlives its acknowledgement.
    pub refresh_grace: Duration,
    /// Lifetime of `sb_rt`.
    pub refresh_token_lifetime: Duration,
    /// A session without a refresh for this long has ended.
    pub idle: Duration,
    /// A session this old has ended.
    pub absolute: Duration,
    /// Clock difference tolerated when a token's times are checked.
    pub leeway: Duration,
    /// JSON pointer to the role or roles in the claims.
    pub roles_claim: String,
    /// Claims that `GET /session` lets out.
    pub expose_claims: Vec<String>,
    /// Claims kept for templates and header rules, besides those exposed.
    pub template_claims: Vec<String>,
    /// What happens to refreshes while a shared store is away.
    pub store_down: StoreDown,
    /// The longest timeout of any route or upstream: how long a request may be under way when its session ends.
    pub longest_timeout: Duration,
}

/// `store.store_down`: what happens to refreshes while a shared store is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StoreDown {
    /// Nothing is refreshed ahead; an expired access token gets 503.
    #[default]
    Wait,
    /// Each instance refreshes by itself: for an authority whose refresh tokens do not rotate.
    Refresh,
}

/// Everything sessions need, shared by all requests.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    jar: cookies::Jar,
    ring: KeyRing,
    opened: open::OpenedCookies,
    forgeries: forgeries::Forgeries,
    states: state::States,
    flights: refresh::Flights,
    outage: outage::Outage,
    authority: Arc<Authority>,
    store: Store,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
    /// Room for what the store is to be told when it is back.
    unstored: Arc<Semaphore>,
    /// Where refreshes run: no busy core, and no visitor who hangs up, delays them.
    background: Handle,
}

impl Sessions {
    /// Builds the session's parts; `background` is the runtime that refreshes run on.
    pub fn new(
        settings: Settings,
        authority: Arc<Authority>,
        store: Store,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
        background: Handle,
    ) -> Self {
        let sessions = Self {
            inner: Arc::new(Inner {
                jar: cookies::Jar::new(&settings),
                ring: KeyRing::new(&settings.keys, random.clone()),
                opened: open::OpenedCookies::new(),
                forgeries: forgeries::Forgeries::default(),
                states: state::States::default(),
                flights: refresh::Flights::default(),
                outage: outage::Outage::default(),
                settings,
                authority,
                store,
                clock,
                random,
                metrics,
                unstored: Arc::new(Semaphore::new(later::MOST_UNSTORED)),
                background,
            }),
        };
        sessions.watch_endings();
        sessions
    }

    /// Takes our cookies out of a request on its way upstream, except those that `keep` names.
    pub fn strip_request(&self, headers: &mut HeaderMap, keep: &[String]) {
        self.inner.jar.strip_request(headers, keep);
    }

    /// Takes an upstream's attempts at our cookies out of its answer.
    pub fn strip_answer(&self, headers: &mut HeaderMap) {
        self.inner.jar.strip_answer(headers);
    }

    /// The cookies of login attempts.
    pub fn attempts(&self) -> Attempts<'_> {
        Attempts::new(&self.inner)
    }

    /// The cookies of those who asked for a one-time code.
    pub fn challenges(&self) -> Challenges<'_> {
        Challenges::new(&self.inner)
    }

    /// The device id of a request's device cookie, where it is a UUID.
    pub fn device_id(&self, headers: &HeaderMap) -> Option<Uuid> {
        let value = self.inner.jar.find(headers.get_all(header::COOKIE).iter()).device?;
        device::parse_id(std::str::from_utf8(value).ok()?)
    }

    /// The object of `GET /session` for these tokens.
    pub fn describe(&self, access: &AccessGrant) -> serde_json::Value {
        let user: serde_json::Map<_, _> = self
            .inner
            .settings
            .expose_claims
            .iter()
            .filter_map(|name| Some((name.clone(), access.claims.get(name)?.clone())))
            .collect();
        serde_json::json!({
            "authenticated": true,
            "user": user,
            "roles": access.roles,
            "expiresAt": access.expires_at.rfc3339(),
            "refreshAt": access.due_at.rfc3339(),
            "deviceId": access.login.as_ref().map(|login| login.device.id),
        })
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
