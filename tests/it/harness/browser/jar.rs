//! A browser's cookies, as far as RFC 6265bis concerns one host. Expiry is judged by the test's clock.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use http::{HeaderMap, Method, header};
use url::Url;
use vestibule::clock::Timestamp;

/// A cookie in the jar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredCookie {
    host: String,
    path: String,
    /// The name.
    pub(crate) name: String,
    /// The value.
    pub(crate) value: String,
    pub(super) expires: Option<Timestamp>,
    same_site: Option<SameSite>,
    /// Not readable by scripts.
    pub(crate) http_only: bool,
    /// For secure connections only.
    pub(crate) secure: bool,
}

impl StoredCookie {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }
}

/// All cookies of a browser.
#[derive(Clone, Default)]
pub(super) struct CookieJar(Vec<StoredCookie>);

impl CookieJar {
    /// The live cookies of a host.
    pub(super) fn live(&self, host: &str, now: Timestamp) -> impl Iterator<Item = &StoredCookie> {
        self.0.iter().filter(move |cookie| cookie.host == host && cookie.is_live(now))
    }

    /// All cookies, expired ones included.
    pub(super) fn all(&self) -> impl Iterator<Item = &StoredCookie> {
        self.0.iter()
    }

    /// Adds a session cookie for all paths of a host.
    pub(super) fn insert(&mut self, host: &str, name: &str, value: &str) {
        self.remove(host, name);
        self.0.push(StoredCookie {
            host: host.to_owned(),
            path: "/".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
            expires: None,
            same_site: None,
            http_only: false,
            secure: false,
        });
    }

    /// Removes a cookie.
    pub(super) fn remove(&mut self, host: &str, name: &str) {
        self.0.retain(|cookie| cookie.host != host || cookie.name != name);
    }

    /// The `name=value` pairs that a request sends.
    pub(super) fn for_request(
        &self,
        url: &Url,
        is_cross_site: bool,
        method: &Method,
        navigates: bool,
        now: Timestamp,
    ) -> Vec<String> {
        let lax_is_sent = !is_cross_site || navigates && matches!(*method, Method::GET | Method::HEAD);
        let matching = self.live(url.host_str().unwrap_or(""), now).filter(|cookie| {
            let path_matches = url
                .path()
                .strip_prefix(cookie.path.as_str())
                .is_some_and(|rest| rest.is_empty() || cookie.path.ends_with('/') || rest.starts_with('/'));
            path_matches && (lax_is_sent || cookie.same_site == Some(SameSite::None))
        });
        matching.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect()
    }

    /// Stores the cookies that an answer sets.
    pub(super) fn keep(&mut self, url: &Url, headers: &HeaderMap, now: Timestamp) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("Set-Cookie is ASCII");
            self.keep_one(url, &Cookie::parse(line).expect("Set-Cookie is well formed"), now);
        }
    }

    /// The storage rules of RFC 6265bis section 5.7.
    fn keep_one(&mut self, url: &Url, cookie: &Cookie<'_>, now: Timestamp) {
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
        let expires = match (cookie.max_age(), cookie.expires_datetime()) {
            (Some(age), _) => Some(now.plus(Duration::try_from(age).unwrap_or_default())),
            (None, Some(at)) => Some(Timestamp::from_secs(at.unix_timestamp())),
            (None, None) => None,
        };
        self.0.retain(|c| (&c.host, &c.path, c.name.as_str()) != (&host, &path, name));
        let stored = StoredCookie {
            host,
            path,
            name: name.to_owned(),
            value: value.to_owned(),
            expires,
            same_site: cookie.same_site(),
            http_only: cookie.http_only().unwrap_or(false),
            secure,
        };
        if stored.is_live(now) {
            self.0.push(stored);
        }
    }
}
