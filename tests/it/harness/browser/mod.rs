//! A browser: it stores cookies, sends the headers that browsers send, and follows redirects only on request.

mod answer;
mod jar;
mod request;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use url::Url;
use vestibule::clock::Clock;

use self::jar::CookieJar;
pub(crate) use self::{
    answer::{Answer, Opened},
    jar::StoredCookie,
    request::BrowserRequest,
};

/// The protocol between browser and gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, a connection for each request.
    Http1,
    /// HTTP/2 with prior knowledge (or by ALPN over TLS), one connection for all requests.
    Http2,
}

/// A body that is sent.
pub(crate) type Sent = UnsyncBoxBody<Bytes, io::Error>;

type Http2Sender = http2::SendRequest<Sent>;

/// A browser with its cookies. Clones share the jar, as tabs do.
#[derive(Clone)]
pub(crate) struct Browser {
    home: Url,
    address: SocketAddr,
    clock: Clock,
    protocol: Protocol,
    language: &'static str,
    trusted: Option<Arc<rustls::ClientConfig>>,
    jar: Arc<Mutex<CookieJar>>,
    http2: Arc<tokio::sync::Mutex<Option<Http2Sender>>>,
}

/// The origin of a request, for `Sec-Fetch-Site`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Site {
    /// Typed into the address bar.
    Typed,
    Same,
    Other,
}

impl Browser {
    /// A browser without cookies, for the gateway with the public URL `home` that listens at `address`.
    pub(crate) fn new(home: &Url, address: SocketAddr, clock: Clock) -> Self {
        Self {
            home: home.clone(),
            address,
            clock,
            protocol: Protocol::Http1,
            language: "en",
            trusted: None,
            jar: Arc::default(),
            http2: Arc::default(),
        }
    }

