//! The keys that `[otp.sms]` and `[otp.email]` share: purpose, who may log in, the call to the backend, and the order
//! of senders.

use super::{
    super::{
        allow::{self, AllowTable, Anyone, EMAILS, PHONES},
        authority::Issuer,
        call::{self, CallTable, PlainCallTable, Upstreams},
        fields::is_field,
        server::ServerSettings,
    },
    outbox::OutboxTable,
};
use crate::{
    authority::{CodeLogin, OTP_NOTIFY},
    call::{Piece, Placeholder, Template, Text},
    channel::Channel,
    config::schema::{
        context::Context,
        form,
        key::{AnyKey, Choice, Either, Includes, List, Table, Word as _, table, words},
        kind::{closest, quoted},
        section::Section,
        tree::Place,
    },
    otp::{ChannelSettings, CodePurpose, FieldNames, OWN_FIELDS},
};

table! {
    /// What both channels have.
    pub(crate) struct ChannelTable {
        /// `verify`: a person who is logged in verifies an address, and `notify` reports it to the backend. `login`:
        /// the code logs in, with the address as the identity. `prove`: without a session, the code is exchanged for a
        /// `proof`, for a sign-up form.
        PURPOSE: Choice<CodePurpose> = default("purpose", "\"verify\"");
        /// Who may log in with `purpose = "login"`: `"anyone"`, or lists, of which a person must meet every one that is
        /// given. Required with authority `gateway` as soon as `public_url` is not on loopback.
        ALLOW: Either<Choice<Anyone>, AllowTable> = optional("allow");
        /// With `purpose = "verify"`: the call that reports the verified address to the backend, with the visitor's
        /// access token. Unless it is answered 2xx, the code stays valid. It carries `vestibule-assertion`.
        /// Placeholders: `{channel}`, `{address}`, `{address_e164}`, `{access_token}`, `{sub}`, `{provider_sub}`,
        /// `{method}`, `{device_id}`, `{device_name}`, `{claims.NAME}`.
        NOTIFY: Table<PlainCallTable> = optional("notify");
        /// The names of the fields in the bodies of `send`, `resend` and `verify` and in the forms of the pages, e.g.
        /// `{ address = "number" }`.
        FIELDS: Table<FieldsTable> = optional("fields");
        /// The order of senders: each is tried if the one before it failed. Default: all that are configured, in the
        /// order of the file.
        ORDER: List<form::Text> = optional("order");
        /// For development on loopback only: messages are not sent but written to a file, or posted to a server of this
        /// machine.
        OUTBOX: Table<OutboxTable> = optional("outbox");
    }
}

table! {
    /// `fields` of both channels.
    pub(crate) struct FieldsTable {
        /// The field for the phone number or e-mail address. Default: `phone` or `email`.
        ADDRESS: form::Text = optional("address");
        /// The field for the code.
        CODE: form::Text = default("code", "\"code\"");
    }
}

words! { CodePurpose: "verify" => Self::Verify, "login" => Self::Login, "prove" => Self::Prove }

/// Reads who may log in by codes of this channel; `None` where its codes do not log in.
pub(super) fn login(
    channel: Channel,
    section: &Section<'_, ChannelTable>,
    issuer: Issuer,
    server: &ServerSettings,
    cx: &mut Context<'_>,
) -> Option<CodeLogin> {
    if !section.is_present() || section.read(&ChannelTable::PURPOSE) != CodePurpose::Login {
        return None;
    }
    let help = match channel {
        Channel::Sms => PHONES,
        Channel::Email => EMAILS,
    };
    let allow = allow::allow(section, &ChannelTable::ALLOW, help, cx);
    match issuer {
        Issuer::Backend => {}
        Issuer::Gateway => {
            allow::complain_of_missing((section, &ChannelTable::ALLOW), channel.as_str(), help, server, cx);
        }
        Issuer::Provider => cx.complain(
            section.place(&ChannelTable::PURPOSE),
            "the authority `provider` has no tokens for a code",
            "write `[authority]` with `kind = \"backend\"` or `kind = \"gateway\"`, or another `purpose`",
        ),
    }
    Some(CodeLogin { channel, allow })
}

/// Reads the shared keys except `order` and `outbox`; `login` is the result of [`login`].
pub(super) fn channel(
    channel: Channel,
    section: &Section<'_, ChannelTable>,
    login: Option<&CodeLogin>,
    upstreams: Upstreams<'_>,
    cx: &mut Context<'_>,
) -> Option<ChannelSettings> {
    let purpose = section.read(&ChannelTable::PURPOSE);
    let bound: [(&dyn AnyKey<Table = ChannelTable>, _); 2] =
        [(&ChannelTable::ALLOW, CodePurpose::Login), (&ChannelTable::NOTIFY, CodePurpose::Verify)];
    for (key, wanted) in bound {
        if section.has(key) && purpose != wanted && !section.is_malformed(&ChannelTable::PURPOSE) {
            let (name, wanted) = (key.name(), wanted.word());
            let message = format!("`{name}` is for `purpose = \"{wanted}\"`, and this one is \"{}\"", purpose.word());
            cx.complain(section.place_of_key(key), message, "leave it out, or write the other purpose");
        }
    }
    let notify = section.section(&ChannelTable::NOTIFY);
    let notify = if notify.is_present() { Some(self::notify(&notify, upstreams, cx)?) } else { None };
    let fields = field_names(channel, &section.section(&ChannelTable::FIELDS), cx);
    Some(ChannelSettings { purpose, allow: login.and_then(|login| login.allow.clone()), notify, fields })
}

