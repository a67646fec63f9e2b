//! Escapes text for log lines: JSON strings, and text without line breaks.

use std::io::Write as _;

/// Appends `text` as a JSON string (RFC 8259 section 7). Control characters are escaped too where JSON does not require
/// it, because a terminal or a line reader could act on them.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Most texts have no special characters; checking bytes is faster than checking characters.
    let is_plain = text.bytes().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\'));
    let mut rest = text;
    while !is_plain
        && let Some((at, special)) = rest.char_indices().find(|(_, c)| matches!(c, '"' | '\\') || is_control(*c))
    {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        match special {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ => escape(out, special),
        }
        rest = &rest[at + special.len_utf8()..];
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

/// Appends `text` with control characters escaped as in JSON. In a JSON text, whose strings have no raw control
/// characters below U+0020, this does not change any value.
pub(super) fn one_line(out: &mut Vec<u8>, text: &str) {
    for c in text.chars() {
        match c {
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            c if is_control(c) => escape(out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

fn escape(out: &mut Vec<u8>, c: char) {
    // All characters of `is_control` are in the Basic Multilingual Plane and need one `\u` escape.
    write!(out, "\\u{:04x}", u32::from(c)).expect("writing into memory does not fail");
}

/// C0, DEL and C1 control characters, the line and paragraph separators, and the marks that change the direction of
/// text.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_parsed_back_unchanged_and_has_no_control_character() {
        let text = "a\"b\\c\r\nd\u{0}\u{1b}[31m\u{7f}\u{85}\u{2028}식방\u{202e}";
        let mut out = Vec::new();
        string(&mut out, text);
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains(is_control));
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
    }
}
