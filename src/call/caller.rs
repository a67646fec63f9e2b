//! Sends a filled template to a backend's targets, one after the other until one is reached.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rand::seq::SliceRandom as _;
use serde_json::Value;
use tokio::time::Instant;
use url::{Position, Url};

use super::{
    assertion::{AssertionSigner, SignedRequest},
    fill::{BadValue, Values},
    template::{Body, Template},
};
use crate::{
    alarm,
    client::Client,
    clock::Timestamp,
    outbound::{self, Busy, CallLimits, HttpAnswer, Network, NoAnswer, Outbound, chain},
    own_headers::VESTIBULE_ASSERTION,
    scheme::Scheme,
    secret::Random,
    upstream::{self, SentRequest, Target, TargetState, Upstream},
};

/// An upstream for calls.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The upstream's name, for logs and `aud` of assertions.
    pub name: String,
    /// Its targets; each call begins with the next one.
    pub targets: Vec<Target>,
    /// Longest time for a connection to be made.
    pub connect_timeout: Duration,
    /// The health of each target, which requests of visitors share. Empty: no target is ever left out.
    pub health: Vec<Arc<TargetState>>,
    /// Chooses the target that is called after one that was not reached.
    pub random: Random,
}

impl Backend {
    /// This upstream, for calls.
    pub fn of(upstream: &Upstream) -> Self {
        let upstream::Settings { name, targets, connect_timeout, .. } = upstream.settings().clone();
        Self { name, targets, connect_timeout, health: upstream.targets().to_vec(), random: upstream.random().clone() }
    }
}

/// A backend's complete answer. It may have tokens, so it has no `Debug`.
pub struct BackendAnswer {
    /// The status code.
    pub status: StatusCode,
    /// The header fields, with `Set-Cookie`.
    pub headers: HeaderMap,
    /// The body, if it is JSON; the media type does not matter.
    pub json: Option<Value>,
    /// Whether the body is a page ([`HttpAnswer::is_page`]), which is never a refusal by the backend itself.
    pub is_page: bool,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No complete answer; [`NoAnswer`] distinguishes whether the backend may have acted.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// The template cannot be filled with these values; nothing was sent.
    #[error(transparent)]
    Value(#[from] BadValue),
}

/// Calls backends.
pub struct Caller {
    backends: Vec<BackendClient>,
    /// Largest body of an answer, in bytes.
    largest_answer: usize,
    /// Without one, calls that need an assertion fail with [`BadValue::Unsigned`].
    assertions: Option<AssertionSigner>,
}

impl Caller {
    /// A caller of these backends, in the order of the list of upstreams. Answers may have `largest_answer` bytes.
    pub fn new(backends: Vec<Backend>, largest_answer: usize) -> reqwest::Result<Self> {
        let backends = backends.into_iter().map(BackendClient::new).collect::<reqwest::Result<_>>()?;
        Ok(Self { backends, largest_answer, assertions: None })
    }

    /// Sets the signer for calls that need an assertion.
    #[must_use]
    pub fn with_assertions(self, signer: AssertionSigner) -> Self {
        Self { assertions: Some(signer), ..self }
    }

