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

use std::{borrow::Cow, rc::Rc};

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

/// A `/` or `\\` that was escaped; a character for private use, which splits nothing where it is kept.
const ESCAPED_SLASH: char = '\u{f8fe}';
/// A `/` or `\\` that only Windows sees, in a full-width character for example.
const COMPATIBLE_SLASH: char = '\u{f8fd}';

/// What a backend may drop, so that nothing of a segment is left; as bits.
const PARAMETERS: u8 = 1;
const BLANKS: u8 = 2;
const DOTS: u8 = 4;

/// The lax readings of a path: its segments joined by slashes, without a slash at either end; empty for the root.
///
/// All have case, blanks, dots and parameters of a segment dropped: whatever a pattern takes as `{name}` is the same
/// with them. More than one reading have the paths for which the number of segments differs among lenient backends:
/// - An escaped slash splits a segment or is a part of it; so does, apart from it, a slash in another width.
/// - A segment of parameters, blanks or dots alone is dropped or is the value of a `{name}`, for each of the three.
/// - A segment that is `..` once its blanks are dropped (`/public/..%20/admin`) may be a step up too.
///
/// The laxest reading is the first. The choices are independent, so there are at most 4 × 8 × 2 readings, some of them
/// equal.
pub(super) fn readings(path: &str) -> impl Iterator<Item = String> {
    let text: Rc<str> = folded(path).into();
    let (escaped, compatible) = (text.contains(ESCAPED_SLASH), text.contains(COMPATIBLE_SLASH));
    let splits = [(true, true), (true, false), (false, true), (false, false)].into_iter().filter(
        move |(splits_escaped, splits_compatible)| (escaped || *splits_escaped) && (compatible || *splits_compatible),
    );
    splits.flat_map(move |(escaped, compatible)| {
        let text = text.clone();
        let droppable = parts(&text, escaped, compatible).filter_map(dropped_kinds).fold(0, |all, kinds| all | kinds);
        let climbs = parts(&text, escaped, compatible).any(is_step_up);
        let kept = (0..=droppable).filter(move |kept| kept & !droppable == 0);
        let backends = kept.flat_map(move |kept| [(kept, false), (kept, true)]).filter(move |(_, up)| climbs || !up);
        backends.map(move |(kept, up)| reading(parts(&text, escaped, compatible), kept, up))
    })
}

/// One reading: the `kept` kinds of text are dropped at the end of a segment, but not if nothing else is left.
fn reading<'t>(parts: impl Iterator<Item = &'t str>, kept: u8, climbs: bool) -> String {
    let mut segments = Vec::new();
    for part in parts {
        match dropped_kinds(part) {
            None => segments.extend(name(part)),
            Some(kinds) if climbs && is_step_up(part) && kinds & kept & !DOTS == 0 => drop(segments.pop()),
            Some(kinds) if kinds & kept == 0 => {}
            Some(_) => segments.push(part),
        }
    }
    segments.join("/")
}

/// Whether `test` is true for a lax reading of a path. A path that is its own reading is not copied.
pub(super) fn any_reading(path: &str, mut test: impl FnMut(&str) -> bool) -> bool {
    if is_own_reading(path) {
        return test(path.strip_prefix('/').unwrap_or(path));
    }
    readings(path).any(|reading| test(&reading))
}

/// The segments of the laxest reading of literal text, e.g. of a pattern's segment; none if nothing is left of it.
pub(super) fn segments(text: &str) -> Vec<String> {
    parts(&folded(text), true, true).filter_map(name).map(str::to_owned).collect()
}

/// The text of a pattern's segment for the readings that drop no segment and split none; `None` if it has no text.
pub(super) fn kept_segment(text: &str) -> Option<String> {
    let text = folded(text);
    let text = if dropped_kinds(&text).is_some() { &text } else { name(&text)? };
    Some(text.to_owned())
}

/// Decoded, in its compatibility form (NFKC), without invisible characters, and in one case. Slashes that were not
/// there before are replaced by [`ESCAPED_SLASH`] and [`COMPATIBLE_SLASH`].
fn folded(text: &str) -> Cow<'_, str> {
    // Hygiene refuses a `%` that is escaped twice, so two passes decode everything.
    let decoded = match decoded(text) {
        Cow::Owned(once) if once.contains('%') => Cow::Owned(decoded(&once).into_owned()),
        once => once,
    };
    if decoded.is_ascii() {
        if decoded.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Cow::Owned(decoded.to_ascii_lowercase());
        }
        return decoded;
    }
    Cow::Owned(decoded.split_inclusive(['/', '\\', ESCAPED_SLASH]).map(folded_segment).collect())
}

/// Decoded once; an escaped slash or backslash becomes [`ESCAPED_SLASH`].
fn decoded(text: &str) -> Cow<'_, str> {
    let mut pieces = text.split('%');
    let first = pieces.next().unwrap_or_default();
    let is_slash = |piece: &str| {
        piece.get(..2).is_some_and(|digits| digits.eq_ignore_ascii_case("2f") || digits.eq_ignore_ascii_case("5c"))
    };
    if !pieces.clone().any(is_slash) {
        return percent_decode_str(text).decode_utf8_lossy();
    }
    let mut marked = String::with_capacity(text.len());
    marked.push_str(first);
    for piece in pieces {
        if is_slash(piece) {
            marked.push(ESCAPED_SLASH);
            marked.push_str(&piece[2..]);
        } else {
            marked.push('%');
            marked.push_str(piece);
        }
    }
    Cow::Owned(percent_decode_str(&marked).decode_utf8_lossy().into_owned())
}

