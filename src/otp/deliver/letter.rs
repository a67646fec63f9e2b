//! What an e-mail with a code says, in Korean and English: the built-in letter, or the operator's own.

use std::fmt::Write as _;

use super::Mail;
use crate::text::{Language, Text, Translated};

/// What may stand in a letter, in braces.
pub const PLACEHOLDERS: &[&str] = &["code", "minutes", "site"];

const FRAME: &str = include_str!("letter.html");

/// A template in every language.
pub type Texts = Translated<String>;

/// A letter with gaps for the code, its life and the site's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    subject: Texts,
    text: Texts,
    /// `None`: the text, set as HTML.
    html: Option<Texts>,
}

impl Letter {
    /// The operator's own templates, and the built-in ones for what is not given. A text without HTML is set as HTML too:
    /// what most people see must not differ from it.
    pub fn new(subject: Option<Texts>, text: Option<Texts>, html: Option<Texts>) -> Self {
        let built_in = |text: Text| text.all().map(str::to_owned);
        Self {
            subject: subject.unwrap_or_else(|| built_in(Text::CodeMailSubject)),
            text: text.unwrap_or_else(|| built_in(Text::CodeMailBody)),
            html,
        }
    }

    /// The letter to `to`, filled.
    pub fn compose(&self, to: &str, language: Language, site: &str, code: &str, minutes: u64) -> Mail {
        let (site, minutes) = (on_one_line(site), minutes.to_string());
        let values = [("code", code), ("minutes", &minutes), ("site", &site)];
        let escaped = values.map(|(name, value)| (name, escape(value)));
        let escaped = escaped.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (subject, text) = (self.subject.of(language), self.text.of(language));
        let subject = on_one_line(&fill(subject, &values));
        let html = match &self.html {
            Some(own) => fill(own.of(language), &escaped),
            None => fill(
                FRAME,
                &[
                    ("language", language.tag()),
                    ("title", &escape(&subject)),
                    ("body", &fill(&set_as_html(text), &escaped)),
                ],
            ),
        };
        Mail { to: to.to_owned(), text: fill(text, &values), subject, html }
    }
}

impl Default for Letter {
    fn default() -> Self {
        Self::new(None, None, None)
    }
}

/// `template` with the values in place of their names in braces. A value is never looked into, and other braces stay.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64);
    for piece in pieces(template) {
        match piece {
            Piece::Literal(text) => filled.push_str(text),
            Piece::Placeholder(name) => match values.iter().find(|(known, _)| *known == name) {
                Some((_, value)) => filled.push_str(value),
                None => drop(write!(filled, "{{{name}}}")),
            },
        }
    }
    filled
}

/// The names in braces, in order.
pub fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    pieces(template).filter_map(|piece| if let Piece::Placeholder(name) = piece { Some(name) } else { None })
}

enum Piece<'t> {
    Literal(&'t str),
    Placeholder(&'t str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some(name) = word(rest) {
            rest = &rest[name.len() + 2..];
            return Some(Piece::Placeholder(name));
        }
        // An ordinary brace goes with what follows it.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find('{').map_or(rest.len(), |at| first + at);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// The word in the braces that `text` begins with. Style sheets have braces, too, with more than a word between them.
fn word(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?;
    let name = &inside[..inside.find('}')?];
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_word.then_some(name)
}

/// A text's paragraphs; the one that is the code alone stands out.
fn set_as_html(text: &str) -> String {
    let normal = text.replace("\r\n", "\n");
    let paragraphs = normal.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.fold(String::new(), |mut html, paragraph| {
        let _ = if paragraph == "{code}" {
            writeln!(
                html,
                "<p style=\"margin:24px 0;font-size:36px;line-height:1.2;font-weight:700;letter-spacing:6px\">{{code}}</p>"
            )
        } else {
            writeln!(html, "<p style=\"margin:0 0 16px\">{}</p>", escape(paragraph).replace('\n', "<br>\n"))
        };
        html
    })
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Nothing ends a line of a header: neither CR and LF, nor what Unicode has besides.
fn on_one_line(text: &str) -> String {
    let ends = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.split(ends).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(text: &str) -> Texts {
        Texts { korean: text.to_owned(), english: text.to_owned() }
    }

    #[test]
    fn the_built_in_letter_says_the_same_as_text_and_as_html() {
        let letter = Letter::default();
        for (language, subject, first) in [
            (Language::Korean, "[식방] 인증번호 안내", "식방 인증번호입니다."),
            (Language::English, "[식방] Your verification code", "Your verification code for 식방:"),
        ] {
            let mail = letter.compose("mina@example.com", language, "식방", "012345", 3);
            assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("mina@example.com", subject));
            assert!(mail.text.starts_with(&format!("{first}\n\n012345\n\n")), "{}", mail.text);
            assert!(mail.html.contains(&format!("<html lang=\"{}\">", language.tag())), "{}", mail.html);
            assert!(mail.html.contains("letter-spacing:6px\">012345</p>"), "{}", mail.html);
            for part in mail.text.split("\n\n").map(str::trim) {
                assert!(mail.html.contains(&format!(">{part}</p>")), "{part}: {}", mail.html);
            }
            assert_eq!(placeholders(&mail.html).count() + placeholders(&mail.text).count(), 0);
            assert!(!mail.html.contains("http"), "nothing is loaded from elsewhere");
        }
    }

    #[test]
    fn own_templates_take_the_place_of_the_built_in_ones() {
        let letter = Letter::new(Some(both("{code} for {site}")), Some(both("Hello <you>,\n{code}\n\nBye")), None);
        let mail = letter.compose("a@b.c", Language::English, "A & B", "123456", 3);
        assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("123456 for A & B", "Hello <you>,\n123456\n\nBye"));
        assert!(mail.html.contains("Hello &lt;you&gt;,<br>\n123456</p>"), "{}", mail.html);
        let letter = Letter::new(None, None, Some(both("<style>b{color:red}</style><b>{code}</b> {minutes} {site}")));
        let mail = letter.compose("a@b.c", Language::Korean, "A & B", "123456", 3);
        assert_eq!(mail.html, "<style>b{color:red}</style><b>123456</b> 3 A &amp; B");
    }

    #[test]
    fn a_value_is_neither_looked_into_nor_able_to_end_a_line_of_a_header() {
        let letter = Letter::default();
        let mail = letter.compose("a@b.c", Language::English, "x\r\nBcc: eve@evil.example\u{2028}{code}", "123456", 3);
        assert_eq!(mail.subject, "[x Bcc: eve@evil.example {code}] Your verification code");
        assert!(mail.text.contains("for x Bcc: eve@evil.example {code}:"), "{}", mail.text);
        let mail = letter.compose("a@b.c", Language::English, "<img src=x onerror=\"a\">", "123456", 3);
        assert!(!mail.html.contains("<img"), "{}", mail.html);
    }

    #[test]
    fn only_words_in_braces_are_placeholders() {
        let found = |template| placeholders(template).collect::<Vec<_>>();
        assert_eq!(found("{code}{{minutes}} 한{site}글 {"), ["code", "minutes", "site"]);
        assert_eq!(found("a{color:red} {} { code } {코드} {1}"), Vec::<&str>::new());
        assert_eq!(fill("{{a}} 한{b}글 {c} {", &[("a", "{b}"), ("b", "2")]), "{{b}} 한2글 {c} {");
    }
}
