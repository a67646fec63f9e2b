//! Folds a path: all spellings that some backend takes for one text become that text. Pure functions, whose cost is
//! linear in the octets of the path; `lax.rs` says which backends they are for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization as _;

/// A `/` or `\\` that was escaped; a character for private use, which splits nothing where it is kept.
pub(super) const ESCAPED_SLASH: char = '\u{f8fe}';
/// A `/` or `\\` that only Windows sees, in a full-width character for example.
pub(super) const COMPATIBLE_SLASH: char = '\u{f8fd}';

/// Decoded, in its compatibility form (NFKC), without invisible characters, and in one case. Slashes that were not
/// there before are replaced by [`ESCAPED_SLASH`] and [`COMPATIBLE_SLASH`].
pub(super) fn folded(text: &str) -> Cow<'_, str> {
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
    let (mut out, mut cased) = (String::with_capacity(decoded.len()), String::new());
    for segment in decoded.split_inclusive(['/', '\\', ESCAPED_SLASH]) {
        fold_segment(segment, &mut cased, &mut out);
    }
    Cow::Owned(out)
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

/// Appends one segment, folded, with the slash at its end. One of which nothing is seen becomes a blank. `cased` is
/// memory that all segments share.
fn fold_segment(segment: &str, cased: &mut String, out: &mut String) {
    let text = segment.trim_end_matches(['/', '\\', ESCAPED_SLASH]);
    let begin = out.len();
    if text.is_ascii() {
        out.push_str(text);
        out[begin..].make_ascii_lowercase();
    } else {
        cased.clear();
        // An ignored character counts: those around it may compose once it is gone.
        let mut has_changed = false;
        for c in text.nfkc() {
            has_changed |= is_ignored(c) || !push_in_one_case(c, cased);
        }
        let marked = |c| if matches!(c, '/' | '\\') { COMPATIBLE_SLASH } else { c };
        if has_changed {
            // Composed again, because some small letters have no composed form where their capital has one.
            out.extend(cased.nfkc().map(marked));
        } else {
            out.extend(cased.chars().map(marked));
        }
        if out.len() == begin {
            out.push(' ');
        }
    }
    out.push_str(&segment[text.len()..]);
}

/// Appends a small letter by way of its capital, because backends compare in either, and all else as it is. False if
/// what is appended differs from `c`.
fn push_in_one_case(c: char, out: &mut String) -> bool {
    match c {
        _ if c.is_ascii() => {
            out.push(c.to_ascii_lowercase());
            !c.is_ascii_uppercase()
        }
        // Without case, and the dearest to look up: one character of a path becomes up to 18 of these.
        '\u{590}'..='\u{109f}' | '\u{1100}'..='\u{139f}' | '\u{2e80}'..='\u{a63f}' | '\u{ac00}'..='\u{d7ff}' => {
            out.push(c);
            true
        }
        // The capital of the Turkish i has no small letter of its own in most languages.
        'İ' => {
            out.push('i');
            false
        }
        _ => {
            let begin = out.len();
            out.extend(c.to_uppercase().flat_map(char::to_lowercase));
            out[begin..].chars().eq([c])
        }
    }
}

/// Characters that are not seen and that a file system may ignore (HFS+, Apple TN1150).
fn is_ignored(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::route::tests::processor_time;

    #[test]
    fn a_path_of_ascii_without_capitals_and_escapes_is_folded_without_a_copy() {
        for path in ["", "/", "/a/b-c.d;e=f//g", "/a:b@c!$&'()*+,=~[]", &"/a".repeat(8000)] {
            assert!(matches!(folded(path), Cow::Borrowed(same) if same == path), "{path:.40}");
        }
    }

    #[test]
    fn slashes_are_told_apart_by_how_they_were_written() {
        for (path, reading) in [
            ("/A%2Fb", "/a\u{f8fe}b"),
            ("/a%5cb", "/a\u{f8fe}b"),
            ("/a%252Fb", "/a\u{f8fe}b"),
            ("/a%EF%BC%8Fb", "/a\u{f8fd}b"),
            ("/a%EF%BC%BCb/%E2%84%85", "/a\u{f8fd}b/c\u{f8fd}o"),
            ("/a\\B", "/a\\b"),
        ] {
            assert_eq!(folded(path), reading, "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_text_without_capitals_is_composed_once_and_that_is_enough(text in "(\\PC|[\u{ad}\u{200b}\u{300}-\u{34f}\u{1100}-\u{1200}A/]){0,12}") {
            let mut by_way_of_nfkc = String::new();
            for segment in text.split_inclusive(['/', '\\', ESCAPED_SLASH]) {
                let (mut cased, name) = (String::new(), segment.trim_end_matches(['/', '\\', ESCAPED_SLASH]));
                name.nfkc().filter(|c| !is_ignored(*c)).for_each(|c| {
                    push_in_one_case(c, &mut cased);
                });
                let composed = cased.nfkc().map(|c| if matches!(c, '/' | '\\') { COMPATIBLE_SLASH } else { c });
                let composed: String = composed.collect();
                by_way_of_nfkc += if composed.is_empty() && !name.is_empty() { " " } else { &composed };
                by_way_of_nfkc += &segment[name.len()..];
            }
            if !text.contains('%') {
                prop_assert_eq!(folded(&text), by_way_of_nfkc);
            }
        }
    }

    #[test]
    fn the_cost_of_a_long_path_is_linear_in_its_length() {
        for noise in [
            "A",
            "/",
            ".",
            ";",
            "%2541",
            "%EF%BC%A1",
            "%EF%BC%8F",
            "%EF%B7%BA",
            "%CE%90",
            "%D0%90",
            "%CC%A7%CC%81%CC%96",
            "%CD%85%CC%80%CC%B1%CC%B4",
            "/%CD%85%CC%80A",
            "%E1%84%89%E1%85%B5%E1%86%A8",
        ] {
            let path = |octets: usize| noise.repeat(octets / noise.len());
            let (short, long) = (path(2_000), path(32_000));
            let usual = processor_time(|| (0..16).for_each(|_| drop(folded(&short))));
            let spent = processor_time(|| drop(folded(&long)));
            assert!(spent < usual * 3, "{noise}: {spent:?}, in sixteen pieces {usual:?}");
        }
    }
}
