//! The HTTP client for all calls of the gateway to other servers: a deadline, limits on the answer's size and on
//! concurrent calls, no redirects, and one trace event for each call.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, Method, StatusCode, header};
use reqwest::{Certificate, Client, Request, RequestBuilder, redirect};
use rustls::{CertificateError, pki_types::CertificateDer};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service, ServiceExt as _, limit::ConcurrencyLimit, service_fn, util::BoxCloneSyncService};
use url::Url;

use crate::{alarm, answer_limits, clock::Timestamp, received};

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

/// The peer's certificate is not accepted. Another try fails in the same way.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is not accepted: {0}")]
pub struct CertificateFault(String);

impl CertificateFault {
    /// The fault among the causes of `error`, in words.
    fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>() {
            // `source` of an I/O error leaves out the error that it holds.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        });
        let fault = causes.into_iter().find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(fault)) => Some(fault),
            _ => None,
        })?;
        Some(Self(in_words(fault)))
    }
}

fn in_words(fault: &CertificateError) -> String {
    let words = match fault {
        CertificateError::UnknownIssuer => {
            "it is of an authority that is not known here; give that authority's certificate (a provider has the key `ca`; else SSL_CERT_FILE)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: do the clocks agree?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for other names than the address"
        }
        CertificateError::Other(other)
            if other.0.downcast_ref::<webpki::Error>().is_some_and(|e| *e == webpki::Error::CaUsedAsEndEntity) =>
        {
            "it is an authority's certificate (`CA:TRUE`) that the server uses as its own; make the server one of its own, signed by that authority"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}

/// Whether the peer was not called because of its certificate.
pub fn has_bad_certificate(error: &NoAnswer) -> bool {
    matches!(error, NoAnswer::Unsent { source, .. } if source.is::<CertificateFault>())
}

/// A client for one peer, or for several of one kind. Clones share connections and the limit on concurrent calls.
#[derive(Clone, Debug)]
pub struct Outbound {
    peer: &'static str,
    client: Client,
    clients: Arc<Clients>,
    calls: BoxCloneSyncService<OutboundCall, HttpAnswer, NoAnswer>,
}

/// Makes the HTTP client anew at times: its connections have no age of their own, and one that is always in use would
/// never follow its name to another address.
struct Clients {
    build: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>,
    newest: Mutex<(Client, Instant)>,
}

impl Clients {
    fn new(build: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>) -> reqwest::Result<Self> {
        let newest = Mutex::new((build()?, Instant::now()));
        Ok(Self { build, newest })
    }

    /// The client for a call at `now`. Calls under way keep theirs, with its connections.
    fn current(&self, now: Instant) -> Client {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(newest.1) >= MAX_AGE {
            match (self.build)() {
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
}

impl Outbound {
    /// A client that follows no redirect, which could carry a token elsewhere, and sends no `Referer`.
    pub fn new(settings: Settings<'_>) -> reqwest::Result<Self> {
        let Settings { peer, connect_timeout, network, authorities } = settings;
        let authorities = authorities
            .map(|all| all.iter().map(|der| Certificate::from_der(der)).collect::<reqwest::Result<Vec<_>>>())
            .transpose()?;
        let socket = if let Network::Internal { socket } = network { socket.map(Path::to_owned) } else { None };
        let is_internal = matches!(network, Network::Internal { .. });
        let build = move || {
            let builder = Client::builder()
                .connect_timeout(connect_timeout)
                .redirect(redirect::Policy::none())
                .referer(false)
                .http1_max_headers(answer_limits::HEADERS)
                .http2_max_header_list_size(HEAD_BYTES);
            let builder = match (is_internal, &socket) {
                (false, _) => builder.user_agent("vestibule").pool_idle_timeout(IDLE),
                (true, None) => builder.no_proxy().pool_idle_timeout(IDLE_INTERNAL),
                (true, Some(path)) => builder.no_proxy().pool_idle_timeout(IDLE_INTERNAL).unix_socket(path.as_path()),
            };
            match &authorities {
                Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()).build(),
                None => builder.build(),
            }
        };
        Ok(Self::with_stack(peer, Arc::new(Clients::new(Box::new(build))?), MAX_CALLS))
    }

    /// Builds the services of a call, innermost first. Trace and deadline include the wait for other calls.
    fn with_stack(peer: &'static str, clients: Arc<Clients>, max_calls: usize) -> Self {
        let client = clients.current(Instant::now());
        let own = Arc::clone(&clients);
        let exchange = service_fn(move |call| exchange(own.current(Instant::now()), call));
        let limited = ConcurrencyLimit::new(exchange, max_calls);
        let with_deadline = service_fn(move |call| with_deadline(limited.clone(), call));
        let traced = service_fn(move |call| traced(with_deadline.clone(), call));
        Self { peer, client, clients, calls: BoxCloneSyncService::new(traced) }
    }

    /// A client with the same connections and a separate limit on concurrent calls, so that a peer that does not answer
    /// does not delay calls to another one.
    #[must_use]
    pub fn for_another_peer(&self) -> Self {
        Self::with_stack(self.peer, Arc::clone(&self.clients), MAX_CALLS)
    }

    /// Builds a request for [`Outbound::send`].
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
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::{TcpListener, TcpStream},
        sync::mpsc,
    };

    use super::*;
    use crate::scripted::{Reply, Server, dead_address};

    /// Long enough for a request to arrive, on a busy machine too.
    const SHORT: Duration = Duration::from_secs(1);

    fn outbound() -> Outbound {
        let network = Network::Internal { socket: None };
        Outbound::new(Settings { peer: "peer", connect_timeout: Duration::from_secs(5), network, authorities: None })
            .unwrap()
    }

    async fn get(outbound: &Outbound, url: Url, deadline: Duration) -> Result<HttpAnswer, NoAnswer> {
        outbound.send(outbound.request(Method::GET, url), CallLimits { deadline, answer: 100 }).await
    }

    #[tokio::test]
    async fn an_answer_larger_than_its_limit_is_an_error() {
        let bodies = Mutex::new(vec![101, 100]);
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
    async fn a_call_over_the_limit_is_unsent_at_its_deadline_and_calls_to_other_peers_are_not_delayed() {
        let server = Server::start(|_| Reply::Hang).await;
        let outbound = Outbound::with_stack("peer", outbound().clients, 1);
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

    /// A server with this certificate, which answers every request.
    async fn tls_server(certificate: &rcgen::Certificate, key: &rcgen::KeyPair) -> Url {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let seen = Mutex::new(Vec::new());
            while let Ok((socket, _)) = listener.accept().await {
                if let Ok(mut stream) = acceptor.accept(socket).await {
                    let good = |_: &crate::scripted::Seen| Reply::json(200, &json!({}));
                    let _ = crate::scripted::serve(&mut stream, &good, &seen).await;
                }
            }
        });
        Url::parse(&format!("https://localhost:{port}/")).unwrap()
    }

    #[tokio::test]
    async fn a_certificate_of_a_given_authority_is_accepted_and_another_fault_is_told_in_words() {
        let params = || rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let mut of_authority = params();
        of_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        of_authority.distinguished_name.push(rcgen::DnType::CommonName, "Corp");
        let authority_key = rcgen::KeyPair::generate().unwrap();
        let authority = of_authority.self_signed(&authority_key).unwrap();
        let issuer = rcgen::Issuer::new(of_authority, authority_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let with = |authority: Option<&rcgen::Certificate>| {
            let authorities: Option<Vec<_>> = authority.map(|authority| vec![authority.der().clone()]);
            let (network, connect_timeout) = (Network::Internal { socket: None }, Duration::from_secs(5));
            let authorities = authorities.as_deref();
            Outbound::new(Settings { peer: "peer", connect_timeout, network, authorities }).unwrap()
        };
        let told = async |outbound: Outbound, url: &Url| match get(&outbound, url.clone(), Duration::from_secs(5)).await
        {
            Ok(answer) => answer.status.to_string(),
            Err(error) => format!("{} {}", has_bad_certificate(&error), chain(&error)),
        };
        let good = tls_server(&params().signed_by(&key, &issuer).unwrap(), &key).await;
        assert_eq!(told(with(Some(&authority)), &good).await, "200 OK");
        let unknown = told(with(None), &good).await;
        assert!(unknown.starts_with("true ") && unknown.contains("an authority that is not known here"), "{unknown}");

        let mut expired = params();
        expired.not_before = rcgen::date_time_ymd(1999, 1, 1);
        expired.not_after = rcgen::date_time_ymd(2001, 1, 1);
        let mut elsewhere = rcgen::CertificateParams::new(vec!["else.example".to_owned()]).unwrap();
        elsewhere.distinguished_name.push(rcgen::DnType::CommonName, "else");
        for (params, expected) in [(expired, "it has expired"), (elsewhere, "it is for other names than the address")] {
            let url = tls_server(&params.signed_by(&key, &issuer).unwrap(), &key).await;
            let told = told(with(Some(&authority)), &url).await;
            assert!(told.starts_with("true ") && told.contains(expected), "{told}");
        }
        // `openssl req -x509` makes such a certificate.
        let mut as_authority = params();
        as_authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let own = as_authority.self_signed(&key).unwrap();
        let told = told(with(Some(&own)), &tls_server(&own, &key).await).await;
        assert!(told.contains("(`CA:TRUE`) that the server uses as its own"), "{told}");
    }

    #[tokio::test]
    async fn a_redirect_is_an_answer_and_is_not_followed() {
        let server = Server::start(|_| Reply::json(302, &json!({})).with("location", "/elsewhere")).await;
        let answer = get(&outbound(), server.url("/"), Duration::from_secs(5)).await.unwrap();
        assert_eq!((answer.status, server.seen().len()), (StatusCode::FOUND, 1));
    }

    /// Answers requests with `head` and no body, that many on each connection; sends the number of each connection that
    /// was closed.
    async fn kept_alive(listener: TcpListener, head: String, per_connection: usize, closed: mpsc::Sender<usize>) {
        for connection in 0.. {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            for _ in 0..per_connection {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    if stream.read_line(&mut line).await.unwrap() == 0 {
                        break;
                    }
                }
                stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
            }
            drop(stream);
            closed.send(connection).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_call_whose_idle_connection_was_closed_is_sent_over_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let (closed, mut is_closed) = mpsc::channel(1);
        let server = tokio::spawn(kept_alive(listener, "HTTP/1.1 204 X\r\n".into(), 1, closed));
        let outbound = outbound();
        let limits = CallLimits { deadline: Duration::from_secs(5), answer: 100 };
        for call in 0..20 {
            // Refreshes and sign-outs are POSTs, which are sent twice in no case.
            let answer = outbound.send(outbound.request(Method::POST, url.clone()), limits).await;
            assert_eq!(answer.unwrap().status, 204, "call {call}");
            assert_eq!(is_closed.recv().await, Some(call));
            // The end of the connection arrives before this one does.
            let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (near, far) = tokio::join!(TcpStream::connect(other.local_addr().unwrap()), other.accept());
            drop((near, far));
        }
        server.abort();
    }

    #[tokio::test]
    async fn an_answer_may_have_a_thousand_headers_and_long_ones() {
        let many = (0..1000).fold("HTTP/1.1 200 OK\r\n".to_owned(), |head, n| format!("{head}x-{n}: 1\r\n"));
        let long = format!("HTTP/1.1 200 {}\r\nx-long: {}\r\n", "r".repeat(10_000), "v".repeat(300_000));
        for head in [many, long] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
            let (closed, _is_closed) = mpsc::channel(1);
            let server = tokio::spawn(kept_alive(listener, head, 1, closed));
            let answer = get(&outbound(), url, Duration::from_secs(5)).await;
            assert_eq!(answer.unwrap().status, 200);
            server.abort();
        }
    }

    #[test]
    fn the_client_and_its_connections_are_made_anew_every_minute_however_busy_they_are() {
        let clients = outbound().clients;
        let begun = clients.newest.lock().unwrap().1;
        for (seconds, made) in [(0, 0), (59, 0), (60, 60), (61, 60), (119, 60), (500, 500)] {
            clients.current(begun + Duration::from_secs(seconds));
            let newest = clients.newest.lock().unwrap().1;
            assert_eq!(newest, begun + Duration::from_secs(made), "after {seconds} s");
        }
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
