//! The HTTP client for all calls of the gateway to other servers: a deadline, limits on the answer's size and on
//! concurrent calls, no redirects, and one trace event for each call.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Certificate, Client, Request, RequestBuilder, Response, redirect};
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, ServiceExt as _, limit::ConcurrencyLimit, service_fn, util::BoxCloneSyncService};
use url::Url;

pub use self::certificate::{CertificateFault, has_bad_certificate};
use crate::{alarm, answer_limits, clock::Timestamp, keep_alive, received};

mod certificate;

/// Most concurrent calls to one peer. Each uses a socket, and a peer that never answers must not use up the file
/// descriptors that visitors need. A further call waits, within its deadline.
const MAX_CALLS: usize = 1000;
/// How long an unused connection to a server on the Internet stays open: shorter than at common servers (Node.js closes
/// after 5 s), so that a call seldom uses a connection that the server is closing.
const IDLE: Duration = Duration::from_secs(4);
/// The same in the operator's network, where a new connection costs little: shorter than the second that is the least a
/// server's `Keep-Alive` can announce.
const IDLE_INTERNAL: Duration = Duration::from_millis(500);
/// How long connections get further calls. Then new ones are made, which follow changes of a name's addresses.
const MAX_AGE: Duration = Duration::from_secs(60);
/// Most bytes of an answer's head over HTTP/2; the library's own bound would be 16 KiB.
#[expect(clippy::cast_possible_truncation, reason = "the limit is far below 4 GiB")]
const HEAD_BYTES: u32 = answer_limits::HEAD_BYTES as u32;

/// How a kind of peer is reached.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The peer's name in errors and traces: `provider`, `backend`.
    pub peer: &'static str,
    /// Longest time for a connection to be made, TLS handshake included.
    pub connect_timeout: Duration,
    /// The network that the peer is in.
    pub network: Network<'a>,
    /// Whether a GET changes nothing at the peer: one whose connection ends without an answer, as one that was unused
    /// may, is sent once more, on a new connection. Any other call is sent once; over the Internet it has a connection
    /// of its own, which a server cannot be closing for lack of use: the exchange of a code that was lost so is a login
    /// that fails. In the operator's network an unused connection is closed early enough.
    pub repeats_gets: bool,
    /// The only authorities whose certificates are accepted; `None`: the system's.
    pub authorities: Option<&'a [CertificateDer<'static>]>,
}

/// The network that a peer is in.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// The Internet: through the HTTP proxy of the environment, if there is one; `User-Agent` is `vestibule`.
    Internet,
    /// The operator's network: never through a proxy of the environment. The caller sets `User-Agent`.
    Internal {
        /// The path of the Unix socket to connect to, independent of the request's host. `None`: TCP.
        socket: Option<&'a Path>,
    },
}

/// The limits of one call.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// For the whole call, from the wait for other calls to the last byte of the answer.
    pub deadline: Duration,
    /// Largest body of the answer, in bytes.
    pub answer: usize,
}

/// An answer that was read completely.
pub struct HttpAnswer {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// At most [`CallLimits::answer`] bytes.
    pub body: Vec<u8>,
}

/// Why a call has no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was sent: a second call cannot repeat an effect.
    #[error("the {peer} could not be reached")]
    Unsent {
        /// [`Settings::peer`].
        peer: &'static str,
        /// The error of the connection, or [`Busy`].
        source: BoxError,
    },
    /// The request may have arrived, but its answer did not come or was cut off. The peer may have acted on it.
    #[error("the {peer} did not answer")]
    Unanswered {
        /// [`Settings::peer`].
        peer: &'static str,
        /// A timeout, or an error of the connection.
        source: reqwest::Error,
    },
    /// The body of the answer is larger than [`CallLimits::answer`].
    #[error("the {peer}'s answer is larger than {limit} bytes")]
    TooLarge {
        /// [`Settings::peer`].
        peer: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
}

/// The deadline passed while the call waited, because the peer had the most concurrent calls.
#[derive(Debug, thiserror::Error)]
#[error("there are already {MAX_CALLS} concurrent calls to it")]
pub struct Busy;

/// A client for one peer, or for several of one kind. Clones share connections and the limit on concurrent calls.
#[derive(Clone, Debug)]
pub struct Outbound {
    peer: &'static str,
    repeats_gets: bool,
    is_internal: bool,
    client: Client,
    clients: Arc<Clients>,
    calls: BoxCloneSyncService<OutboundCall, HttpAnswer, NoAnswer>,
}

/// Makes the HTTP client anew at times: its connections have no age of their own, and one that is always in use would
/// never follow its name to another address.
struct Clients {
    build: Box<Build>,
    /// How long its connections stay open unused.
    idle: Duration,
    newest: Mutex<(Client, Instant)>,
    /// Makes a new connection for each call.
    unpooled: OnceLock<Client>,
}

type Build = dyn Fn(Reuse) -> reqwest::Result<Client> + Send + Sync;

