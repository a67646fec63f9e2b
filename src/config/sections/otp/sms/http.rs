//! `[otp.sms.http]`: the template of any HTTP API that sends SMS.

use http::HeaderName;

use super::{
    super::super::call,
    providers::{SenderTimeoutTable, warn_of_http},
    success::{SmsSuccessTable, success},
};
use crate::{
    call::{self as templates, Body, Piece, Placeholder, Text, Texts},
    config::schema::{
        context::Context,
        form,
        key::{Any, AnyKey, Choice, Entries, Table, table, words},
        section::Section,
        tree::{Entry, Node, Place, Value},
    },
    otp::deliver::{Hmac, HmacAlgorithm, HmacEncoding, HttpApi},
    secret::Secret,
};

table! {
    /// `[otp.sms.http]`
    pub(crate) struct SmsHttpTable {
        /// The URL, with placeholders in path and query. Placeholders of this and all other keys: `{address}` (Korean
        /// numbers as domestic digits, others in E.164), `{address_e164}`, `{text}`, `{sender}`, `{timestamp}`
        /// (milliseconds), `{date}` (RFC 3339), `{nonce}` (22 letters, digits, `-` and `_`) and `{signature}`, all of
        /// them as text.
        URL: form::Text = required("url");
        /// The HTTP method.
        METHOD: form::Method = default("method", "\"POST\"");
        /// Headers, e.g. `{ authorization = "env:SMS_AUTHORIZATION" }` where that variable is `Bearer …`. Values of
        /// `env:` and `file:` are used unchanged, without placeholders. The same applies to `json` and `form`.
        HEADERS: Entries<form::Secret> = optional("headers");
        /// The body as JSON, e.g. `{ to = "{address_e164}", message = "{text}", apiKey = "env:SMS_KEY" }`. With neither
        /// `json` nor `form` there is no body.
        JSON: Any = optional("json");
        /// The body as a form, instead of `json`.
        FORM: Entries<form::Secret> = optional("form");
        /// The value of `{sender}`.
        SENDER: form::Indirect = optional("sender");
        /// The user name of HTTP Basic authentication.
        USER: form::Indirect = optional("user");
        /// The password of HTTP Basic authentication.
        PASSWORD: form::Secret = optional("password");
        /// How `{signature}` is made.
        HMAC: Table<SmsHmacTable> = optional("hmac");
        /// Which answers mean that the message was sent. Default: any 2xx that is not an HTML page.
        SUCCESS: Table<SmsSuccessTable> = optional("success");
    }
    then SenderTimeoutTable
}

table! {
    /// `hmac` of `[otp.sms.http]`
    pub(crate) struct SmsHmacTable {
        /// The key of the HMAC, used without decoding base64.
        SECRET: form::Secret = required("secret");
        /// The hash function.
        ALGORITHM: Choice<HmacAlgorithm> = default("algorithm", "\"sha256\"");
        /// What is signed, e.g. `"{timestamp}{nonce}"`; the placeholders are the same ones as in the call.
        TEXT: form::Text = required("text");
        /// How the signature is written: lower-case hexadecimal digits, or base64 with padding.
        ENCODING: Choice<HmacEncoding> = default("encoding", "\"hex\"");
    }
}

words! {
    HmacAlgorithm:
    "sha256" => Self::Sha256,
    "sha1" => Self::Sha1,
    "sha512" => Self::Sha512,
}

words! { HmacEncoding: "hex" => Self::Hex, "base64" => Self::Base64 }

/// Reads the call.
pub(super) fn http(section: &Section<'_, SmsHttpTable>, cx: &mut Context<'_>) -> Option<HttpApi> {
    let reader = TemplateReader {
        known: KNOWN,
        has_sender: section.has(&SmsHttpTable::SENDER),
        has_hmac: section.has(&SmsHttpTable::HMAC),
    };
    let address = reader.address(section, cx);
    let headers = reader.headers(section, cx);
    let body = reader.body(section, cx);
    let basic = basic(section, &headers, cx);
    let hmac_section = section.section(&SmsHttpTable::HMAC);
    let hmac = hmac_section.is_present().then(|| reader.hmac(&hmac_section, cx));
    let sender = cx.indirect(section, &SmsHttpTable::SENDER);
    let success = success(&section.section(&SmsHttpTable::SUCCESS), cx);
    let (origin, target) = address?;
    Some(HttpApi {
        origin,
        target,
        method: section.read(&SmsHttpTable::METHOD),
        headers,
        body: body?,
        sender: sender.unwrap_or_default(),
        basic: if section.has(&SmsHttpTable::USER) { Some(basic?) } else { None },
        hmac: if let Some(hmac) = hmac { Some(hmac?) } else { None },
        success: success?,
        timeout: section.read(&SenderTimeoutTable::TIMEOUT),
    })
}

