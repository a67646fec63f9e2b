//! The declaration of the keys as others read it: a JSON Schema for editors, and the reference in `docs/config.md` for people.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::config::{
    form::Form,
    key::{Key, Kind, Need, quoted},
    keys::ROOT,
    tree::{self, Node},
};

/// The JSON Schema of the file. Draft 7 is what the TOML plugins of editors understand.
pub fn schema() -> Value {
    let mut schema = object(ROOT);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("gateway.toml of Vestibule");
    schema
}

fn object(keys: &[Key]) -> Value {
    let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
    let properties: Map<_, _> = known().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = known().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(key: &Key) -> Value {
    let mut property = of_kind(&key.kind);
    property["description"] = json!(key.doc);
    if let Need::Default(text) = key.need {
        property["default"] = tree::read_value(text).map_or(Value::Null, |node| as_json(&node));
    }
    property
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::One(form) => of_form(*form),
        Kind::Choice(words, _) => json!({ "enum": words }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Number(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        Kind::List(inner) => json!({ "type": "array", "items": of_kind(inner) }),
        Kind::Table(keys) => object(keys),
        Kind::Named(keys) => json!({ "type": "object", "additionalProperties": object(keys) }),
        Kind::Tables(keys) => json!({ "type": "array", "items": object(keys) }),
        Kind::Entries(inner) => json!({ "type": "object", "additionalProperties": of_kind(inner) }),
        Kind::Either(word, keys) => json!({ "anyOf": [of_kind(word), object(keys)] }),
        Kind::Any | Kind::Later => json!({}),
    }
}

fn of_form(form: Form) -> Value {
    let pattern = match form {
        Form::Duration | Form::Delay => "^[0-9]+(ms|s|m|h|d)$",
        Form::Size => "^[0-9]+(B|kB|KB|MB|GB|KiB|MiB|GiB)?$",
        Form::Origin | Form::Url => "^https?://",
        Form::Target => "^(https?://|unix:/)",
        Form::Prefix | Form::Pointer => "^/",
        _ => return json!({ "type": "string" }),
    };
    json!({ "type": "string", "pattern": pattern, "examples": [form.example()] })
}

fn as_json(node: &Node) -> Value {
    match &node.value {
        tree::Value::Text(text) => json!(text),
        tree::Value::Number(number) => Value::Number(number.clone()),
        tree::Value::Flag(flag) => json!(flag),
        tree::Value::List(list) => list.iter().map(as_json).collect(),
        tree::Value::Table(_) | tree::Value::Other(_) => Value::Null,
    }
}

/// The reference in Markdown: `docs/config.md`.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    section(&mut text, ROOT, "");
    text
}

const INTRODUCTION: &str = include_str!("../introduction.md");

/// A table's keys, then the tables in it.
fn section(text: &mut String, keys: &[Key], path: &str) {
    let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later));
    if !path.is_empty() && known().any(|key| !has_section(&key.kind)) {
        text.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        for key in known().filter(|key| !has_section(&key.kind)) {
            let default = match key.need {
                Need::Required => "required".to_owned(),
                Need::Optional => String::new(),
                Need::Default(default) => format!("`{default}`"),
            };
            let _ = writeln!(text, "| `{}` | {} | {default} | {} |", key.name, value(&key.kind), key.doc);
        }
    }
    for key in known().filter(|key| has_section(&key.kind)) {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let header = match key.kind {
            Kind::Named(_) => format!("[{path}.NAME]"),
            Kind::Tables(_) => format!("[[{path}]]"),
            _ => format!("[{path}]"),
        };
        let _ = write!(text, "\n## `{header}`\n\n{}\n", key.doc);
        let path = if matches!(key.kind, Kind::Named(_)) { format!("{path}.NAME") } else { path };
        section(text, key.kind.keys(), &path);
    }
}

fn has_section(kind: &Kind) -> bool {
    matches!(kind, Kind::Table(_) | Kind::Named(_) | Kind::Tables(_))
}

/// What stands behind the `=`, for a cell of the reference.
fn value(kind: &Kind) -> String {
    match kind {
        Kind::One(form) => match form {
            Form::Text => "text".to_owned(),
            Form::Indirect => "text, `\"env:NAME\"` or `\"file:PATH\"`".to_owned(),
            Form::Secret => "`\"env:NAME\"` or `\"file:PATH\"`".to_owned(),
            form => format!("{}: `\"{}\"`", form.what(), form.example()),
        },
        Kind::Choice(words, _) => format!("`{}`", quoted(words).replace(", ", "` · `")),
        Kind::Flag => "`true` · `false`".to_owned(),
        Kind::Number(from, to) => format!("a number from {from} to {to}"),
        Kind::List(inner) => format!("a list; each {}", value(inner)),
        Kind::Entries(inner) => format!("a table; each {}", value(inner)),
        Kind::Either(word, keys) => {
            let keys: Vec<_> = keys
                .iter()
                .filter(|key| !matches!(key.kind, Kind::Later))
                .map(|key| format!("`{}`", key.name))
                .collect();
            format!("{} · a table of {}", value(word), keys.join(", "))
        }
        Kind::Any => "any value".to_owned(),
        Kind::Table(_) | Kind::Named(_) | Kind::Tables(_) | Kind::Later => "a table".to_owned(),
    }
}