/// Reads the names of the fields.
fn field_names(channel: Channel, section: &Section<'_, FieldsTable>, cx: &mut Context<'_>) -> FieldNames {
    let address = section.optional(&FieldsTable::ADDRESS).unwrap_or_else(|| channel.field().to_owned());
    let code = section.read(&FieldsTable::CODE);
    is_field(&address, &OWN_FIELDS, &[], section.place(&FieldsTable::ADDRESS), cx);
    is_field(&code, &OWN_FIELDS, std::slice::from_ref(&address), section.place(&FieldsTable::CODE), cx);
    FieldNames { address, code }
}

/// Reads `notify`. It carries the person's access token, unless the file sets `authorization`.
fn notify(section: &Section<'_, PlainCallTable>, upstreams: Upstreams<'_>, cx: &mut Context<'_>) -> Option<Template> {
    if upstreams.own.is_none() && !section.has(&CallTable::UPSTREAM) {
        let help = format!("write `upstream = \"NAME\"`; there are {}", quoted(upstreams.names));
        cx.complain(section.own_place(), "`upstream` is missing in `notify`", help);
    }
    let mut template = call::plain(section, upstreams, OTP_NOTIFY, cx)?;
    template.assertion = Some("otp.notify");
    if template.headers.iter().all(|(name, _)| *name != http::header::AUTHORIZATION) {
        let bearer = vec![Piece::Literal("Bearer ".to_owned()), Piece::Placeholder(Placeholder::AccessToken)];
        template.headers.push((http::header::AUTHORIZATION, Text(bearer)));
    }
    Some(template)
}

/// A sender `T` and the place of its table, present or not.
pub(super) struct Candidate<'t, T> {
    sender: T,
    name: &'static str,
    is_in_file: bool,
    is_table: bool,
    place: &'t Place,
}

impl<'t, T> Candidate<'t, T> {
    /// The table under `key`, present or not.
    pub(super) fn new<S: Includes<K::Table>, K: AnyKey>(section: &Section<'t, S>, key: &K, sender: T) -> Self {
        let name = key.name();
        let node = section.node(key);
        let is_table = node.is_some_and(|node| node.table().is_some());
        Self { sender, name, is_in_file: node.is_some(), is_table, place: section.place_of_key(key) }
    }
}

/// The configured senders of a channel, in the order in which they are tried: that of `order`, else of the file.
pub(super) fn order<T: Copy>(
    section: &Section<'_, ChannelTable>,
    candidates: &[Candidate<'_, T>],
    cx: &mut Context<'_>,
) -> Vec<T> {
    let start = |candidate: &&Candidate<'_, T>| match candidate.place {
        Place::File(range) => range.start,
        Place::Environment(_) | Place::Nowhere => usize::MAX,
    };
    let names: Vec<_> = candidates.iter().map(|candidate| candidate.name).collect();
    let mut configured: Vec<_> = candidates.iter().filter(|candidate| candidate.is_table).collect();
    configured.sort_by_key(start);
    if candidates.iter().all(|candidate| !candidate.is_in_file) {
        let tables: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        let help = format!("write one of the tables {} below this one", tables.join(", "));
        cx.complain(section.own_place(), "there is nothing that could send the codes", help);
    }
    if !section.has(&ChannelTable::ORDER) {
        return configured.iter().map(|candidate| candidate.sender).collect();
    }
    let mut ordered: Vec<&Candidate<'_, T>> = Vec::new();
    for (name, place) in section.list(&ChannelTable::ORDER) {
        let Some(known) = candidates.iter().find(|candidate| candidate.name == name) else {
            let help = match closest(&name, names.iter().copied()) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("there are {}", quoted(&names)),
            };
            cx.complain(&place, format!("nothing is called `{name}` here"), help);
            continue;
        };
        if ordered.iter().any(|listed| listed.name == name) {
            cx.complain(&place, format!("`{name}` is listed twice"), "leave one of the two out");
        } else if known.is_in_file {
            ordered.push(known);
        } else {
            let help = format!("write its table, or leave \"{name}\" out");
            cx.complain(&place, format!("`{name}` is not configured"), help);
        }
    }
    for unused in configured.iter().filter(|candidate| ordered.iter().all(|listed| listed.name != candidate.name)) {
        let message = format!("`{}` is never used: it is not in `order`", unused.name);
        cx.complain(unused.place, message, "add it to `order`, or leave it out");
    }
    ordered.iter().map(|candidate| candidate.sender).collect()
}
