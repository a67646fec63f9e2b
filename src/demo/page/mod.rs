//! The demo's page: an app behind the gateway, without inline scripts and without code that handles tokens.

use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use super::{
    backend::{EMAIL, PASSWORD},
    reply::{self, prefers_korean},
    server::Reply,
};

const HTML: &str = include_str!("index.html");
const CSS: &str = include_str!("demo.css");
const JS: &str = include_str!("demo.js");
const ICON: &str = include_str!("icon.svg");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page and its files; 404 for anything else.
pub(super) fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Reply {
    let (content_type, text) = match path {
        "/" => ("text/html; charset=utf-8", page(headers)),
        "/demo.css" => ("text/css; charset=utf-8", CSS.to_owned()),
        "/demo.js" => ("text/javascript; charset=utf-8", JS.to_owned()),
        "/icon.svg" | "/favicon.ico" => ("image/svg+xml", ICON.to_owned()),
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

/// The page in the visitor's language; its buttons can change the language.
fn page(headers: &HeaderMap) -> String {
    let language = if prefers_korean(headers) { "ko" } else { "en" };
    HTML.replace("{{language}}", language).replace("{{email}}", EMAIL).replace("{{password}}", PASSWORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hangul(text: &str) -> bool {
        text.chars().any(|c| ('가'..='힣').contains(&c))
    }

    /// `(key, korean, english)` of the script's table: one text per line.
    fn texts() -> Vec<(&'static str, String, String)> {
        let table = JS.split_once("const TEXTS = {").unwrap().1.split_once("\n};").unwrap().0;
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
        let texts = texts();
        assert!(texts.len() > 20);
        for (key, korean, english) in &texts {
            assert!(hangul(korean), "{key} has no Korean");
            assert!(!hangul(english) && !english.is_empty(), "{key} has no English");
            let gaps = |text: &str| text.matches('{').count();
            assert_eq!(gaps(korean), gaps(english), "{key} says different things");
        }
        let outside = JS.replace(JS.split_once("const TEXTS = {").unwrap().1.split_once("\n};").unwrap().0, "");
        assert!(!hangul(&outside), "a Korean text stands outside the table");
        assert!(!hangul(&HTML.replace(">한국어<", "")), "a Korean text stands in the HTML");
    }

    #[test]
    fn the_table_has_every_text_that_the_page_names_and_no_other() {
        let texts = texts();
        let named: Vec<_> = HTML.split("data-text=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        for name in &named {
            assert!(texts.iter().any(|(key, ..)| key == name), "{name} is not in the table");
        }
        for element in HTML.split("data-text=\"").skip(1) {
            let (key, rest) = element.split_once('"').unwrap();
            let shown = rest.split_once('>').unwrap().1.split('<').next().unwrap();
            assert!(
                texts.iter().any(|(k, _, english)| *k == key && english == shown),
                "{key} is another text in the HTML"
            );
        }
        for (key, ..) in &texts {
            let in_script = JS.matches(&format!("\"{key}\"")).count() > 0
                || ["event_", "reason_", "auth_", "token_"].iter().any(|dynamic| key.starts_with(dynamic));
            assert!(named.contains(key) || in_script, "{key} is never shown");
        }
    }

    #[test]
    fn the_page_has_no_inline_script_or_style_and_no_token_code() {
        for script in HTML.split("<script").skip(1) {
            let (attributes, rest) = script.split_once('>').unwrap();
            assert!(attributes.contains("src=\"/") && rest.starts_with("</script>"));
        }
        assert!(!HTML.contains("<style") && !HTML.contains("style=\"") && !HTML.contains("javascript:"));
        assert!(
            !HTML.contains(" on")
                || !HTML.split(" on").skip(1).any(|rest| rest
                    .split('=')
                    .next()
                    .unwrap()
                    .chars()
                    .all(char::is_alphabetic))
        );
        for word in
            ["Authorization", "access_token", "accessToken\"", "document.cookie", "localStorage.token", "innerHTML"]
        {
            assert!(!JS.contains(word), "{word} in the script");
        }
    }

    #[test]
    fn the_page_comes_in_the_visitors_language() {
        let mut headers = HeaderMap::new();
        assert!(page(&headers).contains("<html lang=\"en\""));
        headers.insert(header::ACCEPT_LANGUAGE, "ko-KR,ko;q=0.9,en;q=0.8".parse().unwrap());
        assert!(page(&headers).contains("<html lang=\"ko\""));
        assert!(page(&headers).contains(EMAIL) && !page(&headers).contains("{{"));
        assert_eq!(answer(&Method::POST, "/", &headers).status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer(&Method::GET, "/etc/passwd", &headers).status(), StatusCode::NOT_FOUND);
    }
}
