//! Bodies that another party sent: JSON after byte order marks, and what counts as a page. The media type is never
//! asked: PHP, Flask, Django and Express label everything `text/html` unless told otherwise.

use std::borrow::Cow;

use serde_json::{Number, Value};

/// The members of an object, and values that cannot be held.
mod json;

pub use json::{json, json_text, members};

/// The UTF-8 byte order mark. PHP sends one for each included file that begins with it.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The body without the byte order marks and the white space that it begins with. A body in UTF-16 that says so by its
/// byte order mark becomes UTF-8: some error pages of Windows servers are.
pub fn content(body: &[u8]) -> Cow<'_, [u8]> {
    match body {
        [0xff, 0xfe, text @ ..] => Cow::Owned(from_utf16(text, u16::from_le_bytes)),
        [0xfe, 0xff, text @ ..] => Cow::Owned(from_utf16(text, u16::from_be_bytes)),
        body => Cow::Borrowed(without_mark(body)),
    }
}

fn from_utf16(text: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, _) = text.as_chunks::<2>();
    let text = String::from_utf16_lossy(&pairs.iter().copied().map(unit).collect::<Vec<_>>());
    without_mark(text.as_bytes()).to_vec()
}

fn without_mark(mut body: &[u8]) -> &[u8] {
    loop {
        let trimmed = body.trim_ascii_start();
        match trimmed.strip_prefix(BOM) {
            Some(rest) => body = rest,
            None => return trimmed,
        }
    }
}

/// Whether the body is a page: it begins with `<`. Such an answer comes from a proxy on the way or from an error
/// handler, and is never a refusal. An empty body is no page.
pub fn is_page(body: &[u8]) -> bool {
    let content = content(body);
    // White space beyond ASCII, like a no-break space, takes two octets or more.
    let start = String::from_utf8_lossy(&content[..content.len().min(256)]);
    start.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').starts_with('<')
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
        Value::Number(number) => Some(number_text(number)),
        Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A number as text: `1001.0` and `1e3` as whole numbers, which they are in JSON.
pub fn number_text(number: &Number) -> String {
    /// From here on not every whole number can be held.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64().filter(|value| number.is_f64() && value.fract() == 0.0 && value.abs() < EXACT) {
        // The sum of -0 and 0 is 0.
        Some(whole) => format!("{:.0}", whole + 0.0),
        None => number.to_string(),
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
        for page in [
            "<!doctype html>",
            "<html>",
            "\u{feff}<p>",
            "\u{a0}\u{3000}<p>",
            " \r\n\t<x/>",
            "\u{feff}\n\u{feff} <?xml version=\"1.0\"?>",
        ] {
            assert!(is_page(page.as_bytes()), "{page:?}");
        }
        for body in ["", "\u{feff}", "  \n", "{\"message\":\"<html>\"}", "Invalid refresh token", "\"<html>\"", "a<b"] {
            assert!(!is_page(body.as_bytes()), "{body:?}");
        }
        assert!(!is_page(b"\xef\xbb"), "half a byte order mark");
    }

    fn utf16(text: &str) -> [Vec<u8>; 2] {
        let units = || format!("\u{feff}{text}").encode_utf16().collect::<Vec<_>>();
        [
            units().into_iter().flat_map(u16::to_le_bytes).collect(),
            units().into_iter().flat_map(u16::to_be_bytes).collect(),
        ]
    }

    #[test]
    fn a_body_in_utf_16_is_read_as_one_in_utf_8() {
        for body in utf16(" \r\n<!DOCTYPE html><p>만료") {
            assert!(is_page(&body) && is_html(&body), "{body:?}");
            assert!(is_page(&body[..body.len() - 1]), "cut in the middle of a character");
        }
        for body in utf16("{\"message\":\"<p>만료\"}") {
            assert!(!is_page(&body));
            assert_eq!(json::<Value>(&body).unwrap(), json!({"message": "<p>만료"}));
        }
        for body in [&b"\xff\xfe"[..], b"\xfe\xff", b"\xff\xfe<", b"\xff", b"\xfe\xff<\0"] {
            assert!(!is_page(body), "{body:?}");
        }
    }

    #[test]
    fn a_number_as_text_is_whole_if_it_is_a_whole_number() {
        for (json, text) in [
            ("1001", "1001"),
            ("1001.0", "1001"),
            ("1.001e3", "1001"),
            ("-0.0", "0"),
            ("0", "0"),
            ("1.5", "1.5"),
            ("-7", "-7"),
            ("18446744073709551615", "18446744073709551615"),
            ("1e300", "1e+300"),
            ("true", "true"),
            ("\"1001.0\"", "1001.0"),
        ] {
            assert_eq!(scalar_text(&serde_json::from_str(json).unwrap()).as_deref(), Some(text), "{json}");
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