/// Whether connections get further calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reuse {
    /// Those that were unused for at most this long.
    Within(Duration),
    /// No.
    Never,
}

impl Clients {
    fn new(idle: Duration, build: Box<Build>) -> reqwest::Result<Self> {
        let newest = Mutex::new((build(Reuse::Within(idle))?, Instant::now()));
        Ok(Self { build, idle, newest, unpooled: OnceLock::new() })
    }

    /// The client that makes a new connection for each call; built when it is first needed, for good: it has no
    /// connection that could grow old.
    fn unpooled(&self) -> Client {
        if let Some(client) = self.unpooled.get() {
            return client.clone();
        }
        match (self.build)(Reuse::Never) {
            Ok(client) => self.unpooled.get_or_init(|| client).clone(),
            Err(error) => {
                tracing::warn!(%error, "the HTTP client cannot be made anew");
                self.current(Instant::now())
            }
        }
    }

    /// The client for a call at `now`. Calls under way keep theirs, with its connections.
    fn current(&self, now: Instant) -> Client {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(newest.1) >= MAX_AGE {
            match (self.build)(Reuse::Within(self.idle)) {
                Ok(client) => *newest = (client, now),
                // It was built once; the old one goes on.
                Err(error) => tracing::warn!(%error, "the HTTP client cannot be made anew"),
            }
        }
        newest.0.clone()
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

struct OutboundCall {
    peer: &'static str,
    request: Request,
    limits: CallLimits,
    /// Whether it may be sent once more if the connection ends without an answer.
    is_repeatable: bool,
    /// Whether it may be sent on a connection that had a call before.
    shares_connection: bool,
}

impl Outbound {
    /// A client that follows no redirect, which could carry a token elsewhere, and sends no `Referer`.
    pub fn new(settings: Settings<'_>) -> reqwest::Result<Self> {
        let Settings { peer, connect_timeout, network, repeats_gets, authorities } = settings;
        let authorities = authorities
            .map(|all| all.iter().map(|der| Certificate::from_der(der)).collect::<reqwest::Result<Vec<_>>>())
            .transpose()?;
        let socket = if let Network::Internal { socket } = network { socket.map(Path::to_owned) } else { None };
        let is_internal = matches!(network, Network::Internal { .. });
        let idle = if is_internal { IDLE_INTERNAL } else { IDLE };
        let build = move |reuse| {
            let builder = Client::builder()
                .connect_timeout(connect_timeout)
                .redirect(redirect::Policy::none())
                .referer(false)
                .http1_max_headers(answer_limits::HEADERS)
                .http2_max_header_list_size(HEAD_BYTES);
            let builder = match (is_internal, &socket) {
                (false, _) => builder.user_agent("vestibule"),
                (true, None) => builder.no_proxy(),
                (true, Some(path)) => builder.no_proxy().unix_socket(path.as_path()),
            };
            let builder = match reuse {
                Reuse::Within(idle) => builder.pool_idle_timeout(idle),
                Reuse::Never => builder.pool_max_idle_per_host(0),
            };
            match &authorities {
                Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()).build(),
                None => builder.build(),
            }
        };
        let clients = Arc::new(Clients::new(idle, Box::new(build))?);
        Ok(Self::with_stack(peer, repeats_gets, is_internal, clients, MAX_CALLS))
    }

    /// Builds the services of a call, innermost first. Trace and deadline include the wait for other calls.
    fn with_stack(
        peer: &'static str,
        repeats_gets: bool,
        is_internal: bool,
        clients: Arc<Clients>,
        max_calls: usize,
    ) -> Self {
        let client = clients.current(Instant::now());
        let connections = Arc::new(Connections { clients: Arc::clone(&clients), are_short: AtomicBool::new(false) });
        let exchange = service_fn(move |call| exchange(Arc::clone(&connections), call));
        let limited = ConcurrencyLimit::new(exchange, max_calls);
        let with_deadline = service_fn(move |call| with_deadline(limited.clone(), call));
        let traced = service_fn(move |call| traced(with_deadline.clone(), call));
        Self { peer, repeats_gets, is_internal, client, clients, calls: BoxCloneSyncService::new(traced) }
    }

    /// A client with the same connections and a separate limit on concurrent calls, so that a peer that does not answer
    /// does not delay calls to another one.
    #[must_use]
    pub fn for_another_peer(&self) -> Self {
        Self::with_stack(self.peer, self.repeats_gets, self.is_internal, Arc::clone(&self.clients), MAX_CALLS)
    }

    /// Builds a request for [`Outbound::send`].
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends `request` and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder, limits: CallLimits) -> Result<HttpAnswer, NoAnswer> {
        let peer = self.peer;
        let request = request.build().map_err(|error| no_answer(peer, error))?;
        let is_repeatable = self.repeats_gets && request.method() == Method::GET;
        let shares_connection = self.is_internal || is_repeatable;
        self.calls.clone().oneshot(OutboundCall { peer, request, limits, is_repeatable, shares_connection }).await
    }
}

