//! Bodies that another party sent: JSON after byte order marks, and what counts as a page. The media type is never
//! asked: PHP, Flask, Django and Express label everything `text/html` unless told otherwise.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// The UTF-8 byte order mark. PHP sends one for each included file that begins with it.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The body without the byte order marks and the white space that it begins with.
pub fn content(mut body: &[u8]) -> &[u8] {
    loop {
        let trimmed = body.trim_ascii_start();
        match trimmed.strip_prefix(BOM) {
            Some(rest) => body = rest,
            None => return trimmed,
        }
    }
}

/// The body as JSON; byte order marks before it are skipped (RFC 8259 section 8.1 permits that).
pub fn json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(content(body))
}

/// Whether the body is a page: it begins with `<`. Such an answer comes from a proxy on the way or from an error
/// handler, and is never a refusal. An empty body is no page.
pub fn is_page(body: &[u8]) -> bool {
    content(body).first() == Some(&b'<')
}

/// Whether the body is an HTML document. Where an API may answer in XML, which also begins with `<`, only this is a
/// page.
pub fn is_html(body: &[u8]) -> bool {
    let content = content(body);
    let start = content[..content.len().min(14)].to_ascii_lowercase();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html")
}

/// A text, number or boolean as text, so that `1` and `"1"` are equal; `None` for null, arrays and objects.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Zero-width characters, characters that change the direction of text, and line separators: with them two different
/// names look the same.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A text of another party for a log line or a terminal: one line of at most `most` characters, without control and
/// format characters, in which each of `secrets` and everything that looks like a JWT is masked.
pub fn for_log(text: &str, most: usize, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    // Shorter ones occur in ordinary words.
    for secret in secrets.iter().filter(|secret| secret.len() >= 6) {
        text = text.replace(secret, "***");
    }
    let line: String = text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c }).collect();
    let words = line.split_whitespace().map(|word| match word.find("eyJ") {
        Some(at) => format!("{}***", &word[..at]),
        None => word.to_owned(),
    });
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_a_page_only_if_it_begins_with_an_angle_bracket() {
        for page in
            ["<!doctype html>", "<html>", "\u{feff}<p>", " \r\n\t<x/>", "\u{feff}\n\u{feff} <?xml version=\"1.0\"?>"]
        {
            assert!(is_page(page.as_bytes()), "{page:?}");
        }
        for body in ["", "\u{feff}", "  \n", "{\"message\":\"<html>\"}", "Invalid refresh token", "\"<html>\"", "a<b"] {
            assert!(!is_page(body.as_bytes()), "{body:?}");
        }
        assert!(!is_page(b"\xef\xbb"), "half a byte order mark");
    }

    #[test]
    fn json_is_read_after_byte_order_marks_and_white_space() {
        for body in ["{\"a\":1}", "\u{feff}{\"a\":1}", "\u{feff}\u{feff}{\"a\":1}", "\r\n\u{feff} {\"a\":1}\n"] {
            assert_eq!(json::<Value>(body.as_bytes()).unwrap(), json!({"a": 1}), "{body:?}");
        }
        for body in ["", "\u{feff}", "{", "<html>", "{\"a\":1}\u{feff}"] {
            assert!(json::<Value>(body.as_bytes()).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_text_for_the_log_is_one_short_line_without_secrets() {
        for (text, expected) in [
            ("AADSTS50076: use MFA.\r\nTrace ID: 1", "AADSTS50076: use MFA. Trace ID: 1"),
            ("\u{1b}[31mred\u{202e}", "[31mred"),
            ("code s3cret-code is used", "code *** is used"),
            ("token=eyJhbGciOiJub25lIn0.e30.x was", "token=*** was"),
            ("", ""),
        ] {
            assert_eq!(for_log(text, 100, &["s3cret-code", "a"]), expected, "{text:?}");
        }
        assert_eq!(for_log("가나다라", 2, &[]), "가나…");
    }
}