    /// The same browser, speaking that protocol.
    pub(crate) fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self.http2 = Arc::default();
        self
    }

    /// The same browser, asking for that language.
    pub(crate) fn speaking(mut self, language: &'static str) -> Self {
        self.language = language;
        self
    }

    /// The same browser, trusting these certificate authorities.
    pub(crate) fn trusting(mut self, roots: rustls::RootCertStore) -> Self {
        let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = match self.protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        self.trusted = Some(Arc::new(config));
        self
    }

    /// The gateway's public address.
    pub(crate) fn home(&self) -> &Url {
        &self.home
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same browser at another gateway.
    pub(crate) fn at(&self, gateway: &super::Gateway) -> Self {
        let mut other = self.clone();
        (other.home, other.address, other.http2) = (gateway.public_url().clone(), gateway.address(), Arc::default());
        other
    }

    /// The same browser, whose requests to the gateway's address reach another instance.
    pub(crate) fn through(&self, gateway: &super::Gateway) -> Self {
        Self { address: gateway.address(), http2: Arc::default(), ..self.clone() }
    }

    /// The same browser at another port of this host.
    pub(crate) fn at_port(&self, port: u16) -> Self {
        let mut other = self.clone();
        other.home.set_port(Some(port)).unwrap();
        (other.address, other.http2) = (SocketAddr::from((self.address.ip(), port)), Arc::default());
        other
    }

    /// Another browser with the cookies that this one has now.
    pub(crate) fn copy(&self) -> Self {
        let jar = self.jar.lock().unwrap().clone();
        Self { jar: Arc::new(Mutex::new(jar)), http2: Arc::default(), ..self.clone() }
    }

    /// A page that a person opens: its own address typed, or a link on its own pages.
    pub(crate) fn navigate(&self, path: &str) -> BrowserRequest {
        self.ask(Method::GET, self.home.join(path).unwrap(), Site::Typed).navigating()
    }

    /// A page on any server.
    pub(crate) fn visit(&self, url: &str) -> BrowserRequest {
        self.ask(Method::GET, url.parse().unwrap(), Site::Typed).navigating()
    }

    /// Follows an answer's `Location` as a browser does: cross-site if the answer came from another site.
    #[track_caller]
    pub(crate) fn follow(&self, answer: &Answer) -> BrowserRequest {
        let url = answer.url.join(answer.location()).unwrap();
        let site = if url.origin() == answer.url.origin() { Site::Same } else { Site::Other };
        self.ask(Method::GET, url, site).navigating()
    }

    /// A script's GET.
    pub(crate) fn fetch(&self, path: &str) -> BrowserRequest {
        self.request(Method::GET, path)
    }

    /// A script's POST.
    pub(crate) fn post(&self, path: &str) -> BrowserRequest {
        self.request(Method::POST, path)
    }

    /// A script's request.
    pub(crate) fn request(&self, method: Method, path: &str) -> BrowserRequest {
        let url = self.home.join(path).unwrap();
        let origin = url.origin().ascii_serialization();
        let sends_origin = method != Method::GET && method != Method::HEAD;
        let ask = self.ask(method, url, Site::Same).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty");
        if sends_origin { ask.header("origin", &origin) } else { ask }.header("accept", "*/*")
    }

    /// A form that a page of another site posts.
    pub(crate) fn foreign_form(&self, path: &str, origin: &str) -> BrowserRequest {
        let ask = self.ask(Method::POST, self.home.join(path).unwrap(), Site::Other).navigating();
        ask.header("origin", origin)
    }

    /// A request without any header of a browser's, as a script on a server sends it; with the jar's cookies.
    pub(crate) fn plain(&self, method: Method, path: &str) -> BrowserRequest {
        let mut ask = self.ask(method, self.home.join(path).unwrap(), Site::Same);
        ask.headers.clear();
        ask
    }

    fn ask(&self, method: Method, url: Url, site: Site) -> BrowserRequest {
        let ask = BrowserRequest {
            browser: self.clone(),
            method,
            url,
            site,
            headers: HeaderMap::new(),
            body: empty(),
            raw_path: None,
        };
        let site = match site {
            Site::Typed => "none",
            Site::Same => "same-origin",
            Site::Other => "cross-site",
        };
        ask.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Tests/1.0")
            .header("accept-language", self.language)
            .header("sec-fetch-site", site)
    }

    /// Logs in at the demo's provider, and returns the callback's answer.
    pub(crate) async fn login_as(&self, name: &str) -> Answer {
        self.login_with("demo", "/", name).await
    }

    /// Logs in at the demo's provider, which is `[providers.PROVIDER]` in the file, and returns the callback's answer.
    pub(crate) async fn login_with(&self, provider: &str, return_to: &str, name: &str) -> Answer {
        let callback = self.as_far_as_callback(provider, return_to, name).await;
        let answer = self.follow(&callback).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "the callback's answer: {answer}");
        answer
    }

    /// Logs in at the demo's provider, and returns its redirect to the callback.
    pub(crate) async fn as_far_as_callback(&self, provider: &str, return_to: &str, name: &str) -> Answer {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", return_to).finish();
        let start = self.navigate(&format!("/auth/login/{provider}?{query}")).await;
        assert!(start.status.is_redirection(), "the login's start: {start}");
        let mut authorize: Url = start.location().parse().unwrap();
        authorize.query_pairs_mut().append_pair("auto", name);
        let callback = self.visit(authorize.as_str()).await;
        assert!(callback.status.is_redirection(), "the provider's answer: {callback}");
        callback
    }

    /// The value of a live cookie of the gateway's.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        self.stored(name).map(|cookie| cookie.value)
    }

    /// A live cookie of the gateway's.
    pub(crate) fn stored(&self, name: &str) -> Option<StoredCookie> {
        self.jar.lock().unwrap().live(self.host(), self.clock.now()).find(|cookie| cookie.name == name).cloned()
    }

    /// How long a cookie of the gateway's still lives.
    pub(crate) fn time_left(&self, name: &str) -> Option<Duration> {
        Some(self.stored(name)?.expires?.since(self.clock.now()))
    }

    /// The names of all live cookies of the gateway's.
    pub(crate) fn cookie_names(&self) -> BTreeSet<String> {
        let jar = self.jar.lock().unwrap();
        jar.live(self.host(), self.clock.now()).map(|cookie| cookie.name.clone()).collect()
    }

    /// Whether tokens are in the jar.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.cookie_names().iter().any(|name| name.starts_with("sb_at") || name.starts_with("sb_rt"))
    }

    /// Puts a cookie into the jar.
    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(self.host(), name, value);
    }

    /// Takes a cookie out of the jar.
    pub(crate) fn remove_cookie(&self, name: &str) {
        self.jar.lock().unwrap().remove(self.host(), name);
    }

    fn host(&self) -> &str {
        self.home.host_str().unwrap_or("")
    }

    /// The `Cookie` header that a request to the gateway would have.
    pub(crate) fn cookie_header(&self) -> String {
        self.cookies_for(&self.home, Site::Same, &Method::GET, true).join("; ")
    }

    fn cookies_for(&self, url: &Url, site: Site, method: &Method, navigates: bool) -> Vec<String> {
        let jar = self.jar.lock().unwrap();
        jar.for_request(url, site == Site::Other, method, navigates, self.clock.now())
    }

    /// CVE-2021-29651: no redirect of the gateway has a token in its address. The only exception is the ID token in
    /// `id_token_hint`, which goes back to its provider (OpenID Connect RP-Initiated Logout 1.0).
    fn finds_no_token_in_location(&self, headers: &HeaderMap) {
        let Some(location) = headers.get(header::LOCATION) else { return };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        for token in self.jar.lock().unwrap().all().filter(|c| c.name.contains("sb_at") || c.name.contains("sb_rt")) {
            assert!(token.value.len() < 16 || !location.contains(&token.value), "a token in Location: {location}");
        }
        let parameters = location.split(['?', '&', '#', ';']).filter(|part| !part.starts_with("id_token_hint="));
        assert!(parameters.into_iter().all(|part| !part.contains(".eyJ")), "a token in Location: {location}");
    }

    /// Whether the gateway shows a certificate that this browser trusts.
    pub(crate) async fn is_trusted(&self) -> bool {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let name = self.home.host_str().unwrap_or("").to_owned().try_into().expect("a host name");
        let trusted = self.trusted.clone().expect("certificate authorities were given");
        tokio_rustls::TlsConnector::from(trusted).connect(name, tcp).await.is_ok()
    }

    async fn send(&self, url: &Url, request: Request<Sent>) -> Result<Response<Incoming>, hyper::Error> {
        let is_home = url.origin() == self.home.origin();
        if self.protocol == Protocol::Http2 && is_home {
            return self.send_over_http2(url, request).await;
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect(url).await)).await?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await
    }

    /// As browsers do, it sends a request again whose stream was refused (RFC 9113 section 8.7), if its body is not
    /// streamed.
    async fn send_over_http2(&self, url: &Url, request: Request<Sent>) -> Result<Response<Incoming>, hyper::Error> {
        let mut sender = self.http2_sender(url).await?;
        let (parts, body) = request.into_parts();
        if http_body::Body::size_hint(&body).exact().is_none() {
            return sender.send_request(Request::from_parts(parts, body)).await;
        }
        let bytes = body.collect().await.expect("it is in memory").to_bytes();
        loop {
            let body = Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync();
            let sent = sender.send_request(Request::from_parts(parts.clone(), body)).await;
            let refused =
                sent.as_ref().err().and_then(|error| std::error::Error::source(error)?.downcast_ref::<h2::Error>());
            if refused.and_then(h2::Error::reason) != Some(h2::Reason::REFUSED_STREAM) {
                return sent;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn http2_sender(&self, url: &Url) -> Result<Http2Sender, hyper::Error> {
        let mut kept = self.http2.lock().await;
        if let Some(open) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(open.clone());
        }
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(self.connect(url).await)).await?;
        tokio::spawn(connection);
        *kept = Some(sender.clone());
        Ok(sender)
    }

    async fn connect(&self, url: &Url) -> Box<dyn Stream> {
        let address = if url.origin() == self.home.origin() {
            self.address
        } else {
            let port = url.port_or_known_default().expect("an http or https URL");
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
        };
        let tcp = TcpStream::connect(address).await.unwrap_or_else(|error| panic!("no connection to {url}: {error}"));
        tcp.set_nodelay(true).unwrap();
        let Some(trusted) = self.trusted.clone().filter(|_| url.scheme() == "https") else { return Box::new(tcp) };
        let name = url.host_str().unwrap_or("").to_owned().try_into().expect("a host name");
        Box::new(tokio_rustls::TlsConnector::from(trusted).connect(name, tcp).await.expect("the TLS handshake"))
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

fn empty() -> Sent {
    Full::new(Bytes::new()).map_err(io::Error::other).boxed_unsync()
}
