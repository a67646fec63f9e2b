//! `[otp.sms.http]`: the template of any HTTP API that sends SMS.

use http::HeaderName;

use crate::config::{
    form,
    secrets::Surroundings,
    section::Section,
    sms, template,
    tree::{Entry, Node, Place, Value},
};
use crate::{
    call::{self, Body, Piece, Placeholder, Text},
    otp::deliver::{Hmac, HmacAlgorithm, HmacEncoding, HttpApi, Success},
};

/// Reads the call.
pub(crate) fn http(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<HttpApi> {
    let reader = Reader { known: KNOWN, has_sender: section.has("sender"), has_hmac: section.has("hmac") };
    let address = reader.address(section, around);
    let headers = reader.headers(section, around);
    let body = reader.body(section, around);
    let basic = basic(section, &headers, around);
    let hmac_section = section.section("hmac");
    let hmac = hmac_section.is_present().then(|| reader.hmac(&hmac_section, around));
    let sender = around.indirect(section, "sender");
    let success = success(&section.section("success"), around);
    let (origin, target) = address?;
    Some(HttpApi {
        origin,
        target,
        method: section.read("method", form::method),
        headers,
        body: body?,
        sender: sender.unwrap_or_default(),
        basic: if section.has("user") { Some(basic?) } else { None },
        hmac: if let Some(hmac) = hmac { Some(hmac?) } else { None },
        success: success?,
        timeout: section.read("timeout", form::duration),
    })
}

const KNOWN: &[&str] = &["address", "address_e164", "text", "sender", "timestamp", "date", "nonce", "signature"];
/// What a signature can be of.
const SIGNED: &[&str] = &["address", "address_e164", "text", "sender", "timestamp", "date", "nonce"];

/// Reads texts of one call.
struct Reader {
    known: &'static [&'static str],
    has_sender: bool,
    has_hmac: bool,
}

