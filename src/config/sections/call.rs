//! Templates of calls and headers: text with `{placeholders}`, checked against those that exist where the call is made.

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use crate::config::{
    complaint::Problems,
    form,
    secrets::Surroundings,
    section::Section,
    shape,
    tree::{Entry, Node, Place, Value},
};
use crate::{
    call::{self, Body, Piece, Placeholder, Template, TemplateError, Text},
    upstream::{HeaderPiece, HeaderTemplate},
};

/// What a route's headers may ask for.
const HEADERS: &[&str] = &["claims."];

/// Reads a call; `upstream` is the one it goes to, where that is known.
pub(crate) fn call(
    section: &Section<'_>,
    upstream: Option<usize>,
    known: &[&str],
    around: &mut Surroundings<'_>,
) -> Option<Template> {
    let path = section.optional("path", form::text);
    let path = path.and_then(|path| self::path(&path, section.place("path"), known, around.problems));
    let headers = call_headers(section.entries("headers"), known, around);
    let cookies = entries(section.entries("cookies"), known, around);
    for entry in section.entries("cookies") {
        if let Err(help) = form::cookie(&entry.name) {
            around.problems.complain(&entry.place, format!("`{}` cannot be the name of a cookie", entry.name), help);
        }
    }
    let form = entries(section.entries("form"), known, around);
    let json = section.node("json").and_then(|node| json(&node, known, around));
    if section.has("json") && section.has("form") {
        around.problems.complain(
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
        assertion: None,
    })
}

/// Reads a header value of a route: text and claims.
pub(crate) fn header(text: &str, place: &Place, problems: &mut Problems) -> Option<HeaderTemplate> {
    let pieces = written(text, place, HEADERS, problems)?.0;
    literal_header(&pieces, place, problems)?;
    let piece = |piece| match piece {
        Piece::Literal(text) => Some(HeaderPiece::Literal(text)),
        Piece::Placeholder(Placeholder::Claim(name)) => Some(HeaderPiece::Claim(name)),
        Piece::Placeholder(_) => None,
    };
    pieces.into_iter().map(piece).collect::<Option<_>>().map(HeaderTemplate)
}

/// The claims that a call asks for.
pub(crate) fn claims(template: &Template) -> Vec<String> {
    let claim = |placeholder: &Placeholder| match placeholder {
        Placeholder::Claim(name) => Some(name.clone()),
        _ => None,
    };
    template.placeholders().into_iter().filter_map(claim).collect()
}