/// The placeholders of the call.
const KNOWN: &[&str] = &["address", "address_e164", "text", "sender", "timestamp", "date", "nonce", "signature"];
/// The placeholders of the text that is signed.
const SIGNED: &[&str] = &["address", "address_e164", "text", "sender", "timestamp", "date", "nonce"];

/// Reads the texts of the call.
struct TemplateReader {
    known: &'static [&'static str],
    has_sender: bool,
    has_hmac: bool,
}

impl TemplateReader {
    /// The origin, and the rest of the address as a template.
    fn address(&self, section: &Section<'_, SmsHttpTable>, cx: &mut Context<'_>) -> Option<(String, Text)> {
        let (source, place) = (section.optional(&SmsHttpTable::URL)?, section.place(&SmsHttpTable::URL));
        let host = source.find("://").map_or(0, |at| at + 3);
        let (origin, rest) = source.split_at(source[host..].find(['/', '?', '#']).map_or(source.len(), |at| host + at));
        let Some(url) = form::origin(origin).ok().filter(|_| !origin.contains(['{', '}'])) else {
            let help = "begin with `https://` and a host; placeholders stand in the path and the query";
            cx.complain(place, "`url` must be a web address", help);
            return None;
        };
        warn_of_http(&url, place, cx);
        let text = self.text(&if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }, place, cx)?;
        let plain = |piece: &Piece| match piece {
            Piece::Literal(text) => text.bytes().all(|b| b.is_ascii_graphic() && !b"{}\\#".contains(&b)),
            Piece::Placeholder(_) => true,
        };
        if !text.0.iter().all(plain) {
            let help = "leave out spaces, single braces and `#`, and percent-encode what is not ASCII";
            cx.complain(place, "`url` must be a web address", help);
            return None;
        }
        Some((url.as_str().trim_end_matches('/').to_owned(), text))
    }

    fn headers(&self, section: &Section<'_, SmsHttpTable>, cx: &mut Context<'_>) -> Vec<(HeaderName, Text)> {
        let mut headers = Vec::new();
        for entry in section.entries(&SmsHttpTable::HEADERS) {
            match form::header(&entry.name) {
                Ok(name) if call::forbidden_header(&name) => {
                    let message = format!("a call does not set the header `{name}`");
                    cx.complain(&entry.place, message, "leave it out");
                }
                Ok(name) => {
                    let value = self.value(entry, cx);
                    let place = &entry.node.place;
                    if let Some(value) = value.filter(|text| call::literal_header(&text.0, place, cx).is_some()) {
                        headers.push((name, value));
                    }
                }
                Err(help) => {
                    let message = format!("`{}` cannot be the name of a header", entry.name);
                    cx.complain(&entry.place, message, help);
                }
            }
        }
        headers
    }

    fn body(&self, section: &Section<'_, SmsHttpTable>, cx: &mut Context<'_>) -> Option<Body> {
        if section.has(&SmsHttpTable::JSON) && section.has(&SmsHttpTable::FORM) {
            let message = "a call has one body: `json` or `form`";
            cx.complain(section.place_of_key(&SmsHttpTable::FORM), message, "leave one of the two out");
        }
        if let Some(node) = section.node(&SmsHttpTable::JSON) {
            return self.json("", node, cx).map(Body::Json);
        }
        if !section.has(&SmsHttpTable::FORM) {
            return Some(Body::Empty);
        }
        let fields: Vec<_> = section
            .entries(&SmsHttpTable::FORM)
            .iter()
            .map(|entry| Some((entry.name.clone(), self.value(entry, cx)?)))
            .collect();
        fields.into_iter().collect::<Option<_>>().map(Body::Form)
    }

    fn json(&self, name: &str, node: &Node, cx: &mut Context<'_>) -> Option<templates::Json> {
        Some(match &node.value {
            Value::Text(source) => {
                let json = call::json(node, Texts::MayBeQueries, self.known, cx)?;
                match &json {
                    _ if form::is_reference(source) => {}
                    templates::Json::Value(placeholder) => self.check(placeholder, &node.place, cx),
                    templates::Json::Text(text) => self.check_all(text, &node.place, cx),
                    _ => call::warn_of_secret(name, source, &node.place, cx),
                }
                json
            }
            Value::List(list) => {
                let elements: Vec<_> = list.iter().map(|element| self.json(name, element, cx)).collect();
                templates::Json::Array(elements.into_iter().collect::<Option<_>>()?)
            }
            Value::Table(table) => {
                let member = |entry: &Entry| Some((entry.name.clone(), self.json(&entry.name, &entry.node, cx)?));
                let members: Vec<_> = table.0.iter().map(member).collect();
                templates::Json::Object(members.into_iter().collect::<Option<_>>()?)
            }
            _ => call::json(node, Texts::MayBeQueries, self.known, cx)?,
        })
    }

    fn hmac(&self, section: &Section<'_, SmsHmacTable>, cx: &mut Context<'_>) -> Option<Hmac> {
        let secret = cx.secret(section, &SmsHmacTable::SECRET);
        let text = section.optional(&SmsHmacTable::TEXT);
        let reader = Self { known: SIGNED, ..*self };
        let text = text.and_then(|text| reader.text(&text, section.place(&SmsHmacTable::TEXT), cx));
        Some(Hmac {
            secret: secret?,
            text: text?,
            algorithm: section.read(&SmsHmacTable::ALGORITHM),
            encoding: section.read(&SmsHmacTable::ENCODING),
        })
    }

    /// The value of a header or field.
    fn value(&self, entry: &Entry, cx: &mut Context<'_>) -> Option<Text> {
        let (source, place) = (entry.node.text()?, &entry.node.place);
        let text = self.text(source, place, cx)?;
        if !form::is_reference(source) && !text.0.iter().any(|piece| matches!(piece, Piece::Placeholder(_))) {
            call::warn_of_secret(&entry.name, source, place, cx);
        }
        Some(text)
    }

    fn text(&self, source: &str, place: &Place, cx: &mut Context<'_>) -> Option<Text> {
        let text = call::text(source, place, self.known, cx)?;
        self.check_all(&text, place, cx);
        Some(text)
    }

    fn check_all(&self, text: &Text, place: &Place, cx: &mut Context<'_>) {
        for piece in &text.0 {
            if let Piece::Placeholder(placeholder) = piece {
                self.check(placeholder, place, cx);
            }
        }
    }

    /// Complains of `{sender}` or `{signature}` if its key is missing.
    fn check(&self, placeholder: &Placeholder, place: &Place, cx: &mut Context<'_>) {
        match placeholder {
            Placeholder::Sender if !self.has_sender => {
                cx.complain(place, "there is no sender for `{sender}`", "write `sender = \"…\"` beside `url`");
            }
            Placeholder::Signature if !self.has_hmac => {
                let help = "write `hmac = { secret = \"env:NAME\", text = \"{timestamp}{nonce}\" }` beside `url`";
                cx.complain(place, "nothing says how `{signature}` is made", help);
            }
            _ => {}
        }
    }
}

