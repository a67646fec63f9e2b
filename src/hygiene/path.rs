//! The one canonical path: the bytes that are checked, matched, logged and forwarded.

use std::borrow::Cow;

/// Converts the path of a target (without its query) into the one form that rules and upstream see. The error is the
/// reason why it has no such form.
///
/// - The path begins with exactly one `/`. Empty segments further on (`/a//b`) are kept and matched literally.
/// - Allowed bytes are `pchar` (RFC 3986 section 3.3), `/`, and `[` and `]`, which browsers send unescaped. Others are
///   refused, among them `\` and bytes from 0x80 on.
/// - An escaped unreserved character is decoded (`%41dmin` becomes `Admin`); all other escapes stay, with upper-case
///   hex digits. The escaped bytes must be UTF-8.
/// - Refused are an incomplete escape, an escaped `/`, `\`, `.` or control character, and one of these escaped twice
///   (`%252f`), or a `%` escaped twice (`%2525`).
/// - Dot segments are removed (RFC 3986 section 5.2.4). They are refused where servers differ about the result: above
///   the root, in a path that also has `;` (servlet containers drop what follows it) or an empty segment (others merge
///   slashes).
pub fn canonical(path: &str) -> Result<Cow<'_, str>, &'static str> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err("the target does not start with a slash");
    }
    if bytes.get(1) == Some(&b'/') {
        return Err("the path starts with two slashes");
    }
    let mut escaped = false;
    let mut dotted = false;
    let mut previous = b'/';
    for &byte in bytes {
        match byte {
            b'%' => escaped = true,
            b'.' => dotted |= previous == b'/',
            _ if !is_path_byte(byte) => return Err("the path has a byte that must be escaped"),
            _ => {}
        }
        previous = byte;
    }
    let path = if escaped { escapes(path)? } else { Cow::Borrowed(path) };
    if dotted { without_dot_segments(path) } else { Ok(path) }
}

/// `pchar` and `/` of RFC 3986 without `%`, and the two brackets.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-'..=b'/' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@' | b'[' | b']')
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

/// Checks all escapes and converts them into their canonical form.
fn escapes(path: &str) -> Result<Cow<'_, str>, &'static str> {
    let mut high = false;
    let mut clean = true;
    let mut rest = path.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (value, upper) = escape(&rest[at..])?;
        match value {
            b'/' | b'\\' | b'.' => return Err("an escaped slash, backslash or dot"),
            0..=0x1f | 0x7f => return Err("an escaped control character"),
            _ => {}
        }
        high |= value >= 0x80;
        clean &= upper && !is_unreserved(value);
        rest = &rest[at + 3..];
    }
    if high && percent_encoding::percent_decode_str(path).decode_utf8().is_err() {
        return Err("the escapes of the path are not UTF-8");
    }
    let path = if clean { Cow::Borrowed(path) } else { Cow::Owned(rewritten(path)) };
    if has_nested_escape(&path) {
        return Err("an escape within an escape");
    }
    Ok(path)
}

/// The byte that an escape stands for, and whether its hex digits are upper-case; `text` starts with `%`.
fn escape(text: &[u8]) -> Result<(u8, bool), &'static str> {
    let (Some(&high), Some(&low)) = (text.get(1), text.get(2)) else { return Err("a broken escape") };
    let (Some(h), Some(l)) = (digit(high), digit(low)) else { return Err("a broken escape") };
    Ok((h << 4 | l, !high.is_ascii_lowercase() && !low.is_ascii_lowercase()))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Decodes unreserved characters and writes hex digits in upper case; all escapes are complete.
