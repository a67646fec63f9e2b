//! What a browser reports about a request: whether it is a navigation or a preflight, and which site's page sent it.
//! Pure functions of a request head.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts};

use super::host::{HostName, significant, split};
use crate::scheme::Scheme;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_USER: HeaderName = HeaderName::from_static("sec-fetch-user");
/// Set by the scripts of older libraries (jQuery), whose `Accept` often has `text/html`.
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// The media types in which a browser submits a form (HTML standard, "form submission attributes").
const FORM_TYPES: [&[u8]; 3] = [b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"];
/// The headers by which browsers say that they load a page ahead of time.
const PREFETCH_HEADERS: [HeaderName; 3] =
    [HeaderName::from_static("sec-purpose"), HeaderName::from_static("purpose"), HeaderName::from_static("x-moz")];
/// Their words for it.
const PREFETCH_WORDS: [&[u8]; 2] = [b"prefetch", b"prerender"];

/// `Sec-Fetch-Dest` of a page within another page.
const FRAMES: [&str; 5] = ["embed", "fencedframe", "frame", "iframe", "object"];

/// A navigation (product.md, "Words"): GET or HEAD whose answer is shown as a page.
pub fn is_navigation(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && shows_a_page(&parts.headers)
}

/// Whether the answer is shown as a page, whatever the method: `Sec-Fetch-Mode: navigate`, or no Sec-Fetch headers,
/// `text/html` in `Accept` and no `X-Requested-With`.
pub fn shows_a_page(headers: &HeaderMap) -> bool {
    if let Some(mode) = headers.get(&SEC_FETCH_MODE) {
        return mode == "navigate";
    }
    if [SEC_FETCH_SITE, SEC_FETCH_DEST, SEC_FETCH_USER, X_REQUESTED_WITH].iter().any(|name| headers.contains_key(name))
    {
        return false;
    }
    headers.get_all(header::ACCEPT).iter().any(accepts_html)
}

/// Whether a login may begin with this GET: a person can have opened its address. That is what is shown as a page, but
/// not within a page of another site, and what has no Sec-Fetch headers (older browsers, tools). Images, scripts and
/// the other parts of any page are told by these headers; their logins would push out one that is under way.
pub fn may_begin_login(headers: &HeaderMap) -> bool {
    if [SEC_FETCH_MODE, SEC_FETCH_SITE, SEC_FETCH_DEST, SEC_FETCH_USER].iter().all(|name| !headers.contains_key(name)) {
        return true;
    }
    let is_framed = headers.get_all(&SEC_FETCH_DEST).iter().any(|dest| FRAMES.iter().any(|frame| dest == frame));
    let is_cross_site = headers.get_all(&SEC_FETCH_SITE).iter().any(|site| site == "cross-site");
    shows_a_page(headers) && !(is_framed && is_cross_site)
}

/// A form that a page of the same origin submits: for the redirect to the login it counts as a navigation.
pub fn is_form_submission(parts: &Parts) -> bool {
    let is = |name: &HeaderName, word: &str| single(&parts.headers, name).is_ok_and(|v| v.is_some_and(|v| v == word));
    parts.method == Method::POST
        && is(&SEC_FETCH_MODE, "navigate")
        && is(&SEC_FETCH_SITE, "same-origin")
        && parts.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
            let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            FORM_TYPES.iter().any(|form| media_type.eq_ignore_ascii_case(form))
        })
}

/// Whether a browser loads the page ahead of time, before a person asked for it: `Sec-Purpose` (Fetch standard) with
/// `prefetch` or `prerender`, and what older browsers send for it.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    let is_word = |word: &[u8]| {
        let word = word.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
        PREFETCH_WORDS.iter().any(|prefetch| word.eq_ignore_ascii_case(prefetch))
    };
    PREFETCH_HEADERS.iter().any(|name| {
        let mut lines = headers.get_all(name).iter();
        lines.any(|line| line.as_bytes().split(|byte| matches!(byte, b',' | b';')).any(is_word))
    })
}

