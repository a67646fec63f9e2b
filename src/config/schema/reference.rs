//! Prints the declarations as a JSON Schema for editors and as a reference page in Markdown.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    form::AnyForm,
    kind::{Group, KeyKind, KeyRow, Need, Rows, quoted},
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

/// Keys that many tables have. The reference lists them once, after all tables, and each of these tables links there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedKeys {
    /// The Rust type that declares them.
    pub(crate) table: &'static str,
    /// The heading, in letters and spaces: its anchor is the same in lower case with hyphens.
    pub(crate) heading: &'static str,
    /// What follows the heading.
    pub(crate) doc: &'static str,
}

/// The reference in Markdown: the introduction, a section for each table, then the shared keys.
pub(super) fn reference(introduction: &str, rows: Rows, shared: Option<&SharedKeys>) -> String {
    let mut text = introduction.to_owned();
    section(&mut text, rows, "", shared);
    if let Some((shared, group)) = shared.and_then(|shared| Some((shared, declaration(rows, shared.table)?))) {
        let _ = write!(text, "\n## {}\n\n{}\n", shared.heading, shared.doc);
        keys(&mut text, group.rows.iter());
    }
    text
}

/// The keys declared by the Rust type `table`, wherever they are used first.
fn declaration(rows: Rows, table: &str) -> Option<&'static Group> {
    let own = rows.0.iter().find(|group| group.table == table);
    own.or_else(|| rows.known().find_map(|row| declaration(row.kind.rows(), table)))
}

/// A table's keys, then the tables in it.
fn section(text: &mut String, rows: Rows, path: &str, shared: Option<&SharedKeys>) {
    let is_shared = |group: &&Group| shared.is_some_and(|shared| group.table == shared.table);
    if !path.is_empty() {
        if let Some(shared) = shared.filter(|_| rows.0.iter().any(|group| is_shared(&group))) {
            let anchor = shared.heading.to_lowercase().replace(' ', "-");
            let _ = write!(text, "\nIt has the [{}](#{anchor}), and:\n", shared.heading.to_lowercase());
        }
        keys(text, rows.0.iter().filter(|group| !is_shared(group)).flat_map(|group| group.rows));
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
        section(text, row.kind.rows(), &path, shared);
    }
}

/// The keys that are not tables, as a table in Markdown; nothing if there are none.
fn keys<'r>(text: &mut String, rows: impl Iterator<Item = &'r KeyRow>) {
    let mut rows = rows.filter(|row| !matches!(row.kind, KeyKind::Later) && !has_section(&row.kind)).peekable();
    if rows.peek().is_none() {
        return;
    }
    text.push_str("\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let default = match row.need {
            Need::Required => "required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => format!("`{default}`"),
        };
        let _ = writeln!(text, "| `{}` | {} | {default} | {} |", row.name, value(&row.kind), row.doc);
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