fn basic(
    section: &Section<'_, SmsHttpTable>,
    headers: &[(HeaderName, Text)],
    cx: &mut Context<'_>,
) -> Option<(String, Secret)> {
    if section.has(&SmsHttpTable::USER) != section.has(&SmsHttpTable::PASSWORD) {
        let keys: [&dyn AnyKey<Table = SmsHttpTable>; 2] = [&SmsHttpTable::USER, &SmsHttpTable::PASSWORD];
        let [there, missing] = if section.has(&SmsHttpTable::USER) { keys } else { [keys[1], keys[0]] };
        let help = format!("write `{}` too, or leave `{}` out", missing.name(), there.name());
        let message = format!("`{}` without `{}`", there.name(), missing.name());
        cx.complain(section.place_of_key(there), message, help);
    }
    if section.has(&SmsHttpTable::USER) && headers.iter().any(|(name, _)| name == http::header::AUTHORIZATION) {
        let message = "`user` and `password` are sent as the header `authorization`, which `headers` sets too";
        cx.complain(section.place_of_key(&SmsHttpTable::USER), message, "leave one of the two out");
    }
    let (user, password) = (cx.indirect(section, &SmsHttpTable::USER), cx.secret(section, &SmsHttpTable::PASSWORD));
    Some((user?, password?))
}
