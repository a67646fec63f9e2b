//! Calls to a backend, and the templates in them. Each kind of call has its own set of `{placeholders}`.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde_json::Value as Json;

use super::upstreams;
use crate::{
    call::{self, Body, Piece, Placeholder, Template, TemplateError, Text, Texts},
    config::schema::{
        context::Context,
        form::{self, is_reference},
        key::{Any, AnyKey, Entries, Includes, List, Number, table},
        section::Section,
        shape::{is_filled_in, is_secret_name},
        tree::{Entry, Node, Place, Value},
    },
    own_headers::{OWN_HEADERS, OWN_PREFIX},
    route::has_wildcard,
    upstream::{HeaderPiece, HeaderTemplate, headers::removed_on_arrival},
};

table! {
    /// The keys of all calls to a backend.
    pub(crate) struct CallTable {
        /// The name of the upstream that is called. Default: `authority.upstream`; required where there is none.
        UPSTREAM: form::Text = optional("upstream");
        /// The HTTP method.
        METHOD: form::Method = default("method", "\"POST\"");
        /// The path at the upstream; values of placeholders are percent-encoded in it.
        PATH: form::Text = required("path");
        /// Headers to add, e.g. `{ x-api-version = "2" }`. A value may be `"env:NAME"` or `"file:PATH"`; so may texts
        /// of the body.
        HEADERS: Entries<form::Text> = optional("headers");
        /// The body as JSON, e.g. `{ device = "{device_id}" }`. A string that is only a placeholder becomes the value,
        /// with its type. With neither `json` nor `form` there is no body.
        JSON: Any = optional("json");
        /// The body as a form, instead of `json`.
        FORM: Entries<form::Text> = optional("form");
        /// Cookies to send, for a backend that reads its tokens there.
        COOKIES: Entries<form::Text> = optional("cookies");
    }
}

table! {
    /// A call with the usual timeout.
    pub(crate) struct PlainCallTable: CallTable {
        /// How long the whole call may take, from connecting to the last byte of the answer.
        TIMEOUT: form::Duration = default("timeout", "\"30s\"");
    }
}

table! {
    /// `[authority.refresh]`
    pub(crate) struct RefreshTable: CallTable {
        /// How long the whole call may take, from connecting to the last byte of the answer.
        TIMEOUT: form::Duration = default("timeout", "\"60s\"");
        /// Statuses of the answer that end the session. Any other status except 2xx, and a page with any status (a body
        /// that begins with `<`), is treated as an outage: the session is kept.
        REFUSED: List<Number<u16, 400, 499>> = default("refused", "[401]");
        /// Values in the answer's JSON that end the session whatever the status, by JSON pointer, e.g. `{
        /// "/errors/0/extensions/code" = ["invalid-jwt"] }` for GraphQL; the pointer `""` is the whole answer. A value
        /// is a text, a number or a flag; `1`, `1.0` and `"1"` are equal.
        REFUSED_WHEN: Entries<Any> = optional("refused_when");
    }
}

/// The placeholders of a route's headers.
const HEADERS: &[&str] = &["sub", "provider_sub", "claims."];

/// The upstreams that a call can be sent to.
#[derive(Clone, Copy)]
pub(crate) struct Upstreams<'u> {
    /// All names, in the order of their indices.
    pub(crate) names: &'u [&'u str],
    /// The upstream of a call that names none.
    pub(crate) own: Option<usize>,
}

/// Reads a call with the usual timeout; `known` are the placeholders that it may have.
pub(crate) fn plain(
    section: &Section<'_, PlainCallTable>,
    upstreams: Upstreams<'_>,
    known: &[&str],
    cx: &mut Context<'_>,
) -> Option<Template> {
    call(section, section.read(&PlainCallTable::TIMEOUT), upstreams, known, cx)
}

