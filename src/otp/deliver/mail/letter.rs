//! The text of an e-mail with a code, in each language: the built-in one or the operator's.

use std::fmt::Write as _;

use crate::{
    otp::deliver::message::Mail,
    text::{Language, Text, Translated},
};

/// The placeholders of a letter, without their braces.
pub const PLACEHOLDERS: &[&str] = &["code", "minutes", "site"];

const FRAME: &str = include_str!("letter.html");

/// A template in every language.
pub type Texts = Translated<String>;

/// Templates of subject and text, with placeholders for the code, its lifetime and the site's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    subject: Texts,
    text: Texts,
    /// `None`: made from `text`.
    html: Option<Texts>,
}

impl Letter {
    /// The operator's templates; the built-in ones where `None`. Without `html` the HTML part is made from the text, so
    /// that both parts have the same content.
    pub fn new(subject: Option<Texts>, text: Option<Texts>, html: Option<Texts>) -> Self {
        let built_in = |text: Text| text.all().map(str::to_owned);
        Self {
            subject: subject.unwrap_or_else(|| built_in(Text::CodeMailSubject)),
            text: text.unwrap_or_else(|| built_in(Text::CodeMailBody)),
            html,
        }
    }

    /// The e-mail to `to`; `minutes` is the lifetime of `code`.
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

/// `template` with each `{name}` replaced by its value. Braces in values are not replaced, and other braces in the
/// template stay.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() + 64);
    for piece in pieces(template) {
        match piece {
            Piece::Literal(text) => filled.push_str(text),
            Piece::Placeholder(name) => match values.iter().find(|(own, _)| *own == name) {
                Some((_, value)) => filled.push_str(value),
                None => drop(write!(filled, "{{{name}}}")),
            },
        }
    }
    filled
}

/// The names in braces, in the order of the template.
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
        // A brace that begins no placeholder belongs to the literal after it.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let end = rest[first..].find('{').map_or(rest.len(), |at| first + at);
        let (literal, after) = rest.split_at(end);
        rest = after;
        Some(Piece::Literal(literal))
    })
}

/// The name in the braces that `text` begins with; `None` if they contain more than a name, as in a style sheet.
fn word(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('{')?;
    let name = &inside[..inside.find('}')?];
    let is_word = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_word.then_some(name)
}

/// The paragraphs of a text as HTML; the one that is only the code is large.
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

/// The text on one line, without control characters and Unicode's line separators, for a header.
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
    fn the_operators_templates_replace_the_built_in_ones() {
        let letter = Letter::new(Some(both("{code} for {site}")), Some(both("Hello <you>,\n{code}\n\nBye")), None);
        let mail = letter.compose("a@b.c", Language::English, "A & B", "123456", 3);
        assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("123456 for A & B", "Hello <you>,\n123456\n\nBye"));
        assert!(mail.html.contains("Hello &lt;you&gt;,<br>\n123456</p>"), "{}", mail.html);
        let letter = Letter::new(None, None, Some(both("<style>b{color:red}</style><b>{code}</b> {minutes} {site}")));
        let mail = letter.compose("a@b.c", Language::Korean, "A & B", "123456", 3);
        assert_eq!(mail.html, "<style>b{color:red}</style><b>123456</b> 3 A &amp; B");
    }

    #[test]
    fn placeholders_in_a_value_stay_and_a_value_cannot_end_a_header_line() {
        let letter = Letter::default();
        let mail = letter.compose("a@b.c", Language::English, "x\r\nBcc: eve@evil.example\u{2028}{code}", "123456", 3);
        assert_eq!(mail.subject, "[x Bcc: eve@evil.example {code}] Your verification code");
        assert!(mail.text.contains("for x Bcc: eve@evil.example {code}:"), "{}", mail.text);
        let mail = letter.compose("a@b.c", Language::English, "<img src=x onerror=\"a\">", "123456", 3);
        assert!(!mail.html.contains("<img"), "{}", mail.html);
    }

    #[test]
    fn only_names_in_braces_are_placeholders() {
        let found = |template| placeholders(template).collect::<Vec<_>>();
        assert_eq!(found("{code}{{minutes}} 한{site}글 {"), ["code", "minutes", "site"]);
        assert_eq!(found("a{color:red} {} { code } {코드} {1}"), Vec::<&str>::new());
        assert_eq!(fill("{{a}} 한{b}글 {c} {", &[("a", "{b}"), ("b", "2")]), "{{b}} 한2글 {c} {");
    }
}
