//! One HTTP client for every call of ours to another server: a deadline, limits on the answer's size and on calls at
//! once, no redirects, and one trace event for each call.

use std::{path::Path, time::Duration};

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Client, Request, RequestBuilder, redirect};
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, ServiceExt as _, limit::ConcurrencyLimit, service_fn, util::BoxCloneSyncService};
use url::Url;

use crate::{alarm, clock::Timestamp};

/// Calls to one peer at once. Each holds a socket, and a peer that never answers must not use up the file descriptors
/// that visitors need. The next call waits, within its deadline.
const MAX_CALLS: usize = 1000;
/// Below the keep-alive of common servers (Node.js closes after 5 s), so that a call seldom meets a connection that is
/// just being closed.
const IDLE: Duration = Duration::from_secs(4);

/// How a kind of peer is reached.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// What errors and traces call the peer: `provider`, `backend`.
    pub peer: &'static str,
    /// For the connection to be made, TLS handshake included.
    pub connect_timeout: Duration,
    /// Where the peer is.
    pub network: Network<'a>,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug)]
pub enum Network<'a> {
    /// On the Internet: reached through the HTTP proxy of the environment, if that names one, and told `vestibule` as
    /// `User-Agent`.
    Internet,
    /// In the operator's network: never through a proxy of the environment. `User-Agent` is left to the caller.
    Internal {
        /// The path of the Unix socket to connect to, whatever host a request names. `None`: TCP.
        socket: Option<&'a Path>,
    },
}

/// What a call may use up.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// For the whole call: from waiting for its turn to the last byte of the answer.
    pub deadline: Duration,
    /// Largest body of the answer, in bytes.
    pub answer: usize,
}

/// A complete answer.
pub struct HttpAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Why a call brought no complete answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Nothing was sent: asking again cannot do anything twice.
    #[error("the {peer} could not be reached")]
    Unsent {
        /// [`Settings::peer`].
        peer: &'static str,
        /// The error of the connection, or [`Busy`].
        source: BoxError,
    },
    /// The request may have arrived, but its answer did not come, or not to its end. The peer may have acted.
    #[error("the {peer} did not answer")]
    Unanswered {
        /// [`Settings::peer`].
        peer: &'static str,
        /// What ended the call.
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

/// The deadline passed while as many calls to this peer were under way as may be at once.
#[derive(Debug, thiserror::Error)]
#[error("{MAX_CALLS} calls to it are under way already")]
pub struct Busy;

/// A client for one peer, or for several of one kind. Clones share connections and the limit on calls at once.
#[derive(Clone, Debug)]
pub struct Outbound {
    peer: &'static str,
    client: Client,
    calls: BoxCloneSyncService<OutboundCall, HttpAnswer, NoAnswer>,
}

struct OutboundCall {
    peer: &'static str,
    request: Request,
    limits: CallLimits,
}

impl Outbound {
    /// A client that follows no redirect, which could carry a token elsewhere, and sends no `Referer`.
    pub fn new(settings: Settings<'_>) -> reqwest::Result<Self> {
        let builder = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .redirect(redirect::Policy::none())
            .referer(false)
            .pool_idle_timeout(IDLE);
        let builder = match settings.network {
            Network::Internet => builder.user_agent("vestibule"),
            Network::Internal { socket: None } => builder.no_proxy(),
            Network::Internal { socket: Some(path) } => builder.no_proxy().unix_socket(path),
        };
        Ok(Self::stacked(settings.peer, builder.build()?, MAX_CALLS))
    }

    /// The services of a call, from the inside out: what is traced includes the wait for a turn, and so does the
    /// deadline.
    fn stacked(peer: &'static str, client: Client, max_calls: usize) -> Self {
        let inner = client.clone();
        let exchange = service_fn(move |call| exchange(inner.clone(), call));
        let limited = ConcurrencyLimit::new(exchange, max_calls);
        let in_time = service_fn(move |call| in_time(limited.clone(), call));
        let traced = service_fn(move |call| traced(in_time.clone(), call));
        Self { peer, client, calls: BoxCloneSyncService::new(traced) }
    }

    /// The same connections with a limit of its own on calls at once, so that a peer that does not answer uses up
    /// nothing of another's.
    #[must_use]
    pub fn for_another_peer(&self) -> Self {
        Self::stacked(self.peer, self.client.clone(), MAX_CALLS)
    }

    /// Begins a request, to be sent by [`Outbound::send`].
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends `request` and reads the whole answer.
    pub async fn send(&self, request: RequestBuilder, limits: CallLimits) -> Result<HttpAnswer, NoAnswer> {
        let peer = self.peer;
        let request = request.build().map_err(|error| no_answer(peer, error))?;
        self.calls.clone().oneshot(OutboundCall { peer, request, limits }).await
    }
}

/// Logs at level `debug` the result of each call. Path, query, headers and bodies may hold secrets and are left out.
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

/// Ends a call at its deadline: [`NoAnswer::Unsent`] while it waits for its turn, else [`NoAnswer::Unanswered`].
async fn in_time<S>(mut inner: S, mut call: OutboundCall) -> Result<HttpAnswer, NoAnswer>
where
    S: Service<OutboundCall, Response = HttpAnswer, Error = NoAnswer>,
{
    let deadline = alarm::after(Instant::now(), call.limits.deadline);
    let Ok(ready) = timeout_at(deadline, inner.ready()).await else {
        return Err(NoAnswer::Unsent { peer: call.peer, source: Busy.into() });
    };
    // reqwest's own timeout: it covers the body too.
    *call.request.timeout_mut() = Some(deadline.saturating_duration_since(Instant::now()));
    ready?.call(call).await
}

/// Sends the request and reads the answer up to its limit.
async fn exchange(
    client: Client,
    OutboundCall { peer, request, limits }: OutboundCall,
) -> Result<HttpAnswer, NoAnswer> {
    let mut response = client.oneshot(request).await.map_err(|error| no_answer(peer, error))?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(peer, error))? {
        if body.len() + chunk.len() > limits.answer {
            return Err(NoAnswer::TooLarge { peer, limit: limits.answer });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpAnswer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
}

/// Whatever is not known to have failed before the connection stood may have been sent.
fn no_answer(peer: &'static str, error: reqwest::Error) -> NoAnswer {
    if error.is_connect() || error.is_builder() {
        NoAnswer::Unsent { peer, source: error.without_url().into() }
    } else {
        unanswered(peer, error)
    }
}

/// Without the address, whose path and query may hold secrets.
fn unanswered(peer: &'static str, error: reqwest::Error) -> NoAnswer {
    NoAnswer::Unanswered { peer, source: error.without_url() }
}

impl HttpAnswer {
    /// Whether the body is an HTML page, by its media type or by its beginning: the answer of a proxy in between or of
    /// an error handler, never an API's.
    pub fn is_page(&self) -> bool {
        let media_type = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let start = self.body.trim_ascii_start();
        let start = start[..start.len().min(14)].to_ascii_lowercase();
        media_type.is_some_and(|value| value.to_ascii_lowercase().contains("html"))
            || start.starts_with(b"<!doctype html")
            || start.starts_with(b"<html")
    }
}

/// The wait that `Retry-After` asks for, in either of its forms (RFC 9110 section 10.2.3); an hour at most.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(value).ok()?.duration_since(now.system_time()).unwrap_or_default(),
    };
    Some(wait.min(Duration::from_secs(3600)))
}

