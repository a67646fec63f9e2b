//! A visitor: a cookie jar whose time is the test's clock, the headers that browsers send, and redirects that are followed on request only.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use url::Url;
use vestibule::clock::{Clock, Timestamp};

use super::within_patience;

/// What a browser speaks to the gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// HTTP/1.1, a connection for each request.
    Http1,
    /// HTTP/2 with prior knowledge (or by ALPN over TLS), one connection for all requests.
    Http2,
}

/// A body that is sent.
pub(crate) type Sent = UnsyncBoxBody<Bytes, io::Error>;

type Http2Link = http2::SendRequest<Sent>;

/// A browser with its cookies. Clones share the jar, as tabs do.
#[derive(Clone)]
pub(crate) struct Browser {
    home: Url,
    address: SocketAddr,
    clock: Clock,
    protocol: Protocol,
    language: &'static str,
    trusted: Option<Arc<rustls::ClientConfig>>,
    jar: Arc<Mutex<Vec<Stored>>>,
    link: Arc<tokio::sync::Mutex<Option<Http2Link>>>,
}

/// A cookie in the jar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stored {
    host: String,
    path: String,
    /// The name.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: String,
    expires: Option<Timestamp>,
    same_site: Option<SameSite>,
    /// Not readable by scripts.
    pub(crate) http_only: bool,
    /// For secure connections only.
    pub(crate) secure: bool,
}

/// Where a request comes from, as `Sec-Fetch-Site` says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Site {
    /// Typed into the address bar.
    Typed,
    Same,
    Other,
}

impl Browser {
    /// A browser with an empty jar, in front of the gateway that is known as `home` and listens at `address`.
    pub(crate) fn new(home: &Url, address: SocketAddr, clock: Clock) -> Self {
        Self {
            home: home.clone(),
            address,
            clock,
            protocol: Protocol::Http1,
            language: "en",
            trusted: None,
            jar: Arc::default(),
            link: Arc::default(),
        }
    }

