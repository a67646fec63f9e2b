//! The pages of `demo` (an app behind the gateway) and of `dev` (the session panel), without inline scripts and without
//! code that handles tokens.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::{
    backend::{EMAIL, PASSWORD},
    reply::{self, escape, prefers_korean},
    server::Reply,
};

const HTML: &str = include_str!("index.html");
const CSS: &str = include_str!("demo.css");
const JS: &str = include_str!("demo.js");
const ADMIN: &str = include_str!("admin.html");
const PANEL_HTML: &str = include_str!("panel.html");
const PANEL_JS: &str = include_str!("panel.js");
const ICON: &str = include_str!("icon.svg");

/// Where the panel is, behind the gateway of `vestibule dev`.
pub const PANEL_PATH: &str = "/auth/dev";

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page that the backend has beside its API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// The demo's: an app.
    Demo,
    /// The session panel of `vestibule dev`, at [`PANEL_PATH`].
    Panel,
}

/// The page and its files; 404 for anything else.
pub(super) fn answer(kind: PageKind, method: &Method, path: &str, headers: &HeaderMap) -> Reply {
    let html = "text/html; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    let (content_type, text) = match (path, kind) {
        ("/", PageKind::Demo) => (html, page(HTML, headers)),
        ("/admin", PageKind::Demo) => (html, page(ADMIN, headers)),
        ("/", PageKind::Panel) => (html, page(PANEL_HTML, headers)),
        ("/demo.js", PageKind::Demo) => (script, JS.to_owned()),
        ("/panel.js", PageKind::Panel) => (script, PANEL_JS.to_owned()),
        ("/demo.css", _) => ("text/css; charset=utf-8", CSS.to_owned()),
        ("/icon.svg" | "/favicon.ico", _) => ("image/svg+xml", ICON.to_owned()),
        _ => return reply::not_found(),
    };
    if method != Method::GET && method != Method::HEAD {
        return reply::wrong_method();
    }
    // `no-cache`: a newer version of the demo may be started at the same address.
    let reply = reply::with(reply::reply(StatusCode::OK, content_type, text), header::CACHE_CONTROL, "no-cache");
    let reply = reply::with(reply, header::CONTENT_SECURITY_POLICY, POLICY);
    let reply = reply::with(reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply::with(reply, HeaderName::from_static("referrer-policy"), "same-origin")
}

/// The page that `vestibule dev` shows while nothing answers at `app`. It loads itself again each second, without a
/// script.
pub(super) fn waiting(headers: &HeaderMap, app: &str) -> Reply {
    let korean = prefers_korean(headers);
    let (language, title, text) = if korean {
        ("ko", "앱을 기다리는 중", "에서 아직 아무도 답하지 않습니다. 앱을 시작하면 이 페이지가 저절로 열립니다.")
    } else {
        ("en", "Waiting for your app", " does not answer yet. Start it: this page loads itself again until it does.")
    };
    let panel = if korean { "세션 패널과 인증번호" } else { "Session panel and codes" };
    let body = format!(
        r#"<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="1"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="stylesheet" href="{PANEL_PATH}/demo.css"></head>
<body><main><section class="intro"><h1>{title}…</h1><p><code>{}</code>{text}</p>
<p><a href="{PANEL_PATH}">{panel}</a></p></section></main></body></html>"#,
        escape(app)
    );
    let reply = reply::html(StatusCode::SERVICE_UNAVAILABLE, body);
    reply::with(reply, header::RETRY_AFTER, "1")
}

