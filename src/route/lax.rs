//! The lax reading of a path: as the most lenient backend would understand it. Pure functions.
//!
//! A rule that protects `/admin` has to hold for every spelling that some backend takes for `/admin` (product.md,
//! "The life of a request", step 3). The lenient backends:
//! - Case: IIS, Windows and macOS file systems, Express, ASP.NET. Unicode counts too: `ſ` and the Kelvin sign are S and
//!   K in other cases, and Windows replaces full-width letters when it converts a path ("best fit").
//! - Dots and blanks at the end of a segment: Windows file systems; blanks at its beginning: Spring until 4.3.
//! - Characters that are not seen: HFS+ ignores zero-width ones.
//! - Final and doubled slashes: Express, Django, Rails, nginx, most file systems.
//! - `;parameters`: servlet containers. Whether they decode before or after is theirs, so `%3B` counts.
//! - `%2F` as `/`, and a path that is decoded twice: two servers behind each other.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization as _;

/// Whether the lax reading of a canonical path is the path itself, without its first slash. It answers no for some
/// paths of which that is true, and never yes for one of which it is not.
pub(super) fn is_own_reading(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut previous = b'/';
    for &byte in &bytes[usize::from(bytes.first() == Some(&b'/'))..] {
        match byte {
            b'/' if matches!(previous, b'/' | b'.') => return false,
            b'a'..=b'z' | b'0'..=b':' | b'!' | b'$' | b'&'..=b'/' | b'=' | b'@' | b'[' | b']' | b'_' | b'~' => {}
            _ => return false,
        }
        previous = byte;
    }
    bytes.len() < 2 || !matches!(previous, b'/' | b'.')
}

/// The lax readings of a path: its segments joined by slashes, without a slash at either end; empty for the root.
///
/// There are two where a segment is `..` once its blanks are dropped (`/public/..%20/admin`): whether that is a step up
/// differs even among lenient backends. All other paths have one.
pub(super) fn readings(path: &str) -> impl Iterator<Item = String> {
    let text = folded(path);
    let climbs = parts(&text).any(|part| part == "..");
    let up = climbs.then(|| {
        let mut kept = Vec::new();
        for part in parts(&text) {
            match part {
                ".." => drop(kept.pop()),
                _ => kept.extend(name(part)),
            }
        }
        kept.join("/")
    });
    let plain = segments_of(&text).collect::<Vec<_>>().join("/");
    std::iter::once(plain).chain(up)
}

/// Whether `test` is true for a lax reading of a path. A path that is its own reading is not copied.
pub(super) fn any_reading(path: &str, mut test: impl FnMut(&str) -> bool) -> bool {
    if is_own_reading(path) {
        return test(path.strip_prefix('/').unwrap_or(path));
    }
    readings(path).any(|reading| test(&reading))
}

/// The segments of the lax reading of literal text, e.g. of a pattern's segment; none if nothing is left of it.
pub(super) fn segments(text: &str) -> Vec<String> {
    segments_of(&folded(text)).map(str::to_owned).collect()
}

/// Decoded, in its compatibility form (NFKC), without invisible characters, and in one case.
fn folded(text: &str) -> Cow<'_, str> {
    // Hygiene refuses a `%` that is escaped twice, so two passes decode everything.
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let decoded: Cow<'_, str> = if decoded.contains('%') {
        Cow::Owned(percent_decode_str(&decoded).decode_utf8_lossy().into_owned())
    } else {
        decoded
    };
    if decoded.is_ascii() {
        if decoded.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(decoded.to_ascii_lowercase());
        }
        return decoded;
    }
    // Composed again after folding, because some small letters have no composed form where their capital has one.
    Cow::Owned(decoded.nfkc().filter(|c| !is_ignored(*c)).flat_map(one_case).nfkc().collect())
}

/// Small letters by way of capitals, because backends compare in either.
fn one_case(c: char) -> impl Iterator<Item = char> {
    // The capital of the Turkish i has no small letter of its own in most languages.
    let c = if c == 'İ' { 'i' } else { c };
    c.to_uppercase().flat_map(char::to_lowercase)
}

/// Characters that are not seen and that a file system may ignore (HFS+, Apple TN1150).
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn segments_of(text: &str) -> impl Iterator<Item = &str> {
    parts(text).filter_map(name)
}