    /// The same browser, speaking that protocol.
    pub(crate) fn over(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self.link = Arc::default();
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

    /// The address it knows the gateway by.
    pub(crate) fn home(&self) -> &Url {
        &self.home
    }

    /// Where the gateway listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same tabs at another gateway.
    pub(crate) fn at(&self, gateway: &super::Gateway) -> Self {
        let mut other = self.clone();
        (other.home, other.address, other.link) = (gateway.public_url().clone(), gateway.address(), Arc::default());
        other
    }

    /// Another browser with the cookies that this one has now.
    pub(crate) fn copy(&self) -> Self {
        let jar = self.jar.lock().unwrap().clone();
        Self { jar: Arc::new(Mutex::new(jar)), link: Arc::default(), ..self.clone() }
    }

    /// A page that a person opens: its own address typed, or a link on its own pages.
    pub(crate) fn navigate(&self, path: &str) -> Ask {
        self.ask(Method::GET, self.home.join(path).unwrap(), Site::Typed).navigating()
    }

    /// A page on any server.
    pub(crate) fn visit(&self, url: &str) -> Ask {
        self.ask(Method::GET, url.parse().unwrap(), Site::Typed).navigating()
    }

    /// Where an answer's `Location` leads, as a browser goes there: from another site if that is where the answer came from.
    #[track_caller]
    pub(crate) fn follow(&self, answer: &Answer) -> Ask {
        let url = answer.url.join(answer.location()).unwrap();
        let site = if url.origin() == answer.url.origin() { Site::Same } else { Site::Other };
        self.ask(Method::GET, url, site).navigating()
    }

    /// A script's GET.
    pub(crate) fn fetch(&self, path: &str) -> Ask {
        self.request(Method::GET, path)
    }

    /// A script's POST.
    pub(crate) fn post(&self, path: &str) -> Ask {
        self.request(Method::POST, path)
    }

    /// A script's request.
    pub(crate) fn request(&self, method: Method, path: &str) -> Ask {
        let url = self.home.join(path).unwrap();
        let origin = url.origin().ascii_serialization();
        let sends_origin = method != Method::GET && method != Method::HEAD;
        let ask = self.ask(method, url, Site::Same).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty");
        if sends_origin { ask.header("origin", &origin) } else { ask }.header("accept", "*/*")
    }

    /// A form that a page of another site posts.
    pub(crate) fn foreign_form(&self, path: &str, origin: &str) -> Ask {
        let ask = self.ask(Method::POST, self.home.join(path).unwrap(), Site::Other).navigating();
        ask.header("origin", origin)
    }

    /// A request without any header of a browser's, as a script on a server sends it; with the jar's cookies.
    pub(crate) fn plain(&self, method: Method, path: &str) -> Ask {
        let mut ask = self.ask(method, self.home.join(path).unwrap(), Site::Same);
        ask.headers.clear();
        ask
    }

    fn ask(&self, method: Method, url: Url, site: Site) -> Ask {
        let ask =
            Ask { browser: self.clone(), method, url, site, headers: HeaderMap::new(), body: empty(), raw_path: None };
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

    /// Logs in at the demo's provider under the name it has in the file, and returns the callback's answer.
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
    pub(crate) fn stored(&self, name: &str) -> Option<Stored> {
        let host = self.home.host_str().unwrap_or("").to_owned();
        let now = self.clock.now();
        self.jar.lock().unwrap().iter().find(|c| c.host == host && c.name == name && c.lives(now)).cloned()
    }

    /// How long a cookie of the gateway's still lives.
    pub(crate) fn time_left(&self, name: &str) -> Option<Duration> {
        Some(self.stored(name)?.expires?.since(self.clock.now()))
    }

    /// The names of all live cookies of the gateway's.
    pub(crate) fn cookie_names(&self) -> BTreeSet<String> {
        let host = self.home.host_str().unwrap_or("").to_owned();
        let now = self.clock.now();
        self.jar.lock().unwrap().iter().filter(|c| c.host == host && c.lives(now)).map(|c| c.name.clone()).collect()
    }

    /// Whether tokens are in the jar.
    pub(crate) fn is_logged_in(&self) -> bool {
        self.cookie_names().iter().any(|name| name.starts_with("sb_at") || name.starts_with("sb_rt"))
    }

    /// Puts a cookie into the jar.
    pub(crate) fn set_cookie(&self, name: &str, value: &str) {
        let host = self.home.host_str().unwrap_or("").to_owned();
        self.remove_cookie(name);
        self.jar.lock().unwrap().push(Stored {
            host,
            path: "/".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            expires: None,
            same_site: None,
            http_only: false,
            secure: false,
        });
    }

    /// Takes a cookie out of the jar.
    pub(crate) fn remove_cookie(&self, name: &str) {
        let host = self.home.host_str().unwrap_or("").to_owned();
        self.jar.lock().unwrap().retain(|c| c.host != host || c.name != name);
    }

    /// The `Cookie` header that a request to the gateway would have.
    pub(crate) fn cookie_header(&self) -> String {
        self.cookies_for(&self.home, Site::Same, &Method::GET, true).join("; ")
    }

    fn cookies_for(&self, url: &Url, site: Site, method: &Method, navigates: bool) -> Vec<String> {
        let now = self.clock.now();
        let host = url.host_str().unwrap_or("");
        let lax_is_sent = site != Site::Other || navigates && matches!(*method, Method::GET | Method::HEAD);
        let jar = self.jar.lock().unwrap();
        let fitting = jar.iter().filter(|c| {
            let path_fits = url
                .path()
                .strip_prefix(c.path.as_str())
                .is_some_and(|rest| rest.is_empty() || c.path.ends_with('/') || rest.starts_with('/'));
            c.host == host && path_fits && c.lives(now) && (lax_is_sent || c.same_site == Some(SameSite::None))
        });
        fitting.map(|c| format!("{}={}", c.name, c.value)).collect()
    }

    fn keep(&self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("Set-Cookie is ASCII");
            let cookie = Cookie::parse(line).expect("Set-Cookie is well formed");
            self.keep_one(url, &cookie);
        }
    }

    /// CVE-2021-29651: wherever the gateway sends a browser, no token goes along in the address. The one exception is what OpenID Connect RP-Initiated Logout says: the
    /// provider's own ID token, back to the provider.
    fn finds_no_token_in_location(&self, headers: &HeaderMap) {
        let Some(location) = headers.get(header::LOCATION) else { return };
        let location = String::from_utf8_lossy(location.as_bytes()).into_owned();
        for token in self.jar.lock().unwrap().iter().filter(|c| c.name.contains("sb_at") || c.name.contains("sb_rt")) {
            assert!(token.value.len() < 16 || !location.contains(&token.value), "a token in Location: {location}");
        }
        let parameters = location.split(['?', '&', '#', ';']).filter(|part| !part.starts_with("id_token_hint="));
        assert!(parameters.into_iter().all(|part| !part.contains(".eyJ")), "a token in Location: {location}");
    }

    /// The storage rules of RFC 6265bis section 5.7, as far as they concern one host.
    fn keep_one(&self, url: &Url, cookie: &Cookie<'_>) {
        let (name, value) = (cookie.name(), cookie.value());
        let host = url.host_str().unwrap_or("").to_owned();
        let secure = cookie.secure().unwrap_or(false);
        let path = cookie.path().filter(|path| path.starts_with('/')).unwrap_or("/").to_owned();
        assert_eq!(cookie.domain(), None, "{name}: no server of the tests sets a domain");
        let is_trustworthy = url.scheme() == "https" || matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
        let breaks_host_prefix = name.starts_with("__Host-") && !(secure && path == "/");
        if name.len() + value.len() > 4096 || secure && !is_trustworthy || breaks_host_prefix {
            return;
        }
        let now = self.clock.now();
        let expires = match (cookie.max_age(), cookie.expires_datetime()) {
            (Some(age), _) => Some(now.plus(Duration::try_from(age).unwrap_or_default())),
            (None, Some(at)) => Some(Timestamp::from_secs(at.unix_timestamp())),
            (None, None) => None,
        };
        let mut jar = self.jar.lock().unwrap();
        jar.retain(|c| (&c.host, &c.path, c.name.as_str()) != (&host, &path, name));
        let stored = Stored {
            host,
            path,
            name: name.to_owned(),
            value: value.to_owned(),
            expires,
            same_site: cookie.same_site(),
            http_only: cookie.http_only().unwrap_or(false),
            secure,
        };
        if stored.lives(now) {
            jar.push(stored);
        }
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
            return self.http2_link(url).await?.send_request(request).await;
        }
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect(url).await)).await?;
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await
    }

    async fn http2_link(&self, url: &Url) -> Result<Http2Link, hyper::Error> {
        let mut link = self.link.lock().await;
        if let Some(open) = link.as_ref().filter(|link| !link.is_closed()) {
            return Ok(open.clone());
        }
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(self.connect(url).await)).await?;
        tokio::spawn(connection);
        *link = Some(sender.clone());
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