/// Reads a call; `known` are the placeholders that it may have.
pub(crate) fn call<S: Includes<CallTable>>(
    section: &Section<'_, S>,
    timeout: Duration,
    upstreams: Upstreams<'_>,
    known: &[&str],
    cx: &mut Context<'_>,
) -> Option<Template> {
    let upstream = if section.has(&CallTable::UPSTREAM) {
        upstreams::index(section, &CallTable::UPSTREAM, upstreams.names, cx)
    } else {
        upstreams.own
    };
    let path = section.optional(&CallTable::PATH);
    let path = path.and_then(|path| self::path(&path, section.place(&CallTable::PATH), known, cx));
    let headers = call_headers(section.entries(&CallTable::HEADERS), known, cx);
    let cookies = entries(section.entries(&CallTable::COOKIES), known, cx);
    for entry in section.entries(&CallTable::COOKIES) {
        if let Err(help) = form::cookie(&entry.name) {
            cx.complain(&entry.place, format!("`{}` cannot be the name of a cookie", entry.name), help);
        }
    }
    let form = entries(section.entries(&CallTable::FORM), known, cx);
    let json = section.node(&CallTable::JSON).and_then(|node| json(node, Texts::MayBeQueries, known, cx));
    if section.has(&CallTable::JSON) && section.has(&CallTable::FORM) {
        cx.complain(
            section.place_of_key(&CallTable::FORM),
            "a call has one body: `json` or `form`",
            "leave one of the two out",
        );
    }
    let body = match json {
        Some(json) => Body::Json(json),
        None if section.has(&CallTable::FORM) => Body::Form(form),
        None => Body::Empty,
    };
    Some(Template {
        upstream: upstream?,
        method: section.read(&CallTable::METHOD),
        path: path?,
        headers,
        cookies,
        body,
        timeout,
        assertion: None,
    })
}

/// Reads a header value of a route: text and claims.
pub(crate) fn header(text: &str, place: &Place, cx: &mut Context<'_>) -> Option<HeaderTemplate> {
    if is_reference(text) {
        cx.complain(
            place,
            "this would be sent as text: `env:` and `file:` are not read in the headers of routes",
            "write the text itself, or a claim, e.g. \"{claims.sub}\"",
        );
        return None;
    }
    let pieces = written(text, place, HEADERS, cx)?.0;
    literal_header(&pieces, place, cx)?;
    let names_claims =
        |piece: &Piece| matches!(piece, Piece::Literal(text) if text.to_ascii_lowercase().contains("claims."));
    if pieces.iter().any(names_claims) {
        cx.complain(
            place,
            "a claim without its braces would be sent as text",
            "write it in single braces, e.g. \"{claims.sub}\"",
        );
        return None;
    }
    for piece in &pieces {
        if let Piece::Placeholder(Placeholder::Claim(name)) = piece
            && name.contains('.')
            && !name.contains("://")
        {
            cx.warn(
                place,
                format!("`{{claims.{name}}}` is the claim with the name `{name}`: a dot does not lead into an object"),
                "name a claim of the first level; a provider can be told to add one",
            );
        }
    }
    let piece = |piece| match piece {
        Piece::Literal(text) => Some(HeaderPiece::Literal(text)),
        Piece::Placeholder(Placeholder::Claim(name)) => Some(HeaderPiece::Claim(name)),
        Piece::Placeholder(Placeholder::Sub) => Some(HeaderPiece::Claim("sub".to_owned())),
        Piece::Placeholder(Placeholder::ProviderSub) => Some(HeaderPiece::ProviderSub),
        Piece::Placeholder(_) => None,
    };
    pieces.into_iter().map(piece).collect::<Option<_>>().map(HeaderTemplate)
}

/// Whether a call has something in it that only the gateway knows: a secret of the configuration, or a refresh token.
pub(crate) fn has_secret<S: Includes<CallTable>>(section: &Section<'_, S>) -> bool {
    let keys: [&dyn AnyKey<Table = CallTable>; 4] =
        [&CallTable::HEADERS, &CallTable::COOKIES, &CallTable::FORM, &CallTable::JSON];
    keys.iter().filter_map(|key| section.node(*key)).any(|node| is_secret("", node))
}

