//! What went wrong in a provider's own words, made fit for a log: no code, no number, no key, one short line.

use super::Sms;

/// `text` without the message, long runs of digits (a code, a phone number; with the separators that people put in) and long words (a key, a
/// signature), of which providers like to repeat what they were sent.
pub(super) fn for_log(text: &str, sms: &Sms) -> String {
    let text = if sms.text.is_empty() { text.to_owned() } else { text.replace(&sms.text, MASK) };
    let line = text.replace(char::is_control, " ");
    let masked = without_digits(&without_long_words(&line));
    match masked.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", &masked[..end]),
        None => masked,
    }
}

const MASK: &str = "***";
/// In characters.
const LENGTH: usize = 200;
/// Codes have six digits; what providers call their errors has fewer.
const DIGITS: usize = 6;
/// Keys are longer than any word of a sentence.
const WORD: usize = 20;

fn without_long_words(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "_-+/=".contains(c);
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|c| !in_word(c)).unwrap_or(from.len()));
        masked.extend([before, if word.len() < WORD { word } else { MASK }]);
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
        let many = run.chars().filter(|c| c.is_numeric()).count() >= DIGITS;
        masked.extend([before, if many { MASK } else { run }]);
        rest = &from[run.len()..];
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_code_nor_number_nor_key_gets_into_a_log() {
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
            assert_eq!(for_log(said, &sms), logged);
        }
        assert_eq!(for_log(&"가".repeat(10_000), &sms), "가".repeat(200) + "…");
    }
}