/// Whether a request is a CORS preflight (Fetch standard, "CORS-preflight request").
pub fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(header::ORIGIN)
        && parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a request with this method that is authorized by a cookie must come from our own pages: all methods but GET,
/// HEAD and OPTIONS, and every upgrade.
pub fn must_be_same_site(method: &Method, headers: &HeaderMap) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) || headers.contains_key(header::UPGRADE)
}

/// Which site's page a request comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SameSite {
    /// A page of ours, a page that the route allows, or no browser.
    Yes,
    /// Another site's.
    Foreign,
}

/// Which site's page a request to `host` comes from. `cors_origins` are the origins whose requests may carry cookies:
/// none if the route's `cors.credentials` is off.
///
/// A listed origin passes with any `Sec-Fetch-Site`, because a browser sends `cross-site` with it. An `http` origin is
/// foreign to an `https` host, because anyone on the network path can forge such a page; an `https` origin is our own
/// also if a proxy in front ended TLS without reporting it.
pub fn same_site(headers: &HeaderMap, host: &HostName, scheme: Scheme, cors_origins: &[String]) -> SameSite {
    let (Ok(site), Ok(origin)) = (single(headers, &SEC_FETCH_SITE), single(headers, &header::ORIGIN)) else {
        return SameSite::Foreign;
    };
    let origin = origin.map(HeaderValue::as_bytes);
    let listed =
        || origin.is_some_and(|origin| cors_origins.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(origin)));
    let passes = match (site.map(HeaderValue::as_bytes), origin) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => true,
        (None, Some(origin)) => is_own(origin, host, scheme) || listed(),
        (Some(_), _) => listed(),
    };
    if passes { SameSite::Yes } else { SameSite::Foreign }
}

/// The only value of a header; `Err` if there are several, which no browser sends.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

fn is_own(origin: &[u8], host: &HostName, scheme: Scheme) -> bool {
    let Some((origin_scheme, authority)) = [(Scheme::Https, &b"https://"[..]), (Scheme::Http, b"http://")]
        .into_iter()
        .find_map(|(scheme, prefix)| Some((scheme, origin.strip_prefix(prefix)?)))
    else {
        return false;
    };
    if origin_scheme == Scheme::Http && scheme == Scheme::Https {
        return false;
    }
    let Ok((name, port)) = split(authority) else { return false };
    let own_port = host.as_str()[host.name().len()..].strip_prefix(':').and_then(|port| port.parse().ok());
    name == host.name() && significant(port) == own_port
}

/// Whether one of the media ranges is `text/html`, with a weight above 0 (RFC 9110 section 12.4.2).
fn accepts_html(value: &HeaderValue) -> bool {
    value.as_bytes().split(|byte| *byte == b',').any(|range| {
        let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        parts.next().is_some_and(|media_type| media_type.eq_ignore_ascii_case(b"text/html"))
            && !parts.any(is_weight_of_zero)
    })
}