fn is_secret(name: &str, node: &Node) -> bool {
    match &node.value {
        Value::Text(text) => {
            is_reference(text)
                || text.contains("{refresh_token}")
                || (is_secret_name(name) && !is_filled_in(text) && !text.is_empty())
        }
        Value::List(list) => list.iter().any(|node| is_secret(name, node)),
        Value::Table(table) => table.0.iter().any(|entry| is_secret(&entry.name, &entry.node)),
        Value::Number(_) | Value::Flag(_) | Value::Other(_) => false,
    }
}

/// The claims that a call uses.
pub(crate) fn claims(template: &Template) -> Vec<String> {
    let claim = |placeholder: &Placeholder| match placeholder {
        Placeholder::Claim(name) => Some(name.clone()),
        Placeholder::Sub => Some("sub".to_owned()),
        _ => None,
    };
    template.placeholders().into_iter().filter_map(claim).collect()
}

/// Whether the file must not set this header: headers of message framing and of the connection, `Host`, `Cookie`, and
/// those that the gateway sets.
pub(crate) fn forbidden_header(name: &HeaderName) -> bool {
    const OF_MESSAGES: &[&str] = &[
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
    ];
    let text = name.as_str();
    OF_MESSAGES.contains(&text)
        || OWN_HEADERS.contains(name)
        || removed_on_arrival().any(|own| own == name)
        || [OWN_PREFIX, "x-forwarded-", "sec-websocket-"].iter().any(|prefix| text.starts_with(prefix))
}

fn path(path: &str, place: &Place, known: &[&str], cx: &mut Context<'_>) -> Option<Text> {
    let text = written(path, place, known, cx)?;
    let literal = |piece: &Piece| match piece {
        Piece::Literal(text) => text.bytes().all(|b| b.is_ascii_graphic() && !b"{}\\#".contains(&b)),
        Piece::Placeholder(_) => true,
    };
    if path.starts_with('/') && !path.starts_with("//") && text.0.iter().all(literal) {
        let filled = text.0.iter().map(|piece| match piece {
            Piece::Literal(text) => text,
            Piece::Placeholder(_) => "x",
        });
        if has_wildcard(filled.collect::<String>().split('?').next().unwrap_or_default()) {
            cx.complain(
                place,
                format!("`{path}` would be taken as text: placeholders here are `{{name}}`"),
                "write e.g. \"/auth/{provider}\"; a literal `*` is `%2A`, a `:` at the beginning of a segment `%3A`",
            );
            return None;
        }
        return Some(text);
    }
    cx.complain(
        place,
        "`path` must be the path of a call",
        "begin with one `/`, and leave out spaces and single braces, e.g. \"/auth/{provider}\"",
    );
    None
}

fn call_headers(entries: &[Entry], known: &[&str], cx: &mut Context<'_>) -> Vec<(HeaderName, Text)> {
    let mut headers = Vec::new();
    for entry in entries {
        match form::header(&entry.name) {
            Ok(name) if forbidden_header(&name) => {
                cx.complain(
                    &entry.place,
                    format!("a call does not set the header `{name}`"),
                    "leave it out; for cookies there is `cookies`",
                );
            }
            Ok(name) => {
                let text = entry.node.text().and_then(|t| text(t, &entry.node.place, known, cx));
                if let Some(text) = text.filter(|text| literal_header(&text.0, &entry.node.place, cx).is_some()) {
                    headers.push((name, text));
                }
            }
            Err(help) => {
                cx.complain(&entry.place, format!("`{}` cannot be the name of a header", entry.name), help);
            }
        }
    }
    headers
}

