//! `[otp.email]`: the sender, the letter, and the ways that e-mail goes.

use std::fs;

use super::{
    form,
    messages::{check_template, order, outbox, pair, texts},
    secrets::Surroundings,
    section::Section,
    server::Server,
};
use crate::otp::deliver::{Letter, MailSettings, MailWay, PLACEHOLDERS};

/// Reads `[otp.email]`. `None` where there is none, too.
pub(super) fn mail(section: &Section<'_>, server: &Server, around: &mut Surroundings<'_>) -> Option<MailSettings> {
    if !section.is_present() {
        return None;
    }
    let from = section.optional("from", form::text);
    let letter = letter(section, around);
    let ways = order(section, &["outbox"], around);
    let ways = ways.into_iter().map(|_| outbox(&section.section("outbox"), server, around).map(MailWay::Outbox));
    let ways = ways.collect::<Vec<_>>();
    Some(MailSettings { from: from?, letter: letter?, ways: ways.into_iter().collect::<Option<_>>()? })
}

fn letter(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Letter> {
    let subject = texts(section, "subject", PLACEHOLDERS, None, around);
    let text = texts(section, "text", PLACEHOLDERS, Some("code"), around);
    let html = pair(section, "html", around, |path, place, around| {
        let html = match fs::read_to_string(around.path(&path)) {
            Ok(html) => html,
            Err(error) => {
                around.problems.complain(
                    place,
                    format!("the file `{path}` cannot be read: {}", error.kind()),
                    "relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as",
                );
                return None;
            }
        };
        check_template(&html, place, PLACEHOLDERS, Some("code"), around)?;
        Some(html)
    });
    let whole = |key, read: &Option<_>| read.is_some() || !section.has(key);
    (whole("subject", &subject) && whole("text", &text) && whole("html", &html))
        .then(|| Letter::new(subject, text, html))
}