/// Headers that are not set by hand: those that say where a message ends or goes, and those that are the gateway's own.
pub(crate) fn forbidden_header(name: &HeaderName) -> bool {
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
    let text = written(path, place, known, problems)?;
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

fn call_headers(entries: &[Entry], known: &[&str], around: &mut Surroundings<'_>) -> Vec<(HeaderName, Text)> {
    let mut headers = Vec::new();
    for entry in entries {
        match form::header(&entry.name) {
            Ok(name) if forbidden_header(&name) => {
                around.problems.complain(
                    &entry.place,
                    format!("a call does not set the header `{name}`"),
                    "leave it out; for cookies there is `cookies`",
                );
            }
            Ok(name) => {
                let text = entry.node.text().and_then(|t| text(t, &entry.node.place, known, around));
                if let Some(text) =
                    text.filter(|text| literal_header(&text.0, &entry.node.place, around.problems).is_some())
                {
                    headers.push((name, text));
                }
            }
            Err(help) => {
                around.problems.complain(
                    &entry.place,
                    format!("`{}` cannot be the name of a header", entry.name),
                    help,
                );
            }
        }
    }
    headers
}

fn entries(entries: &[Entry], known: &[&str], around: &mut Surroundings<'_>) -> Vec<(String, Text)> {
    let mut read =
        |entry: &Entry| Some((entry.name.clone(), text(entry.node.text()?, &entry.node.place, known, around)?));
    entries.iter().filter_map(&mut read).collect()
}

/// Reads JSON with placeholders in its strings.
pub(crate) fn json(node: &Node, known: &[&str], around: &mut Surroundings<'_>) -> Option<call::Json> {
    Some(match &node.value {
        Value::Text(text) if is_elsewhere(text) => {
            around.resolve(text, &node.place).map(|text| call::Json::Plain(text.into()))?
        }
        Value::Text(text) => {
            let json = call::Json::from_value(&Json::String(text.clone()), known);
            told(json, text, &node.place, known, around.problems)?
        }
        Value::Number(number) => call::Json::Plain(Json::Number(number.clone())),
        Value::Flag(flag) => call::Json::Plain(Json::Bool(*flag)),
        Value::List(list) => {
            let elements: Vec<_> = list.iter().map(|element| json(element, known, around)).collect();
            call::Json::Array(elements.into_iter().collect::<Option<_>>()?)
        }
        Value::Table(table) => {
            let field = |entry: &Entry| (entry.name.clone(), json(&entry.node, known, around));
            let fields: Vec<_> = table.0.iter().map(field).collect();
            call::Json::Object(fields.into_iter().map(|(name, value)| Some((name, value?))).collect::<Option<_>>()?)
        }
        Value::Other(_) => return None,
    })
}

/// Reads text. What comes from elsewhere is taken as it is, braces and all: it may be a secret, of which no complaint can speak.
pub(crate) fn text(source: &str, place: &Place, known: &[&str], around: &mut Surroundings<'_>) -> Option<Text> {
    if is_elsewhere(source) {
        return around.resolve(source, place).map(|text| Text(vec![Piece::Literal(text)]));
    }
    written(source, place, known, around.problems)
}

/// A text that stands where a secret would is hidden, and warned of.
pub(crate) fn warn_of_secret(name: &str, source: &str, place: &Place, around: &mut Surroundings<'_>) {
    let name = name.to_ascii_lowercase();
    if ["authorization", "key", "secret", "token", "password"].iter().any(|word| name.contains(word)) {
        around.problems.hide(place);
        let _ = around.resolve_secret(source, place);
    }
}

/// Whether a text says where the text is.
pub(crate) fn is_elsewhere(source: &str) -> bool {
    source.starts_with("env:") || source.starts_with("file:")
}

fn written(source: &str, place: &Place, known: &[&str], problems: &mut Problems) -> Option<Text> {
    told(Text::parse(source, known), source, place, known, problems)
}

/// What was read, or a complaint of what is wrong with it.
fn told<T>(
    read: Result<T, TemplateError>,
    source: &str,
    place: &Place,
    known: &[&str],
    problems: &mut Problems,
) -> Option<T> {
    let is_hidden = problems.hides(place) && !shape::is_filled_in(source);
    let (message, help) = match read {
        Ok(read) => return Some(read),
        // Braces of a secret, it may be.
        Err(TemplateError::Unknown { suggestion: None, .. }) if is_hidden => (
            "there is no placeholder of this name here".to_owned(),
            "write `\"env:NAME\"` or `\"file:PATH\"` where the braces are part of a secret".to_owned(),
        ),
        Err(TemplateError::Unknown { name, suggestion: Some(meant) }) => {
            (format!("there is no `{{{name}}}` here"), format!("did you mean `{{{meant}}}`?"))
        }
        Err(TemplateError::Unknown { name, suggestion: None }) => {
            let spelled = |known: &&str| {
                if known.ends_with('.') { format!("`{{{known}NAME}}`") } else { format!("`{{{known}}}`") }
            };
            let known: Vec<_> = known.iter().map(spelled).collect();
            (format!("there is no `{{{name}}}` here"), format!("here there are {}", known.join(", ")))
        }
        Err(TemplateError::InsideQuery) => (
            "a query cannot hold placeholders: a value would become part of its syntax".to_owned(),
            "use a variable of the query, and put the placeholder under `variables`".to_owned(),
        ),
    };
    problems.complain(place, message, help);
    None
}

/// `None` where a header cannot hold what stands around the placeholders; that is complained about.
pub(crate) fn literal_header(pieces: &[Piece], place: &Place, problems: &mut Problems) -> Option<()> {
    let bad = |piece: &Piece| matches!(piece, Piece::Literal(text) if !text.is_ascii() || HeaderValue::from_str(text).is_err());
    if pieces.iter().any(bad) {
        problems.complain(place, "a header holds visible ASCII characters only", "percent-encode the rest");
        return None;
    }
    Some(())
}