/// `q=0`, also with zeros after its dot.
fn is_weight_of_zero(parameter: &[u8]) -> bool {
    let [b'q' | b'Q', b'=', weight @ ..] = parameter else { return false };
    weight.starts_with(b"0") && weight.iter().all(|byte| matches!(byte, b'0' | b'.'))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::hygiene::host::AcceptedHosts;

    fn parts(method: &str, lines: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_navigation_is_a_get_or_head_for_a_page() {
        let (mode, html) = (("sec-fetch-mode", "navigate"), ("accept", "text/html,application/xhtml+xml"));
        for (method, lines, navigation) in [
            ("GET", &[mode][..], true),
            ("HEAD", &[mode], true),
            ("POST", &[mode, html], false),
            ("GET", &[html], true),
            ("GET", &[("accept", "*/*")], false),
            ("GET", &[], false),
            ("GET", &[("sec-fetch-mode", "cors"), html], false),
            ("GET", &[("sec-fetch-site", "same-origin"), html], false),
            ("GET", &[("accept", "application/json"), ("accept", "Text/HTML")], true),
            ("GET", &[("accept", "application/json, text/html ; q=0.1")], true),
            ("GET", &[("accept", "text/html;level=1;q=0.001")], true),
            ("GET", &[("accept", "text/html;q=0, */*")], false),
            ("GET", &[("accept", "text/html+json, text/html5, x/y;z=text/html")], false),
            ("GET", &[("accept", "*/*;q=0.1 , text/html ; charset=utf-8;q=0.001")], true),
            ("GET", &[("accept", "text/html;level=1;q=0, text/html;q=0.5")], true),
            ("GET", &[("accept", "text/html;q=0")], false),
            ("GET", &[("accept", "application/json, text/html; Q=0.000")], false),
            ("GET", &[("accept", "application/x-text/htmlx")], false),
            ("GET", &[("accept", "text/htmlx, xtext/html")], false),
            ("GET", &[("accept", "application/json;profile=text/html")], false),
            ("GET", &[("x-requested-with", "XMLHttpRequest"), html], false),
            ("GET", &[("x-requested-with", ""), html], false),
            ("GET", &[("x-requested-with", "XMLHttpRequest"), mode], true),
        ] {
            assert_eq!(is_navigation(&parts(method, lines)), navigation, "{method} {lines:?}");
        }
        assert!(shows_a_page(&parts("POST", &[html]).headers));
        assert!(!shows_a_page(&parts("POST", &[html, ("x-requested-with", "XMLHttpRequest")]).headers));
    }

    #[test]
    fn a_form_submission_is_a_post_of_a_form_by_a_page_of_the_same_origin() {
        let (mode, site) = (("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin"));
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (method, lines, submits) in [
            ("POST", &[mode, site, form][..], true),
            ("POST", &[mode, site, ("content-type", "Multipart/Form-Data; boundary=x")], true),
            ("POST", &[mode, site, ("content-type", "text/plain")], true),
            ("POST", &[mode, site, ("content-type", "application/json")], false),
            ("POST", &[mode, site], false),
            ("POST", &[mode, form], false),
            ("POST", &[mode, ("sec-fetch-site", "same-site"), form], false),
            ("POST", &[mode, ("sec-fetch-site", "none"), form], false),
            ("POST", &[("sec-fetch-mode", "cors"), site, form], false),
            ("POST", &[site, form, ("accept", "text/html")], false),
            ("PUT", &[mode, site, form], false),
            ("GET", &[mode, site, form], false),
        ] {
            assert_eq!(is_form_submission(&parts(method, lines)), submits, "{method} {lines:?}");
        }
    }

    #[test]
    fn a_login_may_begin_with_what_a_person_can_have_opened() {
        let navigate = ("sec-fetch-mode", "navigate");
        let (cross, same, sibling) =
            (("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-site"));
        for (lines, may) in [
            (&[][..], true),
            (&[("accept", "*/*")], true),
            (&[("accept", "text/html")], true),
            (&[navigate], true),
            (&[navigate, ("sec-fetch-dest", "document"), cross], true),
            (&[navigate, ("sec-fetch-dest", "empty"), same], true),
            (&[navigate, ("sec-fetch-dest", "iframe"), same], true),
            (&[navigate, ("sec-fetch-dest", "iframe"), sibling], true),
            (&[navigate, ("sec-fetch-dest", "iframe"), cross], false),
            (&[navigate, ("sec-fetch-dest", "object"), cross], false),
            (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), cross], false),
            (&[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script"), same], false),
            (&[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), same], false),
            (&[("sec-fetch-mode", "websocket")], false),
            (&[("sec-fetch-dest", "image")], false),
            (&[cross, ("accept", "text/html")], false),
        ] {
            assert_eq!(may_begin_login(&parts("GET", lines).headers), may, "{lines:?}");
        }
    }

    #[test]
    fn a_prefetch_and_a_prerender_are_told_by_any_of_three_headers() {
        for (lines, is) in [
            (&[("sec-purpose", "prefetch")][..], true),
            (&[("sec-purpose", "prefetch;prerender")], true),
            (&[("sec-purpose", "prefetch;anonymous-client-ip")], true),
            (&[("sec-purpose", "Prerender")], true),
            (&[("sec-purpose", "x, prefetch;a=b")], true),
            (&[("sec-purpose", "x"), ("sec-purpose", "prefetch")], true),
            (&[("purpose", "prefetch")], true),
            (&[("x-moz", "prefetch")], true),
            (&[("purpose", "preview")], false),
            (&[("sec-purpose", "prefetched")], false),
            (&[("sec-fetch-mode", "navigate")], false),
        ] {
            assert_eq!(is_prefetch(&parts("GET", lines).headers), is, "{lines:?}");
        }
    }

    #[test]
    fn a_preflight_has_an_origin_and_asks_for_a_method() {
        let (origin, asks) = (("origin", "https://a.example"), ("access-control-request-method", "PUT"));
        assert!(is_preflight(&parts("OPTIONS", &[origin, asks])));
        assert!(!is_preflight(&parts("OPTIONS", &[origin])));
        assert!(!is_preflight(&parts("OPTIONS", &[asks])));
        assert!(!is_preflight(&parts("GET", &[origin, asks])));
    }

    #[test]
    fn all_methods_but_safe_ones_and_every_upgrade_must_be_same_site() {
        let must = |parts: Parts| must_be_same_site(&parts.method, &parts.headers);
        assert!(must(parts("POST", &[])));
        assert!(must(parts("PROPFIND", &[])));
        assert!(must(parts("GET", &[("upgrade", "websocket")])));
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(!must(parts(method, &[])));
        }
    }

    #[test]
    fn only_our_own_and_listed_pages_pass() {
        let hosts = AcceptedHosts::new(&"https://app.example.kr".parse().unwrap(), &[], &["dev.example:8080".into()]);
        let app = hosts.find("app.example.kr", None).unwrap().0;
        let dev = hosts.find("dev.example", Some(8080)).unwrap().0;
        let cors = ["https://partner.example".to_owned()];
        let (https, http) = (Scheme::Https, Scheme::Http);
        for (host, scheme, lines, passes) in [
            (&app, https, &[][..], true),
            (&app, https, &[("sec-fetch-site", "same-origin")], true),
            (&app, https, &[("sec-fetch-site", "none")], true),
            (&app, https, &[("sec-fetch-site", "same-site")], false),
            (&app, https, &[("sec-fetch-site", "cross-site")], false),
            (&app, https, &[("sec-fetch-site", "Same-Origin")], false),
            (&app, https, &[("sec-fetch-site", "")], false),
            (&app, https, &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&app, https, &[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.kr")], false),
            (&app, https, &[("sec-fetch-site", "cross-site"), ("origin", "https://partner.example")], true),
            (&app, https, &[("origin", "https://app.example.kr")], true),
            (&app, https, &[("origin", "https://app.example.kr:443")], true),
            (&app, https, &[("origin", "http://app.example.kr")], false),
            (&app, http, &[("origin", "https://app.example.kr")], true),
            (&app, https, &[("origin", "https://app.example.kr:8443")], false),
            (&app, https, &[("origin", "https://app.example.kr.evil")], false),
            (&app, https, &[("origin", "https://evil@app.example.kr")], false),
            (&app, https, &[("origin", "https://partner.example")], true),
            (&app, https, &[("origin", "http://partner.example")], false),
            (&app, https, &[("origin", "null")], false),
            (&app, https, &[("origin", "")], false),
            (&app, https, &[("origin", "https://app.example.kr"), ("origin", "https://evil")], false),
            (&dev, http, &[("origin", "http://dev.example:8080")], true),
            (&dev, http, &[("origin", "http://dev.example")], false),
        ] {
            let headers = parts("POST", lines).headers;
            assert_eq!(same_site(&headers, host, scheme, &cors) == SameSite::Yes, passes, "{host} {lines:?}");
        }
    }
}
