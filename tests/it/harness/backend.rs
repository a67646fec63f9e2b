//! The demo's backend with the harness's levers: scripted answers, delays, rotation, refusals.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use vestibule::demo::{
    self, BackendOptions, Claims, StartError,
    hook::{BackendHook, ScriptedAnswer},
};

/// A running backend. Clones are the same backend.
#[derive(Clone)]
pub(crate) struct Backend {
    backend: demo::Backend,
    levers: Arc<Levers>,
}

impl Deref for Backend {
    type Target = demo::Backend;

    fn deref(&self) -> &demo::Backend {
        &self.backend
    }
}

impl Backend {
    /// Starts a backend that checks ID tokens.
    pub(crate) async fn start(options: BackendOptions) -> Result<Self, StartError> {
        Self::start_with(options, Levers::default()).await
    }

    /// Starts a backend that accepts ID tokens of any issuer, without checking them.
    pub(crate) async fn trusting_anyone(options: BackendOptions) -> Result<Self, StartError> {
        Self::start_with(options, Levers { trusts_anyone: true, ..Levers::default() }).await
    }

    async fn start_with(mut options: BackendOptions, levers: Levers) -> Result<Self, StartError> {
        let levers = Arc::new(levers);
        options.hook = levers.clone();
        Ok(Self { backend: demo::Backend::start(options).await?, levers })
    }

    /// The next refresh gets this answer; further ones queue behind it.
    pub(crate) fn next_refresh(&self, answer: ScriptedAnswer) {
        self.levers.change(|state| state.refresh_answers.push_back(answer));
    }

    /// The answer to a refresh is held back for this long; the old refresh token is void at once.
    pub(crate) fn set_refresh_delay(&self, delay: Duration) {
        self.levers.change(|state| state.refresh_delay = delay);
    }

    /// Whether a refresh makes the old refresh token void. If not, its answer has no refresh token.
    pub(crate) fn set_rotation(&self, rotates: bool) {
        self.levers.change(|state| state.keeps_refresh_token = !rotates);
    }

    /// Life of the access tokens issued from now on.
    pub(crate) fn set_access_token_life(&self, life: Duration) {
        self.levers.change(|state| state.access_token_life = Some(life));
    }

    /// Whether every request to the API gets 401.
    pub(crate) fn set_unauthorized_always(&self, always: bool) {
        self.levers.change(|state| state.refuses_all_requests = always);
    }
}

#[derive(Default, Debug)]
struct Levers {
    trusts_anyone: bool,
    state: Mutex<LeverState>,
}

#[derive(Default, Debug)]
struct LeverState {
    refresh_answers: VecDeque<ScriptedAnswer>,
    refresh_delay: Duration,
    keeps_refresh_token: bool,
    access_token_life: Option<Duration>,
    refuses_all_requests: bool,
}

impl Levers {
    fn change(&self, change: impl FnOnce(&mut LeverState)) {
        change(&mut self.state.lock().unwrap());
    }
}

impl BackendHook for Levers {
    fn refresh_answer(&self) -> Option<ScriptedAnswer> {
        self.state.lock().unwrap().refresh_answers.pop_front()
    }

    fn refresh_delay(&self) -> Duration {
        self.state.lock().unwrap().refresh_delay
    }

    fn rotates_refresh_tokens(&self) -> bool {
        !self.state.lock().unwrap().keeps_refresh_token
    }

    fn access_token_life(&self, configured: Duration) -> Duration {
        self.state.lock().unwrap().access_token_life.unwrap_or(configured)
    }

    fn refuses_all_requests(&self) -> bool {
        self.state.lock().unwrap().refuses_all_requests
    }

    fn accept_id_token(&self, token: &str) -> Option<Claims> {
        let payload = token.split('.').nth(1).filter(|_| self.trusts_anyone)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }
}
