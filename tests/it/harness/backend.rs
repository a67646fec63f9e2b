//! The demo's backend with a hook for tests: scripted answers, delays, rotation, refusals, recorded requests.

use std::{
    collections::VecDeque,
    fmt,
    ops::Deref,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use vestibule::demo::{
    self, BackendOptions, Claims, StartError,
    hook::{BackendHook, ScriptedAnswer},
};

/// Most recorded requests; a new one replaces the oldest.
const MAX_RECORDED: usize = 1000;
/// Longest recorded body, in bytes.
const MAX_RECORDED_BODY: usize = 64 * 1024;

/// A running backend. Clones are the same backend.
#[derive(Clone)]
pub(crate) struct Backend {
    backend: demo::Backend,
    hook: Arc<TestHook>,
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
        Self::start_with(options, TestHook::default()).await
    }

    /// Starts a backend that accepts ID tokens of any issuer, without checking them.
    pub(crate) async fn trusting_anyone(options: BackendOptions) -> Result<Self, StartError> {
        Self::start_with(options, TestHook { trusts_anyone: true, ..TestHook::default() }).await
    }

    async fn start_with(mut options: BackendOptions, hook: TestHook) -> Result<Self, StartError> {
        let hook = Arc::new(hook);
        options.hook = hook.clone();
        Ok(Self { backend: demo::Backend::start(options).await?, hook })
    }

    /// The latest requests (at most 1000), oldest first.
    pub(crate) fn recorded(&self) -> Vec<RecordedRequest> {
        self.hook.state.lock().unwrap().requests.iter().cloned().collect()
    }

    /// The latest requests to that path, oldest first.
    pub(crate) fn recorded_at(&self, path: &str) -> Vec<RecordedRequest> {
        self.recorded().into_iter().filter(|request| request.path == path).collect()
    }

    /// Deletes the recorded requests.
    pub(crate) fn forget_recorded(&self) {
        self.hook.change(|state| state.requests.clear());
    }

    /// The next refresh gets this answer; further ones queue behind it.
    pub(crate) fn next_refresh(&self, answer: ScriptedAnswer) {
        self.hook.change(|state| state.refresh_answers.push_back(answer));
    }

    /// Refreshes get the backend's own answers again.
    pub(crate) fn forget_refresh_answers(&self) {
        self.hook.change(|state| state.refresh_answers.clear());
    }

    /// The answer to a refresh is held back for this long; the old refresh token is void at once.
    pub(crate) fn set_refresh_delay(&self, delay: Duration) {
        self.hook.change(|state| state.refresh_delay = delay);
    }

    /// Whether a refresh makes the old refresh token void. If not, its answer has no refresh token.
    pub(crate) fn set_rotation(&self, rotates: bool) {
        self.hook.change(|state| state.keeps_refresh_token = !rotates);
    }

    /// Life of the access tokens issued from now on.
    pub(crate) fn set_access_token_life(&self, life: Duration) {
        self.hook.change(|state| state.access_token_life = Some(life));
    }

    /// Whether every request to the API gets 401.
    pub(crate) fn set_unauthorized_always(&self, always: bool) {
        self.hook.change(|state| state.refuses_all_requests = always);
    }
}

#[derive(Default, Debug)]
struct TestHook {
    trusts_anyone: bool,
    state: Mutex<HookState>,
}

#[derive(Default, Debug)]
struct HookState {
    requests: VecDeque<RecordedRequest>,
    refresh_answers: VecDeque<ScriptedAnswer>,
    refresh_delay: Duration,
    keeps_refresh_token: bool,
    access_token_life: Option<Duration>,
    refuses_all_requests: bool,
}

impl TestHook {
    fn change(&self, change: impl FnOnce(&mut HookState)) {
        change(&mut self.state.lock().unwrap());
    }
}

impl BackendHook for TestHook {
    fn received(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) {
        let request = RecordedRequest {
            method: method.clone(),
            path: uri.path().to_owned(),
            headers: headers.clone(),
            // A copy, so that a slice does not keep a large body in memory.
            body: Bytes::copy_from_slice(body.get(..MAX_RECORDED_BODY).unwrap_or(body)),
        };
        self.change(|state| {
            if state.requests.len() >= MAX_RECORDED {
                state.requests.pop_front();
            }
            state.requests.push_back(request);
        });
    }

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

/// A recorded request.
#[derive(Clone)]
pub(crate) struct RecordedRequest {
    /// The method.
    pub(crate) method: Method,
    /// The path.
    pub(crate) path: String,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body's first 64 KiB; empty for a streamed body.
    pub(crate) body: Bytes,
}

impl RecordedRequest {
    /// A header's value as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Leaves out headers and body, which hold tokens.
impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} headers, {} bytes)", self.method, self.path, self.headers.len(), self.body.len())
    }
}
