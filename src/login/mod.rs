//! The ways to prove who one is: OIDC, an ID token held by an app, credentials; and logout.
//!
//! Each endpoint is a straight descent of guard clauses. What it answers is a value; statuses of failures are decided in `respond`.

use std::{sync::Arc, time::Duration};

use http::StatusCode;

use crate::{
    authority::{Authority, ClientDevice, Device, IssueError, Proof},
    channel::Channel,
    clock::Clock,
    endpoint::{CountError, Guesses, Places, Repeated, ReturnTo, Unreadable},
    oidc::{self, Flaw, OidcError, Provider},
    pages::{Pages, Site},
    problem::{Problem, ProblemKind},
    secret::Random,
    session::{AuthStatus, BeginError, CookieChanges, EnterError, Entered, Sessions},
    store::StoreError,
    telemetry::{self, Metrics},
};

mod callback;
mod credentials;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod id_token;
mod logout;
mod loop_guard;
mod page;
mod state;

pub use crate::endpoint::{Answer, Call};

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
    /// Where one-time codes go that log people in.
    pub codes: Vec<Channel>,
}

impl Settings {
    /// Where a login begins: the built-in page, or the app's own.
    pub fn login_page(&self) -> String {
        self.login_page.clone().unwrap_or_else(|| format!("{}/login", self.base_path))
    }

    /// Where the pages stand.
    pub fn site<'s>(&'s self, login_page: &'s str) -> Site<'s> {
        Site {
            public_url: &self.public_url,
            base_path: &self.base_path,
            login_page,
            form_targets: &self.return_to_origins,
        }
    }

    /// Where logins may end.
    pub fn places(&self) -> Places<'_> {
        Places {
            public_url: &self.public_url,
            base_path: &self.base_path,
            after_login: &self.after_login,
            origins: &self.return_to_origins,
        }
    }
}

/// Why a login brought no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The callback belongs to no attempt of this browser, or to one that is too old or was used.
    #[error("the login attempt is unknown, too old, or was used")]
    AttemptExpired,
    /// The identity provider cannot be asked now.
    #[error("the identity provider is not available")]
    ProviderUnavailable(#[source] Arc<oidc::Unavailable>),
    /// Whoever issues the tokens does not answer, or nothing of use.
    #[error("the token authority is not available")]
    AuthorityUnavailable(#[source] IssueError),
    /// E-mail or password are wrong.
    #[error("bad credentials")]
    BadCredentials,
    /// The person is known, but may not come in.
    #[error("the person may not log in here")]
    NotAllowed(#[source] IssueError),
    /// The ID token of an app proves nothing.
    #[error("the ID token is not accepted: {0}")]
    InvalidIdToken(Flaw),
    /// The ID token of an app was used before.
    #[error("the ID token was used before")]
    UsedIdToken,
    /// Too many were wrong; another try is worth it after this long.
    #[error("too many wrong tries")]
    TooMany(Duration),
    /// There is no login of this kind.
    #[error("no login of this kind is configured")]
    NotConfigured,
    /// The body cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A parameter of the callback came twice, or there are too many to tell.
    #[error("a parameter came twice")]
    RepeatedParameter,
    /// E-mail address or password are missing.
    #[error("the e-mail address or the password is missing")]
    CredentialsMissing,
    /// The tokens make no session.
    #[error("the tokens make no session")]
    Session(#[source] BeginError),
    /// Single use cannot be made sure of now.
    #[error("the store does not answer")]
    Store(#[from] StoreError),
}

impl LoginError {
    /// What the visitor is told.
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::AttemptExpired => ProblemKind::AttemptExpired,
            Self::ProviderUnavailable(_) => ProblemKind::ProviderUnavailable,
            Self::AuthorityUnavailable(_) => ProblemKind::AuthorityUnavailable,
            Self::BadCredentials => ProblemKind::BadCredentials,
            Self::NotAllowed(_) => ProblemKind::NotAllowed,
            Self::InvalidIdToken(_) => ProblemKind::InvalidIdToken,
            Self::UsedIdToken => ProblemKind::UsedIdToken,
            Self::TooMany(_) => ProblemKind::TooManyGuesses,
            Self::NotConfigured => ProblemKind::NotFound,
            Self::Unreadable(unreadable) => unreadable.kind(),
            Self::RepeatedParameter => ProblemKind::RepeatedParameter,
            Self::CredentialsMissing => ProblemKind::CredentialsMissing,
            Self::Session(error) => error.kind(),
            Self::Store(_) => ProblemKind::StoreUnavailable,
        }
    }

    /// How it counts.
    fn result(&self) -> Option<telemetry::Login> {
        match self {
            Self::NotConfigured => None,
            Self::AttemptExpired
            | Self::BadCredentials
            | Self::NotAllowed(_)
            | Self::InvalidIdToken(_)
            | Self::UsedIdToken
            | Self::TooMany(_)
            | Self::Unreadable(_)
            | Self::RepeatedParameter
            | Self::CredentialsMissing => Some(telemetry::Login::Refused),
            Self::ProviderUnavailable(_) | Self::AuthorityUnavailable(_) | Self::Session(_) | Self::Store(_) => {
                Some(telemetry::Login::Failed)
            }
        }
    }
}

impl From<IssueError> for LoginError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::BadCredentials => Self::BadCredentials,
            IssueError::Refused(_) | IssueError::NotAllowed => Self::NotAllowed(error),
            IssueError::Unsupported => Self::NotConfigured,
            IssueError::Unavailable(_) => Self::AuthorityUnavailable(error),
        }
    }
}

