//! Lengths as Korean operators count them: in bytes of EUC-KR, where a Hangul syllable has two.

use std::borrow::Cow;

use encoding_rs::EUC_KR;

/// Most bytes of an SMS; a longer text is an LMS, which is dearer.
pub(crate) const SMS: usize = 90;
/// Most bytes of an LMS.
pub(crate) const LMS: usize = 2000;

/// Bytes of `text` in EUC-KR: one for ASCII, two for all else.
pub(crate) fn length(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The longest beginning of `text` that has at most `bytes` bytes.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|(_, c)| {
        used += width(*c);
        used > bytes
    });
    end.map_or(text, |(end, _)| &text[..end])
}

/// `text` with `?` for each character that EUC-KR does not have; joiners and variation selectors, which only change how an emoji looks, go.
pub(super) fn expressible(text: &str) -> Cow<'_, str> {
    if is_expressible(text) {
        return Cow::Borrowed(text);
    }
    let kept = text.chars().filter(|c| !matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}'));
    Cow::Owned(kept.map(|c| if is_expressible(c.encode_utf8(&mut [0; 4])) { c } else { '?' }).collect())
}

/// Whether EUC-KR has all characters of `text`; those that code page 949 adds to it count too, which every handset knows.
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
    fn hangul_counts_two_bytes_and_is_cut_whole() {
        assert_eq!(length("[식방] 12\n"), 10);
        assert_eq!(cut("가나다", 5), "가나");
        assert_eq!(cut("a가나", 5), "a가나");
        assert_eq!(cut("", 5), "");
    }

    #[test]
    fn what_euc_kr_does_not_have_becomes_a_question_mark() {
        assert_eq!(expressible("똠방 ⓐ 1"), "똠방 ⓐ 1");
        assert_eq!(expressible("a😀b❤\u{fe0f}é"), "a?b??");
        assert!(!is_expressible("😀"));
    }
}