/// The text between slashes, without parameters and without blanks at its ends.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['/', '\\']).map(|part| part.split(';').next().unwrap_or(part).trim())
}

/// A part without dots and blanks at its end; `None` if nothing is left.
fn name(part: &str) -> Option<&str> {
    Some(part.trim_end_matches(|c: char| c == '.' || c.is_whitespace())).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(path: &str) -> Vec<String> {
        readings(path).collect()
    }

    #[test]
    fn every_spelling_that_a_lenient_backend_accepts_has_one_reading() {
        for path in [
            "/admin/x",
            "/Admin/X",
            "/ADMIN/x",
            "/admin/x/",
            "/admin/x//",
            "/admin//x",
            "//admin/x",
            "/admin./x",
            "/admin.../x. .",
            "/admin/x.",
            "/admin%20/x",
            "/admin/x%20%20",
            "/%20admin/x",
            "/admin/x.%20.",
            "/admin/x%C2%A0",
            "/admin/x%E3%80%80",
            "/admin/x%E2%80%8A",
            "/admin/x%C2%85",
            "/admin;v=1/x",
            "/admin;/x;a=b;c",
            "/admin%3Bv=1/x",
            "/admin/;/x",
            "/admin%2Fx",
            "/admin%2fx",
            "/admin%5Cx",
            "/admin/./x",
            "/%61dmin/x",
            "/%2561dmin/x",
            "/admin%E2%80%8B/x",
            "/ad%C2%ADmin/x",
            "/%EF%BD%81dmin/x",
            "/admin%EF%BC%8Fx",
            "/ADM%C4%B0N/x",
            "/adm%C4%B1n/x",
        ] {
            assert_eq!(read(path), ["admin/x"], "{path}");
        }
    }

    #[test]
    fn unicode_letters_are_compared_in_one_case_and_one_composition() {
        for (path, other) in [
            ("/%E2%84%AA", "/k"),
            ("/%C5%BF", "/s"),
            ("/%C3%89t%C3%A9", "/e%CC%81TE%CC%81"),
            ("/stra%C3%9Fe", "/STRASSE"),
            ("/%EC%8B%9D%EB%B0%A9", "/%E1%84%89%E1%85%B5%E1%86%A8%E1%84%87%E1%85%A1%E1%86%BC"),
            ("/%CE%A3", "/%CF%82"),
        ] {
            assert_eq!(read(path), read(other), "{path} {other}");
        }
    }

    #[test]
    fn what_differs_for_every_backend_differs_in_its_reading_too() {
        for (path, reading) in [
            ("/", ""),
            ("//", ""),
            ("/./", ""),
            ("/adm%20in", "adm in"),
            ("/ad.min", "ad.min"),
            ("/.well-known/x", ".well-known/x"),
            ("/admin-x", "admin-x"),
            ("/admin+x", "admin+x"),
            ("/%EC%8B%9D", "식"),
            ("/caf%C3%A9", "café"),
            ("/a%3Ab", "a:b"),
        ] {
            assert_eq!(read(path), [reading], "{path}");
        }
    }

    #[test]
    fn two_dots_with_blanks_are_read_as_nothing_and_as_a_step_up() {
        assert_eq!(read("/public/..%20/admin"), ["public/admin", "admin"]);
        assert_eq!(read("/a/b/..%C2%A0;x/%20../c"), ["a/b/c", "c"]);
        assert_eq!(read("/..%20"), ["", ""]);
        assert_eq!(read("/public/.%20./admin"), ["public/admin"]);
    }

    proptest! {
        #[test]
        fn a_path_that_is_its_own_reading_is_its_only_one(path in "(/([a-cA;.~!*]|%20|%41|%2F){0,3}){1,4}") {
            if is_own_reading(&path) {
                prop_assert_eq!(read(&path), [path[1..].to_owned()]);
            }
        }

        #[test]
        fn the_reading_of_a_reading_is_itself(path in "(/(\\PC|[a-cA.;]|%20|%3B){0,4}){1,4}") {
            let first = readings(&path).next().unwrap();
            if !first.contains('%') {
                prop_assert_eq!(readings(&first).next(), Some(first));
            }
        }
    }
}