impl Stored {
    fn lives(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A request about to be sent: awaiting it sends it and collects the answer.
pub(crate) struct Ask {
    browser: Browser,
    method: Method,
    url: Url,
    site: Site,
    headers: HeaderMap,
    body: Sent,
    raw_path: Option<String>,
}

impl Ask {
    fn navigating(self) -> Self {
        self.header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap();
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Is for this path, which no part of the browser has made canonical.
    pub(crate) fn at_path(mut self, path: &str) -> Self {
        self.raw_path = Some(path.to_owned());
        self
    }

    /// Has another method.
    pub(crate) fn with_method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// Has a body.
    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Full::new(body.into()).map_err(io::Error::other).boxed_unsync();
        self
    }

    /// Has a body that comes in pieces.
    pub(crate) fn streaming(mut self, body: Sent) -> Self {
        self.body = body;
        self
    }

    /// Has a JSON body.
    pub(crate) fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    /// Has a form as its body.
    pub(crate) fn form(self, fields: &[(&str, &str)]) -> Self {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    /// Sends it, and returns as soon as the answer's head is there.
    pub(crate) async fn open(self) -> Opened {
        let what = format!("{} {}", self.method, self.url);
        self.try_open().await.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends it; fails where the connection ends before the answer's head.
    pub(crate) async fn try_open(self) -> Result<Opened, hyper::Error> {
        let Self { browser, method, url, site, headers, body, raw_path } = self;
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let cookies = browser.cookies_for(&url, site, &method, navigates);
        let authority = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let path = raw_path.unwrap_or_else(|| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned());
        let is_http2 = browser.protocol == Protocol::Http2 && url.origin() == browser.home.origin();
        let mut request = Request::builder().method(method);
        request = if is_http2 {
            request.version(Version::HTTP_2).uri(format!("{}://{authority}{path}", url.scheme()))
        } else {
            request.uri(path).header(header::HOST, authority)
        };
        let mut request = request.body(body).unwrap();
        request.headers_mut().extend(headers);
        // As browsers do: one field in HTTP/1.1, a field for each cookie in HTTP/2 (RFC 9113 section 8.2.3).
        let fields = if is_http2 || cookies.is_empty() { cookies } else { vec![cookies.join("; ")] };
        for field in fields {
            request.headers_mut().append(header::COOKIE, HeaderValue::from_str(&field).unwrap());
        }
        let response = within_patience("the head of an answer", browser.send(&url, request)).await?;
        browser.keep(&url, response.headers());
        if url.origin() == browser.home.origin() {
            browser.finds_no_token_in_location(response.headers());
        }
        Ok(Opened { url, response })
    }

    /// Sends it; fails where the connection ends before the answer does.
    pub(crate) async fn try_send(self) -> Result<Answer, hyper::Error> {
        self.try_open().await?.try_finish().await
    }
}

impl IntoFuture for Ask {
    type Output = Answer;
    type IntoFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let what = format!("{} {}", self.method, self.url);
            self.try_send().await.unwrap_or_else(|error| panic!("{what}: {error}"))
        })
    }
}

/// An answer whose head is here.
#[derive(Debug)]
pub(crate) struct Opened {
    url: Url,
    response: Response<Incoming>,
}

impl Opened {
    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The next piece of the body; `None` at its clean end, an error where the connection is cut.
    pub(crate) async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = within_patience("a piece of a body", self.response.body_mut().frame()).await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                Ok(Err(_trailers)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// The whole answer.
    pub(crate) async fn try_finish(self) -> Result<Answer, hyper::Error> {
        let (head, body) = self.response.into_parts();
        let collected = within_patience("the end of a body", body.collect()).await?;
        let trailers = collected.trailers().cloned();
        Ok(Answer {
            url: self.url,
            status: head.status,
            version: head.version,
            headers: head.headers,
            body: collected.to_bytes(),
            trailers,
        })
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    url: Url,
    /// The status.
    pub(crate) status: StatusCode,
    /// The protocol.
    pub(crate) version: Version,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) body: Bytes,
    /// The trailers.
    pub(crate) trailers: Option<HeaderMap>,
}

impl Answer {
    /// Fails where the status is another.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{self}");
        self
    }

