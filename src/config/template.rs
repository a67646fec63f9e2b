//! Templates of calls and headers: text with `{placeholders}`, checked against those that exist where the call is made.

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::{
    complaint::Problems,
    form,
    key::closest,
    section::Section,
    tree::{Entry, Node, Place, Value},
};
use crate::{
    call::{self, Body, Piece, Placeholder, Template, Text},
    upstream::{HeaderPiece, HeaderTemplate},
};

/// What the calls after a login at a provider may ask for.
pub(super) const EXCHANGE: &[&str] = &[
    "provider",
    "id_token",
    "access_token",
    "refresh_token",
    "profile",
    "email",
    "device_id",
    "device_name",
    "claims.NAME",
];
/// What `POST {base_path}/login` brings.
pub(super) const CREDENTIALS: &[&str] = &["email", "password", "device_id", "device_name"];
/// What a session holds.
pub(super) const SESSION: &[&str] = &["refresh_token", "access_token", "provider", "device_id"];
/// What a route's headers may ask for.
pub(super) const HEADERS: &[&str] = &["claims.NAME"];

/// Reads a call; `upstream` is the one it goes to, where that is known.
pub(super) fn call(
    section: &Section<'_>,
    upstream: Option<usize>,
    known: &[&str],
    problems: &mut Problems,
) -> Option<Template> {
    let path = section.optional("path", form::text);
    let path = path.and_then(|path| self::path(&path, section.place("path"), known, problems));
    let headers = call_headers(section.entries("headers"), known, problems);
    let cookies = entries(section.entries("cookies"), known, problems);
    for entry in section.entries("cookies") {
        if let Err(help) = form::cookie(&entry.name) {
            problems.complain(&entry.place, format!("`{}` cannot be the name of a cookie", entry.name), help);
        }
    }
    let form = entries(section.entries("form"), known, problems);
    let json = section.node("json").and_then(|node| json(&node, known, problems));
    if section.has("json") && section.has("form") {
        problems.complain(
            section.place_of_key("form"),
            "a call has one body: `json` or `form`",
            "leave one of the two out",
        );
    }
    let body = match json {
        Some(json) => Body::Json(json),
        None if section.has("form") => Body::Form(form),
        None => Body::Empty,
    };
    Some(Template {
        upstream: upstream?,
        method: section.read("method", form::method),
        path: path?,
        headers,
        cookies,
        body,
        timeout: section.read("timeout", form::duration),
    })
}

/// Reads a header value of a route: text and claims.
pub(super) fn header(text: &str, place: &Place, problems: &mut Problems) -> Option<HeaderTemplate> {
    let pieces = self::text(text, place, HEADERS, problems)?.0;
    literal_header(&pieces, place, problems)?;
    let piece = |piece| match piece {
        Piece::Literal(text) => Some(HeaderPiece::Literal(text)),
        Piece::Placeholder(Placeholder::Claim(name)) => Some(HeaderPiece::Claim(name)),
        Piece::Placeholder(_) => None,
    };
    pieces.into_iter().map(piece).collect::<Option<_>>().map(HeaderTemplate)
}

/// Headers that are not set by hand: those that say where a message ends or goes, and those that are the gateway's own.
pub(super) fn forbidden_header(name: &HeaderName) -> bool {
    const OURS: &[&str] = &[
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "host",
        "cookie",
        "forwarded",
        "x-auth-status",
        "x-real-ip",
    ];
    let name = name.as_str();
    OURS.contains(&name)
        || ["x-forwarded-", "vestibule-", "sec-websocket-"].iter().any(|prefix| name.starts_with(prefix))
}

fn path(path: &str, place: &Place, known: &[&str], problems: &mut Problems) -> Option<Text> {
    let text = text(path, place, known, problems)?;
    let literal = |piece: &Piece| match piece {
        Piece::Literal(text) => text.bytes().all(|b| b.is_ascii_graphic() && !b"{}\\#".contains(&b)),
        Piece::Placeholder(_) => true,
    };
    if path.starts_with('/') && !path.starts_with("//") && text.0.iter().all(literal) {
        return Some(text);
    }
    problems.complain(
        place,
        "`path` must be the path of a call",
        "begin with one `/`, and leave out spaces and single braces, e.g. \"/auth/{provider}\"",
    );
    None
}

fn call_headers(entries: &[Entry], known: &[&str], problems: &mut Problems) -> Vec<(HeaderName, Text)> {
    let mut headers = Vec::new();
    for entry in entries {
        match form::header(&entry.name) {
            Ok(name) if forbidden_header(&name) => {
                problems.complain(
                    &entry.place,
                    format!("a call does not set the header `{name}`"),
                    "leave it out; for cookies there is `cookies`",
                );
            }
            Ok(name) => {
                let text = entry.node.text().and_then(|t| text(t, &entry.node.place, known, problems));
                if let Some(text) = text.filter(|text| literal_header(&text.0, &entry.node.place, problems).is_some()) {
                    headers.push((name, text));
                }
            }
            Err(help) => {
                problems.complain(&entry.place, format!("`{}` cannot be the name of a header", entry.name), help);
            }
        }
    }
    headers
}

fn entries(entries: &[Entry], known: &[&str], problems: &mut Problems) -> Vec<(String, Text)> {
    let read =
        |entry: &Entry| Some((entry.name.clone(), text(entry.node.text()?, &entry.node.place, known, problems)?));
    entries.iter().filter_map(read).collect()
}

