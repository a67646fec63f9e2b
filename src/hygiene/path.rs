//! The one canonical path: the bytes that are checked, matched, logged and forwarded.

use std::borrow::Cow;

/// What becomes of `%2F` in a path (`encoded_slash` of a route).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum EncodedSlash {
    /// Such a path is refused: some backends read `%2F` as `/`, others do not.
    #[default]
    Refuse,
    /// It is a part of its segment, and the upstream gets it as `%2F`.
    Keep,
}

/// Converts the path of a target (without its query) into the one form that rules and upstream see. The error is the
/// reason why it has no such form.
///
/// - The path begins with exactly one `/`. Empty segments further on (`/a//b`) are kept and matched literally.
/// - Allowed bytes are `pchar` (RFC 3986 section 3.3), `/`, and what browsers send unescaped (WHATWG URL, path
///   percent-encode set): `[` and `]`, which stay, and `|` and `^`, which become `%7C` and `%5E`. Others are refused,
///   among them `\` and bytes from 0x80 on: browsers escape them.
/// - An escaped unreserved character is decoded (`%41dmin` becomes `Admin`); all other escapes stay, with upper-case
///   hex digits. The escaped bytes must be UTF-8.
/// - Refused are an incomplete escape, an escaped `\`, `.` or control character, an escaped `/` (unless `slash` keeps
///   it), and one of these escaped twice (`%252f`), or a `%` escaped twice (`%2525`).
/// - Dot segments are removed (RFC 3986 section 5.2.4). They are refused where servers differ about the result: above
///   the root, in a path that also has `;` (servlet containers drop what follows it), an empty segment (others merge
///   slashes) or an escaped slash.
/// - The pieces between the escaped slashes of a segment must not be empty, `.` or `..`, and the segment must not have
///   `;`.
pub fn canonical(path: &str, slash: EncodedSlash) -> Result<Cow<'_, str>, &'static str> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err("the target does not start with a slash");
    }
    if bytes.get(1) == Some(&b'/') {
        return Err("the path starts with two slashes");
    }
    let mut escaped = false;
    let mut to_escape = false;
    let mut dotted = false;
    let mut previous = b'/';
    for &byte in bytes {
        match byte {
            b'%' => escaped = true,
            b'.' => dotted |= previous == b'/',
            b'|' | b'^' => to_escape = true,
            _ if !is_path_byte(byte) => return Err("the path has a byte that must be escaped"),
            _ => {}
        }
        previous = byte;
    }
    let path = if escaped { escapes(path, slash)? } else { Cow::Borrowed(path) };
    let path = if to_escape { Cow::Owned(path.replace('|', "%7C").replace('^', "%5E")) } else { path };
    if dotted { without_dot_segments(path) } else { Ok(path) }
}

/// Whether a canonical path has an escaped slash.
pub fn has_encoded_slash(path: &str) -> bool {
    memchr::memchr(b'%', path.as_bytes()).is_some_and(|at| path[at..].contains(ENCODED_SLASH))
}

/// An escaped slash in a canonical path.
const ENCODED_SLASH: &str = "%2F";

/// `pchar` and `/` of RFC 3986 without `%`, and the two brackets.
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-'..=b'/' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@' | b'[' | b']')
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~')
}

/// Checks all escapes and converts them into their canonical form.
fn escapes(path: &str, slash: EncodedSlash) -> Result<Cow<'_, str>, &'static str> {
    let mut high = false;
    let mut has_slash = false;
    let mut clean = true;
    let mut rest = path.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (value, upper) = escape(&rest[at..])?;
        match value {
            b'/' if slash == EncodedSlash::Keep => has_slash = true,
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
    if has_slash {
        check_pieces(&path)?;
    }
    Ok(path)
}

/// Checks the segments with an escaped slash: a backend that decodes them before it splits the path must find neither
/// an empty nor a dot segment, and a `;` would be of a piece or of the whole segment.
fn check_pieces(path: &str) -> Result<(), &'static str> {
    for segment in path.split('/').filter(|segment| segment.contains(ENCODED_SLASH)) {
        if segment.contains(';') || segment.contains("%3B") {
            return Err("an escaped slash beside parameters");
        }
        if segment.split(ENCODED_SLASH).any(|piece| matches!(piece, "" | "." | "..")) {
            return Err("an empty or dot segment between escaped slashes");
        }
    }
    Ok(())
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
    if path.contains(';') || path.contains("%3B") || path.contains("//") || path.contains(ENCODED_SLASH) {
        return Err("dot segments beside parameters, empty segments or escaped slashes");
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

    fn canonical(path: &str) -> Result<Cow<'_, str>, &'static str> {
        super::canonical(path, EncodedSlash::Refuse)
    }

    fn keeping(path: &str) -> Result<Cow<'_, str>, &'static str> {
        super::canonical(path, EncodedSlash::Keep)
    }

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
            ("/a|b", "/a%7Cb"),
            ("/a%7cb", "/a%7Cb"),
            ("/a^b|^", "/a%5Eb%7C%5E"),
            ("/a%5eb", "/a%5Eb"),
            ("/x/../a|%41^", "/a%7CA%5E"),
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

    #[test]
    fn an_escaped_slash_is_kept_as_a_part_of_its_segment() {
        for (path, form) in [
            ("/a%2Fb", "/a%2Fb"),
            ("/@scope%2fpkg", "/@scope%2Fpkg"),
            ("/p/group%2fsub%2fproject/x", "/p/group%2Fsub%2Fproject/x"),
            ("/a%2f..b", "/a%2F..b"),
            ("/a%2f%41|/;x", "/a%2FA%7C/;x"),
            ("/a//b%2Fc", "/a//b%2Fc"),
        ] {
            assert_eq!(keeping(path).as_deref(), Ok(form), "{path}");
            assert!(has_encoded_slash(form) && canonical(path).is_err(), "{path}");
        }
        for path in ["/a", "/a%20b", "/%2", "/a%252"] {
            assert!(!has_encoded_slash(path), "{path}");
        }
    }

    #[test]
    fn an_escaped_slash_that_backends_could_read_as_an_empty_or_dot_segment_is_refused() {
        for path in [
            "/%2F",
            "/%2fa",
            "/a%2f",
            "/a%2f/b",
            "/a/%2f/b",
            "/a%2f%2fb",
            "/a%2f.",
            "/a%2f..",
            "/.%2fa",
            "/..%2fa",
            "/a%2f..%2fb",
            "/a%2f./b",
            "/a%2f%2e%2e",
            "/a%2fb;x",
            "/a;x%2fb",
            "/a%2fb%3bx",
            "/a%2fb/../c",
            "/a/./b%2fc",
            "/a%252fb",
            "/a%2fb%5cc",
            "/a%2fb%00",
        ] {
            assert!(keeping(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_path_with_escaped_slashes_has_the_same_segments_for_every_backend(
            path in "(/([a-c.;^|A]|%2[fFeE]|%41|%3[bB]|\\.\\.){0,5}){1,4}",
        ) {
            if let Ok(once) = keeping(&path) {
                let twice = keeping(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                let decoded = percent_encoding::percent_decode_str(&once).decode_utf8().unwrap();
                for segment in decoded.split('/') {
                    let name = segment.split(';').next().unwrap();
                    prop_assert!(!matches!(name, "." | ".."), "{once}");
                }
                prop_assert!(!decoded.starts_with("//"), "{once}");
            }
        }

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