impl From<OidcError> for LoginError {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Unavailable(cause) => Self::ProviderUnavailable(cause),
            // A refusal that a login can be told of is told on the login page; for what is left one begins again.
            OidcError::Attempt | OidcError::Refused { .. } | OidcError::Untrusted(_) => Self::AttemptExpired,
        }
    }
}

/// A login that failed, and what its answer says of the session that came in.
pub type Failed = crate::endpoint::Failed<LoginError>;

impl From<EnterError> for LoginError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Issue(error) => error.into(),
            EnterError::Begin(error) => Self::Session(error),
        }
    }
}

impl From<CountError> for LoginError {
    fn from(error: CountError) -> Self {
        match error {
            CountError::TooMany(wait) => Self::TooMany(wait),
            CountError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Repeated> for LoginError {
    fn from(_: Repeated) -> Self {
        Self::RepeatedParameter
    }
}

impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        let problem = Self::new(error.kind());
        match error {
            LoginError::TooMany(wait) => problem.after(wait),
            LoginError::ProviderUnavailable(_)
            | LoginError::AuthorityUnavailable(_)
            | LoginError::Session(_)
            | LoginError::Store(_) => problem.caused_by(error),
            LoginError::AttemptExpired
            | LoginError::BadCredentials
            | LoginError::NotAllowed(_)
            | LoginError::InvalidIdToken(_)
            | LoginError::UsedIdToken
            | LoginError::NotConfigured
            | LoginError::Unreadable(_)
            | LoginError::RepeatedParameter
            | LoginError::CredentialsMissing => problem,
        }
    }
}

/// The ways in and out, built once.
pub struct Logins {
    settings: Settings,
    /// `Settings::login_page`.
    login_page: String,
    providers: Vec<Arc<Provider>>,
    authority: Arc<Authority>,
    sessions: Sessions,
    pages: Arc<Pages>,
    clock: Clock,
    random: Random,
    metrics: Arc<Metrics>,
    guesses: Arc<Guesses>,
    return_to: ReturnTo,
    loops: loop_guard::LoopGuard,
}

impl Logins {
    /// Puts the ways in and out together; the login page shows the providers in this order.
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
            return_to: ReturnTo::new(&settings.places()),
            loops: loop_guard::LoopGuard::new(),
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

    /// Instead of a login with `method` where the visitor may not try.
    pub fn not_tried(&self, call: &Call, method: &str, error: LoginError) -> Failed {
        self.failed(call, method, error, CookieChanges::default())
    }

    fn provider(&self, name: &str) -> Result<&Arc<Provider>, LoginError> {
        self.providers.iter().find(|provider| provider.settings().name == name).ok_or(LoginError::NotConfigured)
    }

    async fn enter(&self, call: &mut Call, proof: Proof, method: &str, device: Device) -> Result<Entered, LoginError> {
        let from = ClientDevice { client: call.client.clone(), device };
        Ok(self.sessions.enter(&mut call.visit, proof, method, from).await?)
    }

    /// What a script gets from a login: the object of `GET /session`, with the cookies set.
    fn entered(&self, entered: Entered) -> Answer {
        let object = self.sessions.describe(&entered.session.access);
        Answer::json(StatusCode::OK, object, entered.cookies, AuthStatus::Refreshed)
    }

    /// The end of a login that brought no session: written down here, answered elsewhere.
    fn failed(&self, call: &Call, method: &str, error: LoginError, spent: CookieChanges) -> Failed {
        // What is not configured is no login, and its name is the visitor's word.
        if let Some(result) = error.result() {
            tracing::info!(target: "audit", method, client = %call.client.address(), reason = %error, "login failed");
            self.metrics.login(method, result);
        }
        Failed::new(call, error, spent)
    }
}

#[cfg(test)]
mod tests;