fn rewritten(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        match escape(&rest.as_bytes()[at..]) {
            Ok((value, _)) if is_unreserved(value) => out.push(char::from(value)),
            _ => out.extend(rest[at..at + 3].chars().map(|c| c.to_ascii_uppercase())),
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    out
}

/// Whether a `%25` begins an escape of a character that must not be escaped. `path` is canonical: `%25%32f` is `%252f`.
fn has_nested_escape(path: &str) -> bool {
    path.match_indices("%25").any(|(at, _)| {
        let bytes = path.as_bytes();
        match (bytes.get(at + 3).copied().and_then(digit), bytes.get(at + 4).copied().and_then(digit)) {
            (Some(high), Some(low)) => matches!(high << 4 | low, b'/' | b'\\' | b'.' | b'%' | 0..=0x1f | 0x7f),
            _ => false,
        }
    })
}

fn without_dot_segments(path: Cow<'_, str>) -> Result<Cow<'_, str>, &'static str> {
    let mut found = false;
    for segment in path.split('/') {
        let dots = if segment.starts_with("..") { 2 } else { usize::from(segment.starts_with('.')) };
        if dots == 0 {
            continue;
        }
        let after = &segment[dots..];
        if after.starts_with(';') || after.starts_with("%3B") {
            return Err("a parameter on a dot segment");
        }
        found |= after.is_empty();
    }
    if !found {
        return Ok(path);
    }
    if path.contains(';') || path.contains("%3B") || path.contains("//") {
        return Err("dot segments beside parameters or empty segments");
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut last_was_dots = false;
    for segment in path.split('/').skip(1) {
        last_was_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop().ok_or("the path leaves the root")?;
            }
            _ => kept.push(segment),
        }
    }
    if last_was_dots {
        kept.push("");
    }
    let mut out = String::with_capacity(path.len());
    for segment in kept {
        out.push('/');
        out.push_str(segment);
    }
    if out.is_empty() {
        out.push('/');
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_canonical_path_is_returned_without_a_copy() {
        for path in [
            "/",
            "/a",
            "/a/",
            "/a//b",
            "/a//",
            "/.well-known/x",
            "/a.b/..c/...",
            "/a;v=1/b",
            "/%EC%8B%9D",
            "/100%25",
            "/a%20b",
            "/_next/[slug]/p.js",
            "/a:b@c!$&'()*+,=~",
            "/%3A%3B",
        ] {
            assert!(matches!(canonical(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn different_spellings_get_one_form() {
        for (path, form) in [
            ("/%41dmin", "/Admin"),
            ("/%61%64min", "/admin"),
            ("/%ec%8b%9d", "/%EC%8B%9D"),
            ("/a%3ab", "/a%3Ab"),
            ("/%7euser", "/~user"),
            ("/public/../admin/x", "/admin/x"),
            ("/public/./../admin", "/admin"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/.", "/"),
            ("/a/../b/", "/b/"),
        ] {
            assert_eq!(canonical(path).as_deref(), Ok(form), "{path}");
        }
    }

    #[test]
    fn ambiguous_paths_are_refused() {
        for path in [
            "",
            "a",
            "*",
            "//",
            "//x",
            "//auth/login",
            "/..",
            "/../x",
            "/a/../../b",
            "/public/..;/admin",
            "/public/.;/admin",
            "/public/..%3b/admin",
            "/public/;/../admin",
            "/public/x;y/../admin",
            "/public/%2e%2e;/admin",
            "/a//../b",
            "/public/%2e%2e/admin",
            "/public%2fadmin",
            "/public%2Fadmin",
            "/public%5cadmin",
            "/public\\admin",
            "/public/%252e%252e/admin",
            "/public%252fadmin",
            "/public%255cadmin",
            "/a%2500",
            "/a%00",
            "/a%0d%0aX",
            "/a%7f",
            "/%25252f",
            "/%25%32%66",
            "/%2525",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%%41",
            "/a b",
            "/a\"",
            "/a{b}",
            "/a|b",
            "/a^b",
            "/a`b",
            "/<a>",
            "/a\u{7f}",
            "/식방",
            "/%c0%af",
            "/%ff",
            "/%ec%8b",
        ] {
            assert!(canonical(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_form(path in "(/([a-c.%;A]|%2[0-9a-f]|%[46][1-5]|\\.\\.){0,4}){1,5}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!(!once.split('/').any(|segment| matches!(segment, "." | "..")));
            }
        }
    }
}