    /// Fails where `x-auth-status` is another.
    #[track_caller]
    pub(crate) fn says(self, auth_status: &str) -> Self {
        assert_eq!(self.auth_status(), Some(auth_status), "{self}");
        self
    }

    /// Fails where the `code` of a problem is another.
    #[track_caller]
    pub(crate) fn problem(self, code: &str) -> Self {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert_eq!(self.json()["code"], code, "{self}");
        self
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("an ASCII header"))
    }

    /// `x-auth-status`.
    pub(crate) fn auth_status(&self) -> Option<&str> {
        assert!(self.headers.get_all("x-auth-status").iter().count() <= 1, "{self}");
        self.header("x-auth-status")
    }

    /// `Location`.
    #[track_caller]
    pub(crate) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("an answer without Location: {self}"))
    }

    /// The raw `Set-Cookie` lines.
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        self.headers.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().expect("an ASCII header")).collect()
    }

    /// The raw `Set-Cookie` line of that name.
    pub(crate) fn set_cookie(&self, name: &str) -> Option<&str> {
        let lines = self.set_cookies();
        let of_name: Vec<_> = lines.into_iter().filter(|line| line.split('=').next() == Some(name)).collect();
        assert!(of_name.len() <= 1, "{name} is set twice: {self}");
        of_name.first().copied()
    }

    /// Whether the answer sets that cookie to a value.
    pub(crate) fn sets(&self, name: &str) -> bool {
        self.set_cookie(name).is_some_and(|line| !line.contains("Max-Age=0"))
    }

    /// Whether the answer deletes that cookie.
    pub(crate) fn clears(&self, name: &str) -> bool {
        self.set_cookie(name).is_some_and(|line| line.contains("Max-Age=0"))
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// For a failing test's message.
impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{} from {}", self.status, self.url)?;
        for (name, value) in &self.headers {
            writeln!(f, "  {name}: {}", String::from_utf8_lossy(value.as_bytes()))?;
        }
        let text = self.text();
        write!(f, "{}", text.get(..2000).unwrap_or(&text))
    }
}

fn empty() -> Sent {
    Full::new(Bytes::new()).map_err(io::Error::other).boxed_unsync()
}
