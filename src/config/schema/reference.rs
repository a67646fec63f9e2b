//! Prints the declarations as a JSON Schema for editors and as a reference page in Markdown.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    form::AnyForm,
    kind::{KeyKind, KeyRow, Need, Rows, quoted},
    tree::{self, Node},
};

/// The JSON Schema of a file (draft 7).
pub(super) fn schema(title: &str, rows: Rows) -> Value {
    let mut schema = object(rows);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!(title);
    schema
}

fn object(rows: Rows) -> Value {
    let properties: Map<_, _> = rows.known().map(|row| (row.name.to_owned(), property(row))).collect();
    let required: Vec<_> = rows.known().filter(|row| row.need == Need::Required).map(|row| row.name).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn property(row: &KeyRow) -> Value {
    let mut property = of_kind(&row.kind);
    property["description"] = json!(row.doc);
    if let Need::Default(text) = row.need {
        property["default"] = tree::read_value(text).map_or(Value::Null, |node| as_json(&node));
    }
    property
}

fn of_kind(kind: &KeyKind) -> Value {
    match kind {
        KeyKind::One(form) => of_form(form),
        KeyKind::Choice(words, _) => json!({ "enum": words }),
        KeyKind::Flag => json!({ "type": "boolean" }),
        KeyKind::Number(from, to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
        KeyKind::Fraction => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        KeyKind::List(inner) => json!({ "type": "array", "items": of_kind(inner) }),
        KeyKind::Table(rows) => object(*rows),
        KeyKind::Named(rows) => json!({ "type": "object", "additionalProperties": object(*rows) }),
        KeyKind::Tables(rows) => json!({ "type": "array", "items": object(*rows) }),
        KeyKind::Entries(inner) => json!({ "type": "object", "additionalProperties": of_kind(inner) }),
        KeyKind::Either(text, rows) => json!({ "anyOf": [of_kind(text), object(*rows)] }),
        KeyKind::Any | KeyKind::Later => json!({}),
    }
}

fn of_form(form: &AnyForm) -> Value {
    match form.pattern {
        Some(pattern) => json!({ "type": "string", "pattern": pattern, "examples": [form.example] }),
        None => json!({ "type": "string" }),
    }
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

/// The reference in Markdown: the introduction, then a section for each table.
pub(super) fn reference(introduction: &str, rows: Rows) -> String {
    let mut text = introduction.to_owned();
    section(&mut text, rows, "");
    text
}

/// A table's keys, then the tables in it.
fn section(text: &mut String, rows: Rows, path: &str) {
    if !path.is_empty() && rows.known().any(|row| !has_section(&row.kind)) {
        text.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        for row in rows.known().filter(|row| !has_section(&row.kind)) {
            let default = match row.need {
                Need::Required => "required".to_owned(),
                Need::Optional => String::new(),
                Need::Default(default) => format!("`{default}`"),
            };
            let _ = writeln!(text, "| `{}` | {} | {default} | {} |", row.name, value(&row.kind), row.doc);
        }
    }
    for row in rows.known().filter(|row| has_section(&row.kind)) {
        let path = if path.is_empty() { row.name.to_owned() } else { format!("{path}.{}", row.name) };
        let header = match row.kind {
            KeyKind::Named(_) => format!("[{path}.NAME]"),
            KeyKind::Tables(_) => format!("[[{path}]]"),
            _ => format!("[{path}]"),
        };
        let _ = write!(text, "\n## `{header}`\n\n{}\n", row.doc);
        let path = if matches!(row.kind, KeyKind::Named(_)) { format!("{path}.NAME") } else { path };
        section(text, row.kind.rows(), &path);
    }
}

fn has_section(kind: &KeyKind) -> bool {
    matches!(kind, KeyKind::Table(_) | KeyKind::Named(_) | KeyKind::Tables(_))
}

/// The column "value" of the reference.
fn value(kind: &KeyKind) -> String {
    match kind {
        KeyKind::One(form) => match form.reference {
            Some(reference) => reference.to_owned(),
            None => format!("{}: `\"{}\"`", form.what, form.example),
        },
        KeyKind::Choice(words, _) => format!("`{}`", quoted(words).replace(", ", "` · `")),
        KeyKind::Flag => "`true` · `false`".to_owned(),
        KeyKind::Number(from, to) => format!("a number from {from} to {to}"),
        KeyKind::Fraction => "a number from 0 to 1: `0.5`".to_owned(),
        KeyKind::List(inner) => format!("a list; each {}", value(inner)),
        KeyKind::Entries(inner) => format!("a table; each {}", value(inner)),
        KeyKind::Either(text, rows) => {
            let keys: Vec<_> = rows.known().map(|row| format!("`{}`", row.name)).collect();
            format!("{} · a table of {}", value(text), keys.join(", "))
        }
        KeyKind::Any => "any value".to_owned(),
        KeyKind::Table(_) | KeyKind::Named(_) | KeyKind::Tables(_) | KeyKind::Later => "a table".to_owned(),
    }
}