/// The page in the visitor's language.
fn page(html: &str, headers: &HeaderMap) -> String {
    let language = if prefers_korean(headers) { "ko" } else { "en" };
    html.replace("{{language}}", language).replace("{{email}}", EMAIL).replace("{{password}}", PASSWORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hangul(text: &str) -> bool {
        text.chars().any(|c| ('가'..='힣').contains(&c))
    }

    const PAGES: [(&str, &str); 2] = [(HTML, JS), (PANEL_HTML, PANEL_JS)];

    /// `(key, korean, english)` of the script's table: one text per line.
    fn texts(script: &'static str) -> Vec<(&'static str, String, String)> {
        let table = script.split_once("const TEXTS = {").unwrap().1.split_once("\n};").unwrap().0;
        let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let (key, pair) = line.split_once(": ").unwrap();
                let pair: Vec<String> = serde_json::from_str(pair.trim_end_matches(',')).unwrap();
                let [korean, english] = pair.try_into().unwrap();
                (key, korean, english)
            })
            .collect()
    }

    #[test]
    fn every_text_exists_in_korean_and_english() {
        for (html, script) in PAGES {
            let texts = texts(script);
            assert!(texts.len() > 20);
            for (key, korean, english) in &texts {
                assert!(hangul(korean) || korean == english, "{key} has no Korean");
                assert!(!hangul(english) && !english.is_empty(), "{key} has no English");
                let gaps = |text: &str| text.matches('{').count();
                assert_eq!(gaps(korean), gaps(english), "{key} says different things");
            }
            let table = script.split_once("const TEXTS = {").unwrap().1.split_once("\n};").unwrap().0;
            assert!(!hangul(&script.replace(table, "")), "a Korean text stands outside the table");
            assert!(!hangul(&html.replace(">한국어<", "")), "a Korean text stands in the HTML");
        }
    }

    #[test]
    fn the_table_has_every_text_that_the_page_names_and_no_other() {
        for (html, script) in PAGES {
            let texts = texts(script);
            let named: Vec<_> =
                html.split("data-text=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
            for element in html.split("data-text=\"").skip(1) {
                let (key, rest) = element.split_once('"').unwrap();
                let shown = rest.split_once('>').unwrap().1.split('<').next().unwrap();
                assert!(
                    texts.iter().any(|(k, _, english)| *k == key && english == shown),
                    "{key} is another text in the HTML, or not in the table"
                );
            }
            for (key, ..) in &texts {
                let in_script = script.matches(&format!("\"{key}\"")).count() > 0
                    || ["event_", "reason_", "auth_", "token_"].iter().any(|dynamic| key.starts_with(dynamic));
                assert!(named.contains(key) || in_script, "{key} is never shown");
            }
        }
    }

    #[test]
    fn the_page_has_no_inline_script_or_style_and_no_token_code() {
        for (html, script) in PAGES {
            for element in html.split("<script").skip(1) {
                let (attributes, rest) = element.split_once('>').unwrap();
                assert!(attributes.contains("src=\"/") && rest.starts_with("</script>"));
            }
            assert!(!html.contains("<style") && !html.contains("style=\"") && !html.contains("javascript:"));
            let handler = |rest: &str| rest.split('=').next().unwrap().chars().all(char::is_alphabetic);
            assert!(!html.split(" on").skip(1).any(handler));
            for word in [
                "access_token",
                "accessToken\"",
                "document.cookie",
                "localStorage.token",
                "innerHTML",
                "getItem(\"token",
            ] {
                assert!(!script.contains(word), "{word} in the script");
            }
        }
        assert!(!JS.contains("Authorization"));
    }

    #[test]
    fn the_page_comes_in_the_visitors_language() {
        let mut headers = HeaderMap::new();
        assert!(page(HTML, &headers).contains("<html lang=\"en\""));
        headers.insert(header::ACCEPT_LANGUAGE, "ko-KR,ko;q=0.9,en;q=0.8".parse().unwrap());
        assert!(page(HTML, &headers).contains("<html lang=\"ko\""));
        assert!(page(HTML, &headers).contains(EMAIL) && !page(PANEL_HTML, &headers).contains("{{"));
        assert_eq!(answer(PageKind::Demo, &Method::POST, "/", &headers).status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer(PageKind::Demo, &Method::GET, "/etc/passwd", &headers).status(), StatusCode::NOT_FOUND);
    }
}
