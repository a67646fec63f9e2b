//! The complaint about a file that is not TOML. Text that may be a secret is masked.

use super::{
    complaint::{Problems, has_password},
    shape::SECRET_WORDS,
    tree::Place,
};

/// Complains about the first syntax error.
pub(super) fn complain(error: &toml::de::Error, text: &str, problems: &mut Problems) {
    let span = error.span().unwrap_or(0..0);
    hide_secrets_around(span.start.min(text.len()), text, problems);
    problems.complain(
        &Place::File(span),
        format!("this is not TOML: {}", error.message().replace('\n', ", ")),
        "the rest of the file is looked at when this is right",
    );
}

/// Masks text that may be a secret on the line of the error. Without a parsed tree, the words before the value decide:
/// on its line or, inside a list, on the line where the list begins.
fn hide_secrets_around(at: usize, text: &str, problems: &mut Problems) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    let word_end = |line: &str| {
        let line = line.to_ascii_lowercase();
        let words = SECRET_WORDS.iter().chain(&["bearer ", "basic "]);
        words.filter_map(|word| Some(line.find(word)? + word.len())).min()
    };
    // An `=` after an odd number of quotes is inside a text, for example base64 padding.
    let assigns = |line: &str| line.split_once('=').is_some_and(|(name, _)| name.matches(['"', '\'']).count() % 2 == 0);
    let line = &text[start..end];
    let from = word_end(line).or_else(|| has_password(line).then_some(0));
    if let Some(from) = from {
        problems.hide(&Place::File(start + from..end));
    } else if !assigns(line)
        && text[..start].lines().rev().find(|line| assigns(line)).is_some_and(|line| word_end(line).is_some())
    {
        problems.hide(&Place::File(start..end));
    }
}