    /// Makes the call, with the address, the `User-Agent` and the request's names of `client` in its headers. If a
    /// target cannot be reached, so that nothing was sent, the next one is tried; targets that are left out after
    /// failures are tried last.
    ///
    /// # Panics
    /// If the template's upstream is not one of the backends, or that one has no target.
    pub async fn call(
        &self,
        template: &Template,
        values: &Values,
        client: &Client,
    ) -> Result<BackendAnswer, CallError> {
        let deadline = alarm::after(Instant::now(), template.timeout);
        let path = request_target(&template.path.fill_path(values)?)?;
        let body = EncodedBody::of(&template.body, values);
        let mut headers = headers(template, &body, values, client)?;
        let backend =
            self.backends.get(template.upstream).expect("a template's upstream was resolved when it was read");
        if let Some(purpose) = template.assertion {
            let signer = self.assertions.as_ref().ok_or(BadValue::Unsigned)?;
            let method = template.method.as_str();
            let (upstream, sub) = (&backend.name, values.sub());
            let request = SignedRequest { purpose, upstream, sub, method, path: &path, body: &body.bytes };
            headers.insert(VESTIBULE_ASSERTION, signer.assertion(&request));
        }
        // Each may have a token: sensitive values are not in HTTP/2's header table or in debug output.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let mut unsent = None;
        for target in backend.in_order(Instant::now()) {
            let url = join_url(&target.base, &path)?;
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() && unsent.is_some() {
                break;
            }
            let mut request = target.outbound.request(template.method.clone(), url).headers(headers.clone());
            if body.media_type.is_some() {
                request = request.body(body.bytes.clone());
            }
            let mut sent = target.health.clone().map(|health| SentRequest::new(health, Instant::now()));
            let limits = CallLimits { deadline: remaining, answer: self.largest_answer };
            let answer = target.outbound.send(request, limits).await;
            if let Some(sent) = &mut sent {
                count(&answer, sent);
            }
            match answer {
                Err(error @ NoAnswer::Unsent { .. }) => {
                    tracing::warn!(upstream = backend.name, error = %chain(&error), "call: a target was not reached");
                    unsent = Some(error);
                }
                answer => return Ok(answer?.into()),
            }
        }
        Err(unsent.expect("an upstream has at least one target").into())
    }
}

/// The clients of one backend's targets.
struct BackendClient {
    name: String,
    targets: Vec<TargetClient>,
    /// Index of the target to ask first next time, modulo their number.
    next: AtomicUsize,
    random: Random,
}

struct TargetClient {
    outbound: Outbound,
    /// Scheme, host and port.
    base: String,
    health: Option<Arc<TargetState>>,
}

impl BackendClient {
    fn new(backend: Backend) -> reqwest::Result<Self> {
        let Backend { name, targets, connect_timeout, health, random } = backend;
        let outbound = |socket: Option<&Path>| {
            let network = Network::Internal { socket };
            let (peer, authorities) = ("backend", None);
            // A template may act with a GET.
            let repeats_gets = false;
            Outbound::new(outbound::Settings { peer, connect_timeout, network, repeats_gets, authorities })
        };
        let over_tcp = outbound(None)?;
        let over_tcp = |scheme, host, port| (over_tcp.clone(), base(scheme, host, port));
        let mut health = health.into_iter();
        let targets = targets.iter().map(|target| {
            let (outbound, base) = match target {
                Target::Http { host, port } => over_tcp(Scheme::Http, host, *port),
                Target::Https { host, port } => over_tcp(Scheme::Https, host, *port),
                // The backend sees this name in `Host`.
                Target::Unix(path) => (outbound(Some(path))?, base(Scheme::Http, "localhost", 80)),
            };
            Ok(TargetClient { outbound, base, health: health.next() })
        });
        Ok(Self { name, targets: targets.collect::<reqwest::Result<_>>()?, next: AtomicUsize::new(0), random })
    }

    /// All targets: the next in turn, then the others in random order, so that what one cannot take is divided among
    /// them; those that are left out come last.
    fn in_order(&self, now: Instant) -> Vec<&TargetClient> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.targets.len().max(1);
        let mut order: Vec<_> = self.targets.iter().collect();
        order.swap(0, turn);
        order[1..].shuffle(&mut self.random.clone());
        // If the ejection of the one in turn is over, this call is its trial.
        let is_first = order[0].health.as_ref().is_none_or(|health| health.admits(now));
        order[usize::from(is_first)..]
            .sort_by_key(|target| target.health.as_ref().is_some_and(|health| health.is_ejected()));
        order
    }
}

