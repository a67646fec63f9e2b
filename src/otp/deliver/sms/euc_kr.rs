//! Text lengths in bytes of EUC-KR (two for a Hangul syllable), which Korean operators limit.

use std::borrow::Cow;

use encoding_rs::EUC_KR;

/// Longest SMS, in bytes; a longer text is sent as an LMS, which costs more.
pub(crate) const SMS: usize = 90;
/// Longest LMS, in bytes.
pub(crate) const LMS: usize = 2000;

/// The bytes of `text` in EUC-KR: one for an ASCII character, two for any other.
pub(crate) fn length(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The longest prefix of `text` of at most `bytes` bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += width(*c);
        used > bytes
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// `text` with `?` for each character that is not in EUC-KR. Joiners and variation selectors, which only change the
/// form of an emoji, are removed.
pub(super) fn expressible(text: &str) -> Cow<'_, str> {
    if is_expressible(text) {
        return Cow::Borrowed(text);
    }
    let visible = text.chars().filter(|c| !matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}'));
    Cow::Owned(visible.map(|c| if is_expressible(c.encode_utf8(&mut [0; 4])) { c } else { '?' }).collect())
}

/// Whether all characters of `text` are in EUC-KR or in its extension, code page 949.
pub(crate) fn is_expressible(text: &str) -> bool {
    let (_, _, replaced) = EUC_KR.encode(text);
    !replaced
}

fn width(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangul_syllable_has_two_bytes_and_is_never_cut_in_half() {
        assert_eq!(length("[식방] 12\n"), 10);
        assert_eq!(cut("가나다", 5), "가나");
        assert_eq!(cut("a가나", 5), "a가나");
        assert_eq!(cut("", 5), "");
    }

    #[test]
    fn a_character_that_euc_kr_does_not_have_becomes_a_question_mark() {
        assert_eq!(expressible("똠방 ⓐ 1"), "똠방 ⓐ 1");
        assert_eq!(expressible("a😀b❤\u{fe0f}é"), "a?b??");
        assert!(!is_expressible("😀"));
    }
}
