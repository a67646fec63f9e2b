//! The pages of the admin and health listeners: `/livez`, `/readyz`, `/metrics`.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
    uri::Authority,
};
use http_body_util::Full;
use serde::Serialize;

use super::Metrics;

/// The `Content-Security-Policy` of answers that are no pages: a browser runs nothing of them, and shows none in a
/// frame.
pub const NO_PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
const NOT_SERVED: &str = "this host or origin is not served here\n";

/// The listener that received a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AdminListener {
    /// `admin_listen`.
    Admin,
    /// `health_listen`: only `/livez` and `/readyz`.
    Health,
}

/// The result of the latest call to a dependency.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DependencyStatus {
    /// It answered.
    Ok,
    /// It did not answer.
    Unreachable,
    /// It was not called yet.
    Unknown,
}

/// Whether an authority counts as down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorityStatus {
    /// Every session that needs it asks it.
    Up,
    /// It is only probed, until a refresh succeeds.
    Down,
}

/// The content of `/readyz`. Dependencies do not change its status: a store that is down must not take every instance
/// out of service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// Sockets are bound, and shutdown has not begun.
    pub ready: bool,
    /// Providers by name.
    pub providers: BTreeMap<String, DependencyStatus>,
    /// Authorities by name, from the first refresh on that asks them.
    pub authorities: BTreeMap<String, AuthorityStatus>,
    /// The store.
    pub store: DependencyStatus,
    /// Milliseconds by which the store's clock is ahead of this process's (negative: behind), if they differ too much.
    pub store_clock_difference: Option<i64>,
}

/// The pages. Cheap to clone.
#[derive(Clone)]
pub struct AdminPages {
    metrics: Arc<Metrics>,
    state: Arc<dyn Fn() -> Readiness + Send + Sync>,
}

impl AdminPages {
    /// Pages that show `metrics` and the result of `state`, which is called for each request to `/readyz` and
    /// `/metrics`.
    pub fn new(metrics: Arc<Metrics>, state: impl Fn() -> Readiness + Send + Sync + 'static) -> Self {
        Self { metrics, state: Arc::new(state) }
    }

    /// Answers a request.
    pub fn answer(&self, listener: AdminListener, request: &Parts) -> Response<Full<Bytes>> {
        // Probes and scrapers may use any host or none, but pages of another origin are refused.
        if is_cross_origin(request) {
            return text(StatusCode::FORBIDDEN, NOT_SERVED);
        }
        let page = match (request.uri.path(), listener) {
            ("/livez", _) => AdminPage::Live,
            ("/readyz", _) => AdminPage::Ready,
            ("/metrics", AdminListener::Admin) => AdminPage::Metrics,
            // DNS rebinding makes a browser send a foreign host name. It is refused before the path is looked up, so
            // that a page added later is protected too.
            (_, AdminListener::Admin) if own_host(request).is_none() => return text(StatusCode::FORBIDDEN, NOT_SERVED),
            _ => return text(StatusCode::NOT_FOUND, "not found\n"),
        };
        if request.method != Method::GET && request.method != Method::HEAD {
            let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD alone\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        match page {
            AdminPage::Live => text(StatusCode::OK, "ok\n"),
            AdminPage::Ready => ready(&(self.state)(), self.metrics.dropped_log_lines.get()),
            AdminPage::Metrics => {
                // Brings gauges up to date.
                (self.state)();
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                response(StatusCode::OK, kind, self.metrics.text())
            }
        }
    }
}

enum AdminPage {
    Live,
    Ready,
    Metrics,
}

impl fmt::Debug for AdminPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminPages")
    }
}