/// Counts the outcome of a call for the health of its target.
fn count(answer: &Result<HttpAnswer, NoAnswer>, sent: &mut SentRequest) {
    match answer {
        Ok(answer) => {
            sent.answered(answer.status);
            sent.succeeded();
        }
        // The call waited for other calls.
        Err(NoAnswer::Unsent { source, .. }) if source.is::<Busy>() => {}
        Err(NoAnswer::Unsent { .. }) => sent.was_refused(),
        Err(NoAnswer::Unanswered { .. }) => sent.failed(),
        Err(NoAnswer::TooLarge { .. }) => {}
    }
}

fn base(scheme: Scheme, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

/// Joined as text: a path `//host/` that is resolved as a reference would name another host.
fn join_url(base: &str, path: &str) -> Result<Url, BadValue> {
    Url::parse(&format!("{base}{path}")).map_err(|_| BadValue::Syntax("path".to_owned()))
}

/// Path and query exactly as in the request line, the same for all targets.
fn request_target(path: &str) -> Result<String, BadValue> {
    let url = join_url("http://upstream", path)?;
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
}

/// A body as it is sent: the same bytes are hashed for the assertion and sent.
struct EncodedBody {
    media_type: Option<HeaderValue>,
    bytes: Bytes,
}

impl EncodedBody {
    fn of(body: &Body, values: &Values) -> Self {
        let (media_type, text) = match body {
            Body::Empty => return Self { media_type: None, bytes: Bytes::new() },
            Body::Json(json) => ("application/json", json.fill(values).to_string()),
            Body::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                form.extend_pairs(fields.iter().map(|(name, text)| (name, text.fill(values))));
                ("application/x-www-form-urlencoded", form.finish())
            }
        };
        Self { media_type: Some(HeaderValue::from_static(media_type)), bytes: Bytes::from(text) }
    }
}

fn headers(template: &Template, body: &EncodedBody, values: &Values, client: &Client) -> Result<HeaderMap, BadValue> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(media_type) = &body.media_type {
        headers.insert(header::CONTENT_TYPE, media_type.clone());
    }
    if let Ok(address) = HeaderValue::from_str(&client.address().to_string()) {
        headers.insert(HeaderName::from_static("x-forwarded-for"), address);
    }
    if let Some(agent) = client.user_agent().and_then(|agent| HeaderValue::from_str(agent).ok()) {
        headers.insert(header::USER_AGENT, agent);
    }
    headers.extend(client.trace().headers());
    for (name, text) in &template.headers {
        match text.fill_header(name.as_str(), values)? {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
    let cookies: Vec<_> =
        template.cookies.iter().map(|(name, text)| format!("{name}={}", text.fill_cookie(values))).collect();
    if !cookies.is_empty() {
        let cookies = HeaderValue::from_str(&cookies.join("; ")).map_err(|_| BadValue::Syntax("cookies".to_owned()))?;
        headers.insert(header::COOKIE, cookies);
    }
    Ok(headers)
}

impl From<HttpAnswer> for BackendAnswer {
    fn from(answer: HttpAnswer) -> Self {
        Self { status: answer.status, is_page: answer.is_page(), json: answer.json().ok(), headers: answer.headers }
    }
}

impl BackendAnswer {
    /// Whether it reports errors, as an answer of GraphQL does with any status (GraphQL section 7.1.2).
    pub fn has_errors(&self) -> bool {
        let errors = self.json.as_ref().and_then(|json| json.get("errors")?.as_array());
        errors.is_some_and(|errors| !errors.is_empty())
    }

    /// Whether its `data` is null or has only nulls, as a mutation of GraphQL answers that changed no row.
    pub fn changed_nothing(&self) -> bool {
        match self.json.as_ref().and_then(|json| json.get("data")) {
            Some(Value::Null) => true,
            Some(Value::Object(data)) => !data.is_empty() && data.values().all(Value::is_null),
            _ => false,
        }
    }

    /// The wait in its `Retry-After`.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        outbound::retry_after(&self.headers, now)
    }
}