/// An error and its causes on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scripted::{Reply, Server, dead_address};

    /// Long enough for a request to arrive, on a busy machine too.
    const SHORT: Duration = Duration::from_secs(1);

    fn outbound() -> Outbound {
        let network = Network::Internal { socket: None };
        Outbound::new(Settings { peer: "peer", connect_timeout: Duration::from_secs(5), network }).unwrap()
    }

    async fn get(outbound: &Outbound, url: Url, deadline: Duration) -> Result<HttpAnswer, NoAnswer> {
        outbound.send(outbound.request(Method::GET, url), CallLimits { deadline, answer: 100 }).await
    }

    #[tokio::test]
    async fn an_answer_may_be_as_large_as_its_limit_and_no_larger() {
        let bodies = std::sync::Mutex::new(vec![101, 100]);
        let server =
            Server::start(move |_| Reply::text(200, "text/plain", vec![b'x'; bodies.lock().unwrap().pop().unwrap()]))
                .await;
        let deadline = Duration::from_secs(5);
        assert_eq!(get(&outbound(), server.url("/"), deadline).await.unwrap().body.len(), 100);
        let larger = get(&outbound(), server.url("/"), deadline).await;
        assert!(matches!(larger, Err(NoAnswer::TooLarge { peer: "peer", limit: 100 })));
    }

    #[tokio::test]
    async fn a_call_without_connection_is_unsent_and_one_without_answer_unanswered() {
        let dead = Url::parse(&format!("http://{}/", dead_address().await)).unwrap();
        assert!(matches!(get(&outbound(), dead, Duration::from_secs(5)).await, Err(NoAnswer::Unsent { .. })));
        for reply in [Reply::Hang, Reply::Cut, Reply::Reset] {
            let server = Server::start(move |_| reply.clone()).await;
            let answer = get(&outbound(), server.url("/"), SHORT).await;
            assert!(matches!(answer, Err(NoAnswer::Unanswered { .. })), "{:?}", answer.err());
            assert_eq!(server.seen().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_call_that_waits_for_its_turn_until_its_deadline_is_unsent_and_keeps_no_other_peer_waiting() {
        let server = Server::start(|_| Reply::Hang).await;
        let outbound = Outbound::stacked("peer", outbound().client, 1);
        let (first, url) = (outbound.clone(), server.url("/"));
        let first = tokio::spawn(async move { get(&first, url, Duration::from_secs(60)).await });
        while server.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let waiting = get(&outbound, server.url("/"), SHORT / 20).await;
        assert!(matches!(waiting, Err(NoAnswer::Unsent { .. })), "{:?}", waiting.err());
        let other = get(&outbound.for_another_peer(), server.url("/"), SHORT).await;
        assert!(matches!(other, Err(NoAnswer::Unanswered { .. })), "{:?}", other.err());
        assert_eq!(server.seen().len(), 2);
        first.abort();
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let server = Server::start(|_| Reply::json(302, &json!({})).with("location", "/elsewhere")).await;
        let answer = get(&outbound(), server.url("/"), Duration::from_secs(5)).await.unwrap();
        assert_eq!((answer.status, server.seen().len()), (StatusCode::FOUND, 1));
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_at_most_an_hour() {
        let now = Timestamp::from_secs(784_111_747);
        for (value, seconds) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("99999999999", Some(3600)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
        }
    }
}