/// Logs at level `debug` the result of each call. Path, query, headers and bodies may have secrets and are not logged.
async fn traced<S>(inner: S, call: OutboundCall) -> Result<HttpAnswer, NoAnswer>
where
    S: Service<OutboundCall, Response = HttpAnswer, Error = NoAnswer>,
{
    let (peer, method, begun) = (call.peer, call.request.method().clone(), Instant::now());
    let host = call.request.url().host_str().unwrap_or_default().to_owned();
    let answer = inner.oneshot(call).await;
    let ms = begun.elapsed().as_millis();
    match &answer {
        Ok(HttpAnswer { status, .. }) => {
            tracing::debug!(peer, %method, host, status = status.as_u16(), ms, "outbound: answered");
        }
        Err(error) => tracing::debug!(peer, %method, host, %error, ms, "outbound: no answer"),
    }
    answer
}

/// Ends a call at its deadline: [`NoAnswer::Unsent`] while it waits for other calls, else [`NoAnswer::Unanswered`].
async fn with_deadline<S>(mut inner: S, mut call: OutboundCall) -> Result<HttpAnswer, NoAnswer>
where
    S: Service<OutboundCall, Response = HttpAnswer, Error = NoAnswer>,
{
    let deadline = alarm::after(Instant::now(), call.limits.deadline);
    let Ok(ready) = timeout_at(deadline, inner.ready()).await else {
        return Err(NoAnswer::Unsent { peer: call.peer, source: Busy.into() });
    };
    // reqwest's timeout also covers the body.
    *call.request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
    ready?.call(call).await
}

/// The connections to one peer.
struct Connections {
    clients: Arc<Clients>,
    /// Whether the peer has announced (`Keep-Alive`) that it closes unused connections sooner than ours close: then
    /// each call makes its own.
    are_short: AtomicBool,
}

impl Connections {
    fn client(&self, shares_connection: bool) -> Client {
        let are_short = self.are_short.load(Ordering::Relaxed);
        if are_short || !shares_connection { self.clients.unpooled() } else { self.clients.current(Instant::now()) }
    }

    /// Sends the request, and once more if it is repeatable and the connection ended before an answer began.
    async fn send(&self, request: Request, is_repeatable: bool, shares_connection: bool) -> reqwest::Result<Response> {
        let again = if is_repeatable { request.try_clone() } else { None };
        let deadline = request.timeout().map(|timeout| alarm::after(Instant::now(), *timeout));
        let sent = self.client(shares_connection).oneshot(request).await;
        let sent = match (sent, again) {
            (Err(error), Some(mut again)) if error.is_request() && !error.is_connect() && !error.is_timeout() => {
                *again.timeout_mut() = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                self.clients.unpooled().oneshot(again).await
            }
            (sent, _) => sent,
        };
        let usable = sent.as_ref().ok().and_then(|response| keep_alive::usable_for(response.headers()));
        if usable.is_some_and(|usable| usable < self.clients.idle) {
            self.are_short.store(true, Ordering::Relaxed);
        }
        sent
    }
}

/// Sends the request and reads the answer up to its limit.
async fn exchange(connections: Arc<Connections>, call: OutboundCall) -> Result<HttpAnswer, NoAnswer> {
    let OutboundCall { peer, request, limits, is_repeatable, shares_connection } = call;
    let sent = connections.send(request, is_repeatable, shares_connection).await;
    let mut response = sent.map_err(|error| no_answer(peer, error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(peer, error))? {
        if body.len() + chunk.len() > limits.answer {
            return Err(NoAnswer::TooLarge { peer, limit: limits.answer });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpAnswer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

/// Only errors before the connection was made are [`NoAnswer::Unsent`]: after others the request may have been sent.
fn no_answer(peer: &'static str, error: reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() {
        let error = error.without_url();
        let source = CertificateFault::of(&error).map_or_else(|| BoxError::from(error), BoxError::from);
        NoAnswer::Unsent { peer, source }
    } else {
        unanswered(peer, error)
    }
}

/// Without the URL, whose path and query may have secrets.
fn unanswered(peer: &'static str, error: reqwest::Error) -> NoAnswer {
    NoAnswer::Unanswered { peer, source: error.without_url() }
}

impl HttpAnswer {
    /// Whether the body is a page ([`received::is_page`]), whatever its media type says.
    pub fn is_page(&self) -> bool {
        received::is_page(&self.body)
    }

    /// The body as JSON ([`received::json`]), whatever its media type says.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        received::json(&self.body)
    }
}

/// The wait that `Retry-After` asks for, in either of its forms (RFC 9110 section 10.2.3); ten years at most.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse().map_or(LONGEST_WAIT, Duration::from_secs)
    } else {
        httpdate::parse_http_date(value).ok()?.duration_since(now.system_time()).unwrap_or_default()
    };
    Some(wait.min(LONGEST_WAIT))
}

/// Ten years: no answer names more, and no sum of it with a time overflows.
const LONGEST_WAIT: Duration = Duration::from_secs(3650 * 86400);

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
