//! One spelling for all spellings of an account's name, for counting alone. A backend may read two of them as the same
//! account, so each must not have limits of its own. Two accounts that share a spelling share a count; nothing else may
//! tell people apart, or bring them together, by this.

use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use crate::received::is_invisible;

/// Characters of a folded name that count.
const LONGEST: usize = 1024;

/// The name without what a backend may ignore: compatibility forms (NFKC), marks, characters that are not shown
/// (format, control, private, unassigned), case, white space around it and final dots.
pub(super) fn folded(name: &str) -> String {
    // The upper case of some characters has marks, and that of dotless i and long s is an ASCII letter.
    let folded: String = decomposed(name.chars()).flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    let folded: String = decomposed(folded.chars()).take(LONGEST).collect();
    let mut folded = folded.trim();
    while let Some(shorter) = folded.strip_suffix('.') {
        folded = shorter.trim_end();
    }
    folded.to_owned()
}

/// The characters after NFKD, without marks and without those that are not shown.
fn decomposed(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    text.nfkd().filter(|c| is_counted(*c)).map(|c| if c == IDEOGRAPHIC_FULL_STOP { '.' } else { c })
}

/// A dot in domain names (UTS #46), which NFKC keeps.
const IDEOGRAPHIC_FULL_STOP: char = '\u{3002}';

fn is_counted(c: char) -> bool {
    let is_shown = !matches!(c.general_category_group(), GeneralCategoryGroup::Mark | GeneralCategoryGroup::Other);
    // The fillers of Hangul syllables are letters that are not shown.
    is_shown && !is_invisible(c) && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_folded_to_one() {
        for spelling in [
            "victim@example.test",
            " Victim@EXAMPLE.test\t",
            "v\u{ed}ctim@example.test",
            "vi\u{301}ctim@example.test",
            "v\u{131}ctim@example.test",
            "V\u{130}CTIM@example.test",
            "vic\u{ad}tim@example.test",
            "vic\u{200b}tim@example.test",
            "\u{feff}victim@example.test\u{2060}",
            "vic\u{202e}tim@example.test",
            "vic\u{2028}tim@example.test",
            "vic\u{e0041}tim@example.test",
            "victim\u{fe0f}@example.test",
            "\u{ff56}\u{ff49}ctim@example.test",
            "\u{1d42f}ictim@example.test",
            "victim\u{ff20}example.test",
            "victim\u{fe6b}example.test",
            "victim@example\u{3002}test",
            "victim@example\u{ff61}test",
            "victim@example\u{ff0e}test",
            "victim@example\u{2024}test",
            "victim\0@example.test",
            "victim@example.test\u{7f}",
            "victim@example.test.",
            "victim@example.test. .\u{3002}",
            "victim@exa\u{3164}mple.te\u{17f}t",
            "victim@example.te\u{17f}t\u{a0}",
        ] {
            assert_eq!(folded(spelling), "victim@example.test", "{spelling:?}");
        }
        for (one, other) in [("STRASSE", "stra\u{df}e"), ("\u{3a3}\u{3a3}", "\u{3c3}\u{3c2}"), ("\u{fb03}", "FFI")] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_eq!(folded("\u{ae40}\u{c9c0}"), folded("\u{1100}\u{1175}\u{11b7}\u{110c}\u{1175}"), "Hangul");
    }

    #[test]
    fn other_names_stay_apart() {
        let names = ["mina@example.test", "mina@example.com", "m.ina@example.test", "mina+1@example.test", "\u{ae40}"];
        let folded: std::collections::BTreeSet<_> = names.iter().map(|name| folded(name)).collect();
        assert_eq!(folded.len(), names.len());
    }

    #[test]
    fn a_name_of_any_length_is_cut_and_folding_twice_changes_nothing() {
        let long = "\u{fdfa}\u{130}\u{1f80}".repeat(5000);
        let once = folded(&long);
        assert!(once.chars().count() <= LONGEST);
        assert_eq!(folded(&once), once);
        assert_eq!(folded(&format!("{}mina", "\u{200b}".repeat(20_000))), "mina");
    }
}
