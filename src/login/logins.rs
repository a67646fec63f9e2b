//! `Logins`, the endpoints of logins: the parts that they use, and the steps that they share.

use std::sync::Arc;

use http::StatusCode;

use super::{error::LoginError, loop_guard::LoopGuard, outcome::Running, settings::Settings};
use crate::{
    authority::{Authority, ClientDevice, Device, Proof},
    clock::Clock,
    endpoint::{Call, EndpointAnswer, Guesses, Origins, ReturnTo, VisitorOrigin},
    oidc::Provider,
    pages::Pages,
    secret::Random,
    session::{AuthStatus, CookieChanges, Entered, Sessions},
    telemetry::Metrics,
};

/// A failed login, with the session status and cookies of its answer.
pub type Failed = crate::endpoint::Failed<LoginError>;

/// The endpoints of logins and the logout, built once.
pub struct Logins {
    pub(super) settings: Settings,
    /// `Settings::login_page`.
    pub(super) login_page: String,
    pub(super) providers: Vec<Arc<Provider>>,
    pub(super) authority: Arc<Authority>,
    pub(super) sessions: Sessions,
    pub(super) pages: Arc<Pages>,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) metrics: Arc<Metrics>,
    pub(super) guesses: Arc<Guesses>,
    pub(super) return_to: ReturnTo,
    pub(super) loops: LoopGuard,
    pub(super) running: Running,
    pub(super) origins: Origins,
}

impl Logins {
    /// Builds the endpoints; the login page lists `providers` in this order.
    #[expect(clippy::too_many_arguments, reason = "one caller, and each part has a type of its own")]
    pub fn new(
        settings: Settings,
        providers: Vec<Arc<Provider>>,
        authority: Arc<Authority>,
        sessions: Sessions,
        pages: Arc<Pages>,
        clock: Clock,
        random: Random,
        metrics: Arc<Metrics>,
        guesses: Arc<Guesses>,
    ) -> Self {
        Self {
            login_page: settings.login_page(),
            return_to: ReturnTo::new(&settings.return_to()),
            loops: LoopGuard::new(),
            running: Running::default(),
            origins: settings.origins(),
            settings,
            providers,
            authority,
            sessions,
            pages,
            clock,
            random,
            metrics,
            guesses,
        }
    }

    /// The origin of the host that a visitor asked for.
    pub fn origin_of(&self, host: &str) -> VisitorOrigin {
        self.origins.of(host)
    }

    /// The failure of a login with `method` that was not tried, because the client has too many wrong guesses.
    pub fn not_tried(&self, call: &Call, method: &str, error: LoginError) -> Failed {
        self.failed(call, method, error, CookieChanges::default())
    }

    pub(super) fn provider(&self, name: &str) -> Result<&Arc<Provider>, LoginError> {
        self.providers.iter().find(|provider| provider.settings().name == name).ok_or(LoginError::NotConfigured)
    }

    /// The provider, if it is the only way to log in.
    pub(super) fn only_provider(&self) -> Option<&Arc<Provider>> {
        let has_forms = self.authority.takes_credentials() || !self.settings.codes.is_empty();
        match self.providers.as_slice() {
            [only] if !has_forms => Some(only),
            _ => None,
        }
    }

    /// Gets tokens for `proof` from the authority, and opens a session with them.
    pub(super) async fn enter(
        &self,
        call: &mut Call,
        proof: Proof,
        method: &str,
        device: Device,
    ) -> Result<Entered, LoginError> {
        let from = ClientDevice { client: call.client.clone(), device };
        Ok(self.sessions.enter(&mut call.visit, proof, method, from).await?)
    }

    /// The answer to a script that logged in: the object of `GET /session`, with the cookies set.
    pub(super) fn entered(&self, entered: Entered) -> EndpointAnswer {
        let object = self.sessions.describe(&entered.session.access);
        EndpointAnswer::json(StatusCode::OK, object, entered.cookies, AuthStatus::Refreshed)
    }

    /// Counts a failed login and writes its audit line.
    pub(super) fn failed(&self, call: &Call, method: &str, error: LoginError, spent: CookieChanges) -> Failed {
        // A login that is not configured has no result: `method` would be a metric label that a visitor chose.
        if let Some(result) = error.result() {
            tracing::info!(target: "audit", method, client = %call.client.address(), reason = %error, "login failed");
            self.metrics.login(method, result);
        }
        Failed::new(call, error, spent)
    }
}