fn entries(entries: &[Entry], known: &[&str], cx: &mut Context<'_>) -> Vec<(String, Text)> {
    let mut read = |entry: &Entry| Some((entry.name.clone(), text(entry.node.text()?, &entry.node.place, known, cx)?));
    entries.iter().filter_map(&mut read).collect()
}

/// Reads JSON with placeholders in its strings.
pub(crate) fn json(node: &Node, texts: Texts, known: &[&str], cx: &mut Context<'_>) -> Option<call::Json> {
    Some(match &node.value {
        Value::Text(text) if is_reference(text) => {
            cx.resolve(text, &node.place).map(|text| call::Json::Plain(text.into()))?
        }
        Value::Text(text) => {
            let json = call::Json::from_text(text, texts, known);
            or_complain(json, text, &node.place, known, cx)?
        }
        Value::Number(number) => call::Json::Plain(Json::Number(number.clone())),
        Value::Flag(flag) => call::Json::Plain(Json::Bool(*flag)),
        Value::List(list) => {
            let elements: Vec<_> = list.iter().map(|element| json(element, texts, known, cx)).collect();
            call::Json::Array(elements.into_iter().collect::<Option<_>>()?)
        }
        Value::Table(table) => {
            let field = |entry: &Entry| (entry.name.clone(), json(&entry.node, texts, known, cx));
            let fields: Vec<_> = table.0.iter().map(field).collect();
            call::Json::Object(fields.into_iter().map(|(name, value)| Some((name, value?))).collect::<Option<_>>()?)
        }
        Value::Other(_) => return None,
    })
}

/// Reads text. The value of `env:` or `file:` is not searched for placeholders: it may be a secret, which must not
/// appear in a complaint.
pub(crate) fn text(source: &str, place: &Place, known: &[&str], cx: &mut Context<'_>) -> Option<Text> {
    if is_reference(source) {
        return cx.resolve(source, place).map(|text| Text(vec![Piece::Literal(text)]));
    }
    written(source, place, known, cx)
}

/// Masks a text whose name is that of a secret, and warns if it is plain text.
pub(crate) fn warn_of_secret(name: &str, source: &str, place: &Place, cx: &mut Context<'_>) {
    if is_secret_name(name) {
        cx.problems.hide(place);
        let _ = cx.resolve_secret(source, place);
    }
}

fn written(source: &str, place: &Place, known: &[&str], cx: &mut Context<'_>) -> Option<Text> {
    or_complain(Text::parse(source, known), source, place, known, cx)
}

/// The value in `read`; `None` after a complaint about its error.
fn or_complain<T>(
    read: Result<T, TemplateError>,
    source: &str,
    place: &Place,
    known: &[&str],
    cx: &mut Context<'_>,
) -> Option<T> {
    let is_hidden = cx.problems.hides(place) && !is_filled_in(source);
    let (message, help) = match read {
        Ok(read) => return Some(read),
        // The braces may be part of a secret.
        Err(TemplateError::Unknown { suggestion: None, .. } | TemplateError::Foreign { .. }) if is_hidden => (
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
        Err(TemplateError::Foreign { written, meant }) => {
            (format!("`{written}` would be sent as text, or give nothing"), format!("write `{{{meant}}}`"))
        }
        Err(TemplateError::InsideQuery) => (
            "a query cannot hold placeholders: a value would become part of its syntax".to_owned(),
            "use a variable of the query, and put the placeholder under `variables`".to_owned(),
        ),
    };
    cx.complain(place, message, help);
    None
}

/// `None` after a complaint, if the text around the placeholders is not allowed in a header.
pub(crate) fn literal_header(pieces: &[Piece], place: &Place, cx: &mut Context<'_>) -> Option<()> {
    let bad = |piece: &Piece| matches!(piece, Piece::Literal(text) if !text.is_ascii() || HeaderValue::from_str(text).is_err());
    if pieces.iter().any(bad) {
        cx.complain(place, "a header holds visible ASCII characters only", "percent-encode the rest");
        return None;
    }
    Some(())
}