impl Reader {
    /// The origin as it is, and what stands behind it as a template.
    fn address(&self, section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<(String, Text)> {
        let (source, place) = (section.optional("url", form::text)?, section.place("url"));
        let host = source.find("://").map_or(0, |at| at + 3);
        let (origin, rest) = source.split_at(source[host..].find(['/', '?', '#']).map_or(source.len(), |at| host + at));
        let Some(url) = form::origin(origin).ok().filter(|_| !origin.contains(['{', '}'])) else {
            let help = "begin with `https://` and a host; placeholders stand in the path and the query";
            around.problems.complain(place, "`url` must be a web address", help);
            return None;
        };
        sms::warn_of_http(&url, place, around);
        let text =
            self.text(&if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") }, place, around)?;
        let plain = |piece: &Piece| match piece {
            Piece::Literal(text) => text.bytes().all(|b| b.is_ascii_graphic() && !b"{}\\#".contains(&b)),
            Piece::Placeholder(_) => true,
        };
        if !text.0.iter().all(plain) {
            let help = "leave out spaces, single braces and `#`, and percent-encode what is not ASCII";
            around.problems.complain(place, "`url` must be a web address", help);
            return None;
        }
        Some((url.as_str().trim_end_matches('/').to_owned(), text))
    }

    fn headers(&self, section: &Section<'_>, around: &mut Surroundings<'_>) -> Vec<(HeaderName, Text)> {
        let mut headers = Vec::new();
        for entry in section.entries("headers") {
            match form::header(&entry.name) {
                Ok(name) if template::forbidden_header(&name) => {
                    let message = format!("a call does not set the header `{name}`");
                    around.problems.complain(&entry.place, message, "leave it out");
                }
                Ok(name) => {
                    let value = self.value(entry, around);
                    let place = &entry.node.place;
                    if let Some(value) =
                        value.filter(|text| template::literal_header(&text.0, place, around.problems).is_some())
                    {
                        headers.push((name, value));
                    }
                }
                Err(help) => {
                    let message = format!("`{}` cannot be the name of a header", entry.name);
                    around.problems.complain(&entry.place, message, help);
                }
            }
        }
        headers
    }

    fn body(&self, section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Body> {
        if section.has("json") && section.has("form") {
            let message = "a call has one body: `json` or `form`";
            around.problems.complain(section.place_of_key("form"), message, "leave one of the two out");
        }
        if let Some(node) = section.node("json") {
            return self.json("", &node, around).map(Body::Json);
        }
        if !section.has("form") {
            return Some(Body::Empty);
        }
        let fields: Vec<_> = section
            .entries("form")
            .iter()
            .map(|entry| Some((entry.name.clone(), self.value(entry, around)?)))
            .collect();
        fields.into_iter().collect::<Option<_>>().map(Body::Form)
    }

    fn json(&self, name: &str, node: &Node, around: &mut Surroundings<'_>) -> Option<call::Json> {
        Some(match &node.value {
            Value::Text(source) => {
                let json = template::json(node, self.known, around)?;
                match &json {
                    _ if template::is_elsewhere(source) => {}
                    call::Json::Value(placeholder) => self.check(placeholder, &node.place, around),
                    call::Json::Text(text) => self.check_all(text, &node.place, around),
                    _ => template::warn_of_secret(name, source, &node.place, around),
                }
                json
            }
            Value::List(list) => {
                let elements: Vec<_> = list.iter().map(|element| self.json(name, element, around)).collect();
                call::Json::Array(elements.into_iter().collect::<Option<_>>()?)
            }
            Value::Table(table) => {
                let member = |entry: &Entry| Some((entry.name.clone(), self.json(&entry.name, &entry.node, around)?));
                let members: Vec<_> = table.0.iter().map(member).collect();
                call::Json::Object(members.into_iter().collect::<Option<_>>()?)
            }
            _ => template::json(node, self.known, around)?,
        })
    }

    fn hmac(&self, section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Hmac> {
        let secret = around.secret(section, "secret");
        let text = section.optional("text", form::text);
        let reader = Self { known: SIGNED, ..*self };
        let text = text.and_then(|text| reader.text(&text, section.place("text"), around));
        Some(Hmac {
            secret: secret?,
            text: text?,
            algorithm: match section.read("algorithm", form::text).as_str() {
                "sha1" => HmacAlgorithm::Sha1,
                "sha512" => HmacAlgorithm::Sha512,
                _ => HmacAlgorithm::Sha256,
            },
            encoding: match section.read("encoding", form::text).as_str() {
                "base64" => HmacEncoding::Base64,
                _ => HmacEncoding::Hex,
            },
        })
    }

    /// The value of a header or field.
    fn value(&self, entry: &Entry, around: &mut Surroundings<'_>) -> Option<Text> {
        let (source, place) = (entry.node.text()?, &entry.node.place);
        let text = self.text(source, place, around)?;
        if !template::is_elsewhere(source) && !text.0.iter().any(|piece| matches!(piece, Piece::Placeholder(_))) {
            template::warn_of_secret(&entry.name, source, place, around);
        }
        Some(text)
    }

    fn text(&self, source: &str, place: &Place, around: &mut Surroundings<'_>) -> Option<Text> {
        let text = template::text(source, place, self.known, around)?;
        self.check_all(&text, place, around);
        Some(text)
    }

    fn check_all(&self, text: &Text, place: &Place, around: &mut Surroundings<'_>) {
        for piece in &text.0 {
            if let Piece::Placeholder(placeholder) = piece {
                self.check(placeholder, place, around);
            }
        }
    }

    /// Complains of a placeholder for which there is nothing.
    fn check(&self, placeholder: &Placeholder, place: &Place, around: &mut Surroundings<'_>) {
        match placeholder {
            Placeholder::Sender if !self.has_sender => {
                around.problems.complain(
                    place,
                    "there is no sender for `{sender}`",
                    "write `sender = \"…\"` beside `url`",
                );
            }
            Placeholder::Signature if !self.has_hmac => {
                let help = "write `hmac = { secret = \"env:NAME\", text = \"{timestamp}{nonce}\" }` beside `url`";
                around.problems.complain(place, "nothing says how `{signature}` is made", help);
            }
            _ => {}
        }
    }
}

fn basic(
    section: &Section<'_>,
    headers: &[(HeaderName, Text)],
    around: &mut Surroundings<'_>,
) -> Option<(String, crate::secret::Secret)> {
    if section.has("user") != section.has("password") {
        let (there, missing) = if section.has("user") { ("user", "password") } else { ("password", "user") };
        let help = format!("write `{missing}` too, or leave `{there}` out");
        around.problems.complain(section.place_of_key(there), format!("`{there}` without `{missing}`"), help);
    }
    if section.has("user") && headers.iter().any(|(name, _)| name == http::header::AUTHORIZATION) {
        let message = "`user` and `password` are sent as the header `authorization`, which `headers` sets too";
        around.problems.complain(section.place_of_key("user"), message, "leave one of the two out");
    }
    let (user, password) = (around.indirect(section, "user"), around.secret(section, "password"));
    Some((user?, password?))
}

fn success(section: &Section<'_>, around: &mut Surroundings<'_>) -> Option<Success> {
    let status = |node: &Node| match &node.value {
        Value::Number(number) => u16::try_from(number.as_u64()?).ok(),
        _ => None,
    };
    let statuses = section.node("status").as_deref().map_or(&[][..], Node::list).iter().filter_map(status).collect();
    if section.has("pointer") != section.has("equals") {
        let (there, missing) = if section.has("pointer") { ("pointer", "equals") } else { ("equals", "pointer") };
        let help = "write both, e.g. `success = { pointer = \"/result_code\", equals = 1 }`";
        around.problems.complain(section.place_of_key(there), format!("`{there}` without `{missing}`"), help);
        return None;
    }
    let Some(node) = section.node("equals") else { return Some(Success { statuses, field: None }) };
    let values = match &node.value {
        Value::List(list) => list.iter().map(plain).collect::<Option<Vec<_>>>().filter(|values| !values.is_empty()),
        _ => plain(&node).map(|value| vec![value]),
    };
    let Some(values) = values else {
        let message = "`equals` must be a text, a number or a flag, or a list of them";
        around.problems.complain(section.place("equals"), message, "write e.g. `equals = 1`");
        return None;
    };
    Some(Success { statuses, field: Some((section.optional("pointer", form::pointer)?, values)) })
}

fn plain(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Flag(flag) => Some(flag.to_string()),
        Value::List(_) | Value::Table(_) | Value::Other(_) => None,
    }
}