fn json(node: &Node, known: &[&str], problems: &mut Problems) -> Option<call::Json> {
    Some(match &node.value {
        Value::Text(string) => {
            let mut text = text(string, &node.place, known, problems)?;
            match text.0.as_mut_slice() {
                [Piece::Placeholder(placeholder)] => call::Json::Value(placeholder.clone()),
                pieces if pieces.iter().any(|piece| matches!(piece, Piece::Placeholder(_))) => call::Json::Text(text),
                _ => call::Json::Plain(Json::String(string.clone())),
            }
        }
        Value::Number(number) => call::Json::Plain(Json::Number(number.clone())),
        Value::Flag(flag) => call::Json::Plain(Json::Bool(*flag)),
        Value::List(list) => {
            let elements: Vec<_> = list.iter().map(|element| json(element, known, problems)).collect();
            call::Json::Array(elements.into_iter().collect::<Option<_>>()?)
        }
        Value::Table(table) => {
            let mut fields = Vec::new();
            for Entry { name, node, .. } in &table.0 {
                let value = json(node, known, problems);
                if name == "query" && matches!(value, Some(call::Json::Text(_))) {
                    // A value inside the text of a query would be syntax of it (GraphQL).
                    problems.complain(
                        &node.place,
                        "a query cannot hold placeholders",
                        "use a variable of the query, and put the placeholder under `variables`",
                    );
                }
                fields.push(value.map(|value| (name.clone(), value)));
            }
            call::Json::Object(fields.into_iter().collect::<Option<_>>()?)
        }
        Value::Other(_) => return None,
    })
}

/// Reads text with placeholders. A brace that does not open a `{name}` is a brace.
fn text(source: &str, place: &Place, known: &[&str], problems: &mut Problems) -> Option<Text> {
    let (mut pieces, mut literal, mut good, mut rest) = (Vec::new(), String::new(), true, source);
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        literal.push_str(before);
        let Some(name) = name_at(&after[1..]) else {
            literal.push('{');
            rest = &after[1..];
            continue;
        };
        rest = &after[name.len() + 2..];
        let Some(placeholder) = placeholder(name, known) else {
            complain_of_placeholder(name, known, place, problems);
            good = false;
            continue;
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Placeholder(placeholder));
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    good.then_some(Text(pieces))
}

/// The name that stands before the next `}`, where it looks like one.
fn name_at(after_brace: &str) -> Option<&str> {
    let name = &after_brace[..after_brace.find('}')?];
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':' | '/');
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(word)).then_some(name)
}

fn placeholder(name: &str, known: &[&str]) -> Option<Placeholder> {
    if let Some(claim) = name.strip_prefix("claims.") {
        return (known.contains(&"claims.NAME") && !claim.is_empty()).then(|| Placeholder::Claim(claim.to_owned()));
    }
    let placeholder = match name {
        "provider" => Placeholder::Provider,
        "id_token" => Placeholder::IdToken,
        "access_token" => Placeholder::AccessToken,
        "refresh_token" => Placeholder::RefreshToken,
        "profile" => Placeholder::Profile,
        "email" => Placeholder::Email,
        "password" => Placeholder::Password,
        "device_id" => Placeholder::DeviceId,
        "device_name" => Placeholder::DeviceName,
        _ => return None,
    };
    known.contains(&name).then_some(placeholder)
}

fn complain_of_placeholder(name: &str, known: &[&str], place: &Place, problems: &mut Problems) {
    let claim = name.split_once('.').filter(|(space, claim)| closest(space, ["claims"]).is_some() && !claim.is_empty());
    let help = match (claim, closest(name, known.iter().copied())) {
        (Some((_, claim)), _) if known.contains(&"claims.NAME") => format!("did you mean `{{claims.{claim}}}`?"),
        (_, Some(meant)) => format!("did you mean `{{{meant}}}`?"),
        (_, None) => {
            format!(
                "here there are {}",
                known.iter().map(|name| format!("`{{{name}}}`")).collect::<Vec<_>>().join(", ")
            )
        }
    };
    problems.complain(place, format!("there is no `{{{name}}}` here"), help);
}

fn literal_header(pieces: &[Piece], place: &Place, problems: &mut Problems) -> Option<()> {
    let bad = |piece: &Piece| matches!(piece, Piece::Literal(text) if !text.is_ascii() || HeaderValue::from_str(text).is_err());
    if pieces.iter().any(bad) {
        problems.complain(place, "a header holds visible ASCII characters only", "percent-encode the rest");
        return None;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Option<Vec<Piece>> {
        text(source, &Place::Nowhere, EXCHANGE, &mut Problems::default()).map(|text| text.0)
    }

    #[test]
    fn placeholders_are_names_in_braces_and_other_braces_are_text() {
        let literal = |text: &str| Piece::Literal(text.to_owned());
        let claim = |name: &str| Piece::Placeholder(Placeholder::Claim(name.to_owned()));
        assert_eq!(read("a{email}b"), Some(vec![literal("a"), Piece::Placeholder(Placeholder::Email), literal("b")]));
        assert_eq!(read("{claims.https://x.example/role}"), Some(vec![claim("https://x.example/role")]));
        assert_eq!(read("query { me { id } } {} { {"), Some(vec![literal("query { me { id } } {} { {")]));
        assert_eq!(read("{{email}}"), Some(vec![literal("{"), Piece::Placeholder(Placeholder::Email), literal("}")]));
        assert_eq!(read(""), Some(vec![]));
        for unknown in ["{e}", "{claims.}", "{Email}", "{address}"] {
            assert_eq!(read(unknown), None, "{unknown}");
        }
    }
}
