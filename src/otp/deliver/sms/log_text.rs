//! Masks the error texts of providers for the log: no code, no phone number, no key, one line of 200 characters.

use crate::otp::deliver::message::Sms;

/// `text` without the parts of a request that a provider may repeat: the message, at least 6 digits in a row (a code, a
/// phone number, also with separators), and words of at least 20 characters (a key, a signature). At most 200
/// characters.
pub(super) fn masked(text: &str, sms: &Sms) -> String {
    let text = if sms.text.is_empty() { text.to_owned() } else { text.replace(&sms.text, MASK) };
    let line = text.replace(char::is_control, " ");
    let line = without_digits(&without_long_words(&line));
    match line.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

const MASK: &str = "***";
/// Longest line, in characters.
const MAX_LENGTH: usize = 200;
/// This many digits in a row are masked: codes have six, error codes of providers fewer.
const MASKED_DIGITS: usize = 6;
/// Words of this many characters are masked: keys are longer than the words of a sentence.
const MASKED_WORD: usize = 20;

fn without_long_words(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !in_word(c)).unwrap_or(from.len()));
        masked.extend([before, if word.len() < MASKED_WORD { word } else { MASK }]);
        rest = after;
    }
    masked + rest
}

fn without_digits(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(char::is_numeric) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_numeric() && !"-() ".contains(c)).unwrap_or(from.len());
        let run = from[..end].trim_end_matches(|c: char| !c.is_numeric());
        let many = run.chars().filter(|c| c.is_numeric()).count() >= MASKED_DIGITS;
        masked.extend([before, if many { MASK } else { run }]);
        rest = &from[run.len()..];
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_numbers_and_keys_are_masked_in_log_texts() {
        let sms = Sms {
            to_e164: "+821012345678".to_owned(),
            to: "01012345678".to_owned(),
            country: 82,
            text: "[A] 042137".to_owned(),
        };
        for (said, logged) in [
            ("-101: 인증오류입니다.-IP 203.0.113.10", "-101: 인증오류입니다.-IP 203.0.113.10"),
            ("cannot send '[A] 042137' to +821012345678", "cannot send '***' to +***"),
            ("bad number 010-1234-5678 (010) 1234 5678 today", "bad number *** today"),
            ("the code 042137 again", "the code *** again"),
            ("21211: error 400.", "21211: error 400."),
            ("key AKIA0123456789abcdef+/= is wrong", "key *** is wrong"),
            ("a\r\nforged: line\u{0}", "a  forged: line "),
            ("", ""),
        ] {
            assert_eq!(masked(said, &sms), logged);
        }
        assert_eq!(masked(&"가".repeat(10_000), &sms), "가".repeat(200) + "…");
    }
}
