//! `[otp.sms.outbox]` and `[otp.email.outbox]`: for development: messages are not sent, but written to a file or posted
//! to a local server.

use super::super::{forms, server::ServerSettings};
use crate::{
    config::schema::{context::Context, form, key::table, section::Section},
    hygiene::is_loopback,
    otp::deliver::OutboxSettings,
};

table! {
    /// `outbox` of a channel.
    pub(crate) struct OutboxTable {
        /// The file that messages are appended to, one JSON object a line.
        PATH: forms::File = default("path", "\"outbox.jsonl\"");
        /// An address on loopback that messages are posted to as JSON, instead of the file.
        URL: form::Url = optional("url");
    }
}

/// Reads the `outbox` of a channel.
pub(crate) fn outbox(
    section: &Section<'_, OutboxTable>,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<OutboxSettings> {
    if !server.local {
        cx.complain(
            section.own_place(),
            "an outbox shows codes to every program that can read it: it is for development, with `public_url` and every listen address on loopback",
            "leave it out, and write how messages are really sent",
        );
        return None;
    }
    if !section.has(&OutboxTable::URL) {
        return Some(OutboxSettings::File(cx.path(&section.read(&OutboxTable::PATH))));
    }
    if section.has(&OutboxTable::PATH) {
        cx.complain(
            section.place_of_key(&OutboxTable::PATH),
            "an outbox is a file (`path`) or a server (`url`)",
            "leave one of the two out",
        );
    }
    let url = section.optional(&OutboxTable::URL)?;
    if !is_loopback(&url) {
        cx.complain(
            section.place(&OutboxTable::URL),
            "an outbox is on this machine",
            "write an address on loopback, e.g. \"http://127.0.0.1:8025/\"",
        );
        return None;
    }
    Some(OutboxSettings::Url(url))
}
