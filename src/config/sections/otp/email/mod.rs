//! `[otp.email]`: the sender's address, the texts, and how messages are delivered.

use std::fs;

use lettre::message::Mailbox;

use super::{
    super::server::ServerSettings,
    channel::{Candidate, ChannelTable, order},
    outbox,
    texts::{TextTable, check_template, pair, texts},
};
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Table, table},
        section::Section,
    },
    otp::deliver::{Letter, MailSettings, MailTransport, PLACEHOLDERS, parse_address},
};

mod smtp;

use smtp::SmtpTable;

table! {
    /// `[otp.email]`
    pub(crate) struct EmailTable: ChannelTable {
        /// The sender, e.g. `"Example <no-reply@example.com>"`.
        FROM: form::Text = required("from");
        /// The subject, with the placeholders `{code}`, `{minutes}` and `{site}`. If only one language is given, it is
        /// used for both.
        SUBJECT: Table<TextTable> = optional("subject");
        /// The text part, with the same placeholders; `{code}` must be in it.
        TEXT: Table<TextTable> = optional("text");
        /// Files with the HTML part, with the same placeholders; `{code}` must be in them. Default: the text part, set
        /// as HTML.
        HTML: Table<TextTable> = optional("html");
        /// The mail server.
        SMTP: Table<SmtpTable> = optional("smtp");
    }
}

/// The table that configures the delivery.
#[derive(Clone, Copy, Debug)]
enum Carrier {
    Smtp,
    Outbox,
}

/// Reads `[otp.email]`; `None` also where the table is absent.
pub(super) fn mail(
    section: &Section<'_, EmailTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<MailSettings> {
    if !section.is_present() {
        return None;
    }
    let from = from(section, cx);
    let letter = letter(section, cx);
    let candidates = [
        Candidate::new(section, &EmailTable::SMTP, Carrier::Smtp),
        Candidate::new(section, &ChannelTable::OUTBOX, Carrier::Outbox),
    ];
    let transports: Vec<_> = order(&section.shared(), &candidates, cx)
        .into_iter()
        .map(|carrier| match carrier {
            Carrier::Smtp => smtp::smtp(&section.section(&EmailTable::SMTP), server, cx).map(MailTransport::Smtp),
            Carrier::Outbox => {
                outbox::outbox(&section.section(&ChannelTable::OUTBOX), server, cx).map(MailTransport::Outbox)
            }
        })
        // Collected before `?`, so that the mistakes of all tables are reported.
        .collect();
    Some(MailSettings { from: from?, letter: letter?, transports: transports.into_iter().collect::<Option<_>>()? })
}

fn from(section: &Section<'_, EmailTable>, cx: &mut Context<'_>) -> Option<Mailbox> {
    const HELP: &str = "write `from = \"Example <no-reply@example.com>\"`, or the address alone";
    let text = section.optional(&EmailTable::FROM)?;
    let mailbox = text.parse::<Mailbox>().ok().filter(|mailbox| {
        let name = mailbox.name.as_deref().unwrap_or_default();
        parse_address(mailbox.email.as_ref()).is_some() && !name.contains(char::is_control)
    });
    if mailbox.is_none() {
        cx.complain(
            section.place(&EmailTable::FROM),
            "`from` must be one e-mail address, with or without a name",
            HELP,
        );
    }
    mailbox
}

fn letter(section: &Section<'_, EmailTable>, cx: &mut Context<'_>) -> Option<Letter> {
    let subject = texts(section, &EmailTable::SUBJECT, PLACEHOLDERS, None, cx);
    let text = texts(section, &EmailTable::TEXT, PLACEHOLDERS, Some("code"), cx);
    let html = pair(section, &EmailTable::HTML, cx, |path, place, cx| {
        let html = match fs::read_to_string(cx.path(&path)) {
            Ok(html) => html,
            Err(error) => {
                cx.complain_of_unreadable(place, &format!("the file `{path}`"), &error);
                return None;
            }
        };
        check_template(&html, place, PLACEHOLDERS, Some("code"), cx)?;
        Some(html)
    });
    let is_whole = |key, read: &Option<_>| read.is_some() || !section.has(key);
    (is_whole(&EmailTable::SUBJECT, &subject)
        && is_whole(&EmailTable::TEXT, &text)
        && is_whole(&EmailTable::HTML, &html))
    .then(|| Letter::new(subject, text, html))
}

#[cfg(test)]
mod tests;
