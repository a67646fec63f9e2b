//! Sending a filled template to a backend's targets, and telling apart what never reached it from what was never answered.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use reqwest::{RequestBuilder, redirect};
use serde_json::Value;
use tokio::time::Instant;
use url::{Position, Url};

use super::{BadValue, Body, Template, Values, Vouching, assertion::Sealing};
use crate::{client::Client, upstream::Target};

/// Where calls to one upstream go.
#[derive(Clone, Debug)]
pub struct Backend {
    /// The upstream's name, for logs.
    pub name: String,
    /// Its targets; asked in turn.
    pub targets: Vec<Target>,
    /// For the connection to be made.
    pub connect_timeout: Duration,
}

/// A backend's complete answer. It may hold tokens, so it cannot be printed.
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, `Set-Cookie` among them.
    pub headers: HeaderMap,
    /// Its body, where that is JSON, whatever its media type says.
    pub json: Option<Value>,
    /// True where the body is a page for people: from a proxy in between or an error handler, never a backend's word on a token.
    pub is_html: bool,
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing reached the backend: asking again cannot do anything twice.
    #[error("the backend could not be reached")]
    Unsent(#[source] reqwest::Error),
    /// It was asked, but its answer did not come, or not to its end: it may have acted.
    #[error("the backend did not answer")]
    Unanswered(#[source] reqwest::Error),
    /// Its answer is larger than any that makes sense.
    #[error("the backend's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The template cannot be filled with these values; nothing was sent.
    #[error(transparent)]
    Value(#[from] BadValue),
}

/// Calls backends.
pub struct Caller {
    backends: Vec<Targets>,
    /// Largest answer, in bytes: a few tokens and names.
    most: usize,
    /// Absent: no call can rest on the gateway's word.
    vouching: Option<Vouching>,
}

impl Caller {
    /// A caller of these backends, in the order of the list of upstreams. Answers may have `most` bytes.
    pub fn new(backends: Vec<Backend>, most: usize) -> reqwest::Result<Self> {
        let backends = backends.into_iter().map(Targets::new).collect::<reqwest::Result<_>>()?;
        Ok(Self { backends, most, vouching: None })
    }

    /// The same, able to sign the calls that rest on the gateway's word.
    #[must_use]
    pub fn vouching(self, vouching: Vouching) -> Self {
        Self { vouching: Some(vouching), ..self }
    }

    /// Makes the call. A target that cannot be reached is passed over for the next, for nothing was sent to it.
    ///
    /// # Panics
    /// Where the template names an upstream, or the upstream a target, that was not there when the configuration was read.
    pub async fn call(&self, template: &Template, values: &Values, client: &Client) -> Result<Answer, CallError> {
        let deadline = Instant::now() + template.timeout;
        let path = on_the_wire(&template.path.fill_path(values)?)?;
        let body = Written::of(&template.body, values);
        let mut headers = headers(template, &body, values, client)?;
        let targets =
            self.backends.get(template.upstream).expect("a template's upstream was resolved when it was read");
        if let Some(purpose) = template.assertion {
            let vouching = self.vouching.as_ref().ok_or(BadValue::Unsigned)?;
            let method = template.method.as_str();
            let sealing = Sealing { purpose, upstream: &targets.name, method, path: &path, body: &body.bytes };
            headers.insert(HeaderName::from_static("vestibule-assertion"), vouching.assertion(&sealing));
        }
        // Tokens and the like may stand in any of them: never indexed, never printed.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let mut unsent = None;
        for line in targets.in_turn() {
            let url = address(&line.base, &path)?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() && unsent.is_some() {
                break;
            }
            let mut request = line.client.request(template.method.clone(), url).headers(headers.clone()).timeout(left);
            if body.media_type.is_some() {
                request = request.body(body.bytes.clone());
            }
            match exchange(request, self.most).await {
                Err(CallError::Unsent(error)) => {
                    tracing::warn!(upstream = targets.name, error = %chain(&error), "call: target not reached");
                    unsent = Some(error);
                }
                done => return done,
            }
        }
        Err(CallError::Unsent(unsent.expect("an upstream has at least one target")))
    }
}

/// Below the keep-alive of common servers (Node.js closes after 5 s), so that a call seldom meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// The targets of one backend.
struct Targets {
    name: String,
    lines: Vec<Line>,
    next: AtomicUsize,
}

struct Line {
    client: reqwest::Client,
    /// Scheme, host and port.
    base: String,
}

impl Targets {
    fn new(backend: Backend) -> reqwest::Result<Self> {
        let plain = client(backend.connect_timeout, None)?;
        let lines = backend.targets.iter().map(|target| Line::new(target, &plain, backend.connect_timeout));
        Ok(Self { lines: lines.collect::<reqwest::Result<_>>()?, name: backend.name, next: AtomicUsize::new(0) })
    }

    /// Every target once, beginning with another one each time.
    fn in_turn(&self) -> impl Iterator<Item = &Line> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.lines.len().max(1);
        self.lines[first..].iter().chain(&self.lines[..first])
    }
}

impl Line {
    fn new(target: &Target, plain: &reqwest::Client, connect_timeout: Duration) -> reqwest::Result<Self> {
        let (client, base) = match target {
            Target::Http { host, port } => (plain.clone(), base("http", host, *port)),
            Target::Https { host, port } => (plain.clone(), base("https", host, *port)),
            // The name is what the backend sees in `Host`.
            Target::Unix(path) => (client(connect_timeout, Some(path))?, base("http", "localhost", 80)),
        };
        Ok(Self { client, base })
    }
}

fn base(scheme: &str, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

/// No redirect is followed (it could carry a token elsewhere) and no proxy of the environment stands between us and a backend.
fn client(connect_timeout: Duration, socket: Option<&std::path::Path>) -> reqwest::Result<reqwest::Client> {
    let builder = reqwest::Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_idle_timeout(IDLE)
        .no_proxy();
    match socket {
        Some(path) => builder.unix_socket(path),
        None => builder,
    }
    .build()
}

/// Joined as text: to resolve `//host/` as a reference would let a path name another host.
fn address(base: &str, path: &str) -> Result<Url, BadValue> {
    Url::parse(&format!("{base}{path}")).map_err(|_| BadValue::Syntax("path".to_owned()))
}

/// Path and query exactly as the request line will have them, whichever target is asked.
fn on_the_wire(path: &str) -> Result<String, BadValue> {
    let url = address("http://upstream", path)?;
    Ok(url[Position::BeforePath..Position::AfterQuery].to_owned())
}

/// A body as it is sent: what is signed for and what is sent are the same bytes.
struct Written {
    media_type: Option<HeaderValue>,
    bytes: Bytes,
}

impl Written {
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

fn headers(template: &Template, body: &Written, values: &Values, client: &Client) -> Result<HeaderMap, BadValue> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(media_type) = &body.media_type {
        headers.insert(header::CONTENT_TYPE, media_type.clone());
    }
    if let Ok(client) = HeaderValue::from_str(&client.address().to_string()) {
        headers.insert(HeaderName::from_static("x-forwarded-for"), client);
    }
    if let Some(agent) = client.user_agent().and_then(|agent| HeaderValue::from_str(agent).ok()) {
        headers.insert(header::USER_AGENT, agent);
    }
    for (name, text) in &template.headers {
        headers.insert(name, text.fill_header(name.as_str(), values)?);
    }
    let cookies: Vec<_> =
        template.cookies.iter().map(|(name, text)| format!("{name}={}", text.fill_cookie(values))).collect();
    if !cookies.is_empty() {
        let cookies = HeaderValue::from_str(&cookies.join("; ")).map_err(|_| BadValue::Syntax("cookies".to_owned()))?;
        headers.insert(header::COOKIE, cookies);
    }
    Ok(headers)
}

async fn exchange(request: RequestBuilder, most: usize) -> Result<Answer, CallError> {
    let mut response = request.send().await.map_err(|error| {
        let error = error.without_url();
        // Whatever is not known to have failed before the connection stood may have been sent.
        if error.is_connect() || error.is_builder() { CallError::Unsent(error) } else { CallError::Unanswered(error) }
    })?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| CallError::Unanswered(error.without_url()))? {
        if body.len() + chunk.len() > most {
            return Err(CallError::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status(),
        is_html: is_html(response.headers(), &body),
        json: serde_json::from_slice(&body).ok(),
        headers: std::mem::take(response.headers_mut()),
    })
}

/// Whether a body is a page for people, by its media type or by its beginning.
pub(crate) fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let says_so = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains("html"));
    let start = body.trim_ascii_start();
    let start = start[..start.len().min(14)].to_ascii_lowercase();
    says_so || start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// The error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