fn ready(state: &Readiness, lost_log_lines: u64) -> Response<Full<Bytes>> {
    #[derive(Serialize)]
    struct Body<'a> {
        status: &'a str,
        providers: &'a BTreeMap<String, DependencyStatus>,
        authorities: &'a BTreeMap<String, AuthorityStatus>,
        store: DependencyStatus,
        #[serde(skip_serializing_if = "Option::is_none")]
        store_clock_difference_ms: Option<i64>,
        lost_log_lines: u64,
    }
    let (code, status) =
        if state.ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "draining") };
    let body = serde_json::to_string(&Body {
        status,
        providers: &state.providers,
        authorities: &state.authorities,
        store: state.store,
        store_clock_difference_ms: state.store_clock_difference,
        lost_log_lines,
    });
    response(code, "application/json", body.expect("strings and maps of strings are JSON"))
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", body)
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in
        [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff"), (REFERRER_POLICY, "no-referrer")]
    {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(CONTENT_SECURITY_POLICY, NO_PAGE_POLICY);
    response
}

/// The request's host if it is an IP address or `localhost`: with DNS rebinding it is a name.
fn own_host(request: &Parts) -> Option<Authority> {
    let host = host(request)?;
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    (name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")).then_some(host)
}

fn host(request: &Parts) -> Option<Authority> {
    request.uri.authority().cloned().or_else(|| only(&request.headers, &HOST)?.parse().ok())
}

/// Whether a browser reports a page of another origin (`sec-fetch-site`, `origin`). With DNS rebinding it reports none:
/// [`own_host`] recognises that.
fn is_cross_origin(request: &Parts) -> bool {
    let headers = &request.headers;
    let site_is_other = headers.get_all("sec-fetch-site").iter().any(|site| site != "same-origin" && site != "none");
    let origin_is_other = || {
        let origin = only(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
        !host(request).zip(origin).is_some_and(|(host, origin)| origin.eq_ignore_ascii_case(host.as_str()))
    };
    site_is_other || headers.contains_key(ORIGIN) && origin_is_other()
}

fn only<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use http_body_util::BodyExt as _;

    use super::*;

    fn pages(ready: bool) -> AdminPages {
        AdminPages::new(Arc::default(), move || Readiness {
            ready,
            providers: [("google".to_owned(), DependencyStatus::Unreachable)].into(),
            authorities: [("the backend".to_owned(), AuthorityStatus::Down)].into(),
            store: DependencyStatus::Ok,
            store_clock_difference: None,
        })
    }

    fn status(listener: AdminListener, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap().into_parts().0;
        pages(true).answer(listener, &request).status().as_u16()
    }

    #[tokio::test]
    async fn draining_makes_readyz_503_and_an_unreachable_dependency_does_not() {
        let request = Request::get("/readyz").body(()).unwrap().into_parts().0;
        for (ready, code, word) in [(true, 200, "ready"), (false, 503, "draining")] {
            let answer = pages(ready).answer(AdminListener::Health, &request);
            assert_eq!(answer.status(), code);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let expected = format!(
                r#"{{"status":"{word}","providers":{{"google":"unreachable"}},"authorities":{{"the backend":"down"}},"#
            );
            let expected = expected + r#""store":"ok","lost_log_lines":0}"#;
            assert_eq!(body, expected);
        }
    }

    #[test]
    fn the_health_listener_has_no_metrics_and_accepts_any_host() {
        assert_eq!(status(AdminListener::Health, "/livez", &[("host", "anything.example")]), 200);
        assert_eq!(status(AdminListener::Health, "/metrics", &[]), 404);
    }

    #[test]
    fn admin_pages_are_closed_to_foreign_hosts_and_origins_but_probes_are_not() {
        let foreign = [("host", "evil.example")];
        for probe in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(status(AdminListener::Admin, probe, &foreign), 200);
        }
        for refused in [
            &foreign[..],
            &[],
            &[("host", "localhost:1"), ("host", "localhost:1")],
            &[("host", "127.0.0.1:9090"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:9090"), ("origin", "null")],
            &[("host", "localhost.evil.example")],
            &[("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")],
            &[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(status(AdminListener::Admin, "/", refused), 403, "{refused:?}");
        }
        for page_elsewhere in [("origin", "http://evil.example"), ("origin", "null"), ("sec-fetch-site", "cross-site")]
        {
            for listener in [AdminListener::Admin, AdminListener::Health] {
                let headers = [("host", "127.0.0.1:9090"), page_elsewhere];
                assert_eq!(status(listener, "/readyz", &headers), 403, "{listener:?} {page_elsewhere:?}");
            }
        }
        for own in [
            &[("host", "localhost:9090")][..],
            &[("host", "[::1]:9090")],
            &[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090")],
            &[("host", "127.0.0.1:9090"), ("sec-fetch-site", "none")],
        ] {
            assert_eq!(status(AdminListener::Admin, "/", own), 404, "{own:?}");
        }
    }

    #[test]
    fn a_post_to_a_page_gets_405() {
        let request = Request::post("/metrics").body(()).unwrap().into_parts().0;
        assert_eq!(pages(true).answer(AdminListener::Admin, &request).status(), 405);
    }
}