/// One segment that is not ASCII, with the slash at its end. One of which nothing is seen becomes a blank.
fn folded_segment(segment: &str) -> String {
    let text = segment.trim_end_matches(['/', '\\', ESCAPED_SLASH]);
    let slash = |c| if matches!(c, '/' | '\\') { COMPATIBLE_SLASH } else { c };
    // Composed again after folding, because some small letters have no composed form where their capital has one.
    let mut out: String = text.nfkc().filter(|c| !is_ignored(*c)).flat_map(one_case).nfkc().map(slash).collect();
    if out.is_empty() && !text.is_empty() {
        out.push(' ');
    }
    out + &segment[text.len()..]
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

/// The text between slashes.
fn parts(text: &str, splits_escaped: bool, splits_compatible: bool) -> impl Iterator<Item = &str> {
    let is_slash = move |c: char| match c {
        '/' | '\\' => true,
        ESCAPED_SLASH => splits_escaped,
        COMPATIBLE_SLASH => splits_compatible,
        _ => false,
    };
    text.split(is_slash)
}

/// A part without parameters.
fn without_parameters(part: &str) -> &str {
    part.split(';').next().unwrap_or(part)
}

/// A part without parameters, without blanks at its ends and without dots at its end; `None` if nothing is left.
fn name(part: &str) -> Option<&str> {
    let name = without_parameters(part).trim().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    Some(name).filter(|name| !name.is_empty())
}

/// What a backend has to drop so that nothing is left of a part; `None` if something is left, or was not there.
fn dropped_kinds(part: &str) -> Option<u8> {
    if part.is_empty() || name(part).is_some() {
        return None;
    }
    let text = without_parameters(part);
    let parameters = if text.len() < part.len() { PARAMETERS } else { 0 };
    Some(text.chars().fold(parameters, |kinds, c| kinds | if c == '.' { DOTS } else { BLANKS }))
}

/// Whether some backends take a part as a step up.
fn is_step_up(part: &str) -> bool {
    without_parameters(part).trim() == ".."
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The different readings, the laxest first.
    fn read(path: &str) -> Vec<String> {
        let mut different: Vec<String> = Vec::new();
        for reading in readings(path) {
            if !different.contains(&reading) {
                different.push(reading);
            }
        }
        different
    }

    fn laxest(path: &str) -> String {
        readings(path).next().unwrap()
    }

    #[test]
    fn every_spelling_that_a_lenient_backend_accepts_has_one_laxest_reading() {
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
            assert_eq!(laxest(path), "admin/x", "{path}");
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
    fn a_segment_of_which_nothing_is_left_is_dropped_or_kept() {
        for (path, kept) in [
            ("/A/;x/b", "a/;x/b"),
            ("/a/%20/b", "a/ /b"),
            ("/a/.../b", "a/.../b"),
            ("/a/%E2%80%8B/b", "a/ /b"),
            ("/a/%C2%A0%3B;c/b/", "a/ ;;c/b"),
            ("/A//;x/B//", "a/;x/b"),
        ] {
            assert_eq!(read(path), ["a/b", kept], "{path}");
        }
        assert_eq!(read("/a/;/%20/b"), ["a/b", "a/;/b", "a/ /b", "a/;/ /b"], "each kind for itself");
        assert_eq!(read("/a//b/"), ["a/b"], "what is empty is no value");
    }

    #[test]
    fn an_escaped_slash_splits_its_segment_or_is_a_part_of_it() {
        assert_eq!(read("/A/x%2FY./B"), ["a/x/y/b", "a/x\u{f8fe}y/b"]);
        assert_eq!(read("/a/x%EF%BC%8Fy/b"), ["a/x/y/b", "a/x\u{f8fd}y/b"]);
        assert_eq!(
            read("/a%2Fb%EF%BC%8Fc"),
            ["a/b/c", "a/b\u{f8fd}c", "a\u{f8fe}b/c", "a\u{f8fe}b\u{f8fd}c"],
            "apart from each other"
        );
        assert_eq!(read("/a%2F;x/b"), ["a/b", "a/;x/b", "a\u{f8fe}/b"]);
    }

    #[test]
    fn two_dots_with_blanks_are_read_as_nothing_as_a_value_and_as_a_step_up() {
        assert_eq!(read("/public/..%20/admin"), ["public/admin", "admin", "public/.. /admin"]);
        assert!(read("/a/b/..%C2%A0;x/%20../c").contains(&"c".to_owned()));
        assert_eq!(read("/..%20"), ["", ".. "]);
        assert_eq!(read("/public/.%20./admin"), ["public/admin", "public/. ./admin"]);
        assert!(read("/public/;x/..%20/admin").contains(&"public/admin".to_owned()), "the step drops the value");
    }

    #[test]
    fn the_number_of_readings_is_bounded() {
        let path = "/%2F/%EF%BC%8F/;x/%20/.../..%20;x/".repeat(9);
        assert_eq!(readings(&path).count(), 64);
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
