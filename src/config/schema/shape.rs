//! The shape check: all keys are declared, required keys are present, and each value has its kind.

use super::{
    complaint::{Problems, has_password},
    form::{AnyForm, is_reference},
    kind::{KeyKind, KeyRow, Need, Rows, closest, quoted},
    suggestion,
    tree::{Entry, Node, Place, Table, Value},
};

/// A value whose name contains one of these words is treated as a secret, if it has no declaration.
pub(super) const SECRET_WORDS: &[&str] =
    &["authorization", "cookie", "key", "secret", "token", "password", "credential", "signature"];

/// Checks a table against its declaration. `path` is the name in its header (`server.tls`), `place` the place of the
/// header.
pub(crate) fn check(table: &Table, rows: Rows, path: &str, place: &Place, problems: &mut Problems) {
    for entry in &table.0 {
        match rows.find(&entry.name) {
            Some(row) if matches!(row.kind, KeyKind::Later) => {
                problems.hide_texts(&entry.node);
                let message = format!("`{}` is not available yet in this version", entry.name);
                problems.complain(&entry.place, message, "leave it out");
            }
            Some(row) => check_value(&entry.node, &entry.place, row.name, &row.kind, &join(path, row.name), problems),
            None => complain_of_unknown(&entry.name, &entry.place, &entry.node, rows, path, problems),
        }
    }
    for row in rows.iter().filter(|row| row.need == Need::Required && table.entry(row.name).is_none()) {
        let message = if path.is_empty() {
            format!("`[{}]` is missing", row.name)
        } else {
            format!("`{}` is missing in `{path}`", row.name)
        };
        problems.complain(place, message, missing_help(row));
    }
}

fn missing_help(row: &KeyRow) -> String {
    match row.kind {
        KeyKind::Table(_) => format!("write `[{}]` and its keys", row.name),
        _ => row.kind.help(row.name),
    }
}

fn complain_of_unknown(name: &str, place: &Place, node: &Node, rows: Rows, path: &str, problems: &mut Problems) {
    let meant = closest(name, rows.iter().map(|row| row.name));
    // The value may be a secret under a misspelt name.
    let meant_secret = rows.iter().any(|row| Some(row.name) == meant && is_secret_kind(&row.kind));
    if meant_secret || is_secret_name(name) {
        problems.hide(&node.place);
    }
    if matches!(node.value, Value::Table(_) | Value::List(_)) {
        problems.hide_texts(node);
    }
    let message =
        if path.is_empty() { format!("unknown table `{name}`") } else { format!("unknown key `{name}` in `{path}`") };
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            format!("there are {}", rows.known().map(|row| format!("`{}`", row.name)).collect::<Vec<_>>().join(", "))
        }
    };
    problems.complain(place, message, help);
}

/// Checks one value. `key_place` is the place of its key, for complaints about a whole table.
fn check_value(
    node: &Node,
    key_place: &Place,
    name: &str,
    kind: &'static KeyKind,
    path: &str,
    problems: &mut Problems,
) {
    if is_secret_kind(kind) {
        hide_unless_reference(node, problems);
    }
    if matches!(kind, KeyKind::Entries(_) | KeyKind::Any) {
        hide_in_free_form(node, is_secret_name(name), problems);
    }
    match (kind, &node.value) {
        (KeyKind::Any, Value::Other(what)) => {
            problems.complain(
                &node.place,
                format!("`{name}` cannot be {what}"),
                "JSON has no such thing: write it as text",
            );
        }
        (KeyKind::Flag, Value::Flag(_)) | (KeyKind::Any, _) => {}
        (KeyKind::One(form), Value::Text(text)) => check_form(form, text, node, name, problems),
        (KeyKind::Choice(words, later), Value::Text(text)) => {
            check_choice((words, later), text, node, name, "", problems);
        }
        (KeyKind::Number(from, to), Value::Number(number))
            if number.as_i64().is_some_and(|n| (*from..=*to).contains(&n)) => {}
        (KeyKind::Fraction, Value::Number(number))
            if number.as_f64().is_some_and(|fraction| (0.0..=1.0).contains(&fraction)) => {}
        (KeyKind::List(inner), Value::List(elements)) => {
            for element in elements {
                if fits(inner, &element.value) {
                    check_value(element, &element.place, name, inner, path, problems);
                } else {
                    complain_of_element(element, name, inner, kind, problems);
                }
            }
        }
        (KeyKind::Table(rows) | KeyKind::Either(_, rows), Value::Table(table)) => {
            check(table, *rows, path, key_place, problems);
        }
        (KeyKind::Either(KeyKind::Choice(words, later), rows), Value::Text(text)) => {
            let table = suggestion::in_table(*rows, &node.value);
            let table = table.map(|table| format!("; or write `{name} = {table}`")).unwrap_or_default();
            check_choice((words, later), text, node, name, &table, problems);
        }
        (KeyKind::Either(word, _), Value::Text(_)) => check_value(node, key_place, name, word, path, problems),
        (KeyKind::Named(rows), Value::Table(tables)) => {
            for entry in &tables.0 {
                let path = join(path, &entry.name);
                match &entry.node.value {
                    Value::Table(table) => check(table, *rows, &path, &entry.place, problems),
                    _ => problems.complain(
                        &entry.place,
                        format!("`{path}` must be a table"),
                        format!("write `[{path}]`, and the keys under it"),
                    ),
                }
            }
        }
        (KeyKind::Tables(rows), Value::List(elements)) => {
            for element in elements {
                match &element.value {
                    Value::Table(table) => check(table, *rows, path, &element.place, problems),
                    _ => {
                        problems.complain(
                            &element.place,
                            format!("`{name}` must be a list of tables"),
                            kind.help(name),
                        );
                    }
                }
            }
        }
        (KeyKind::Entries(inner), Value::Table(table)) => {
            for entry in &table.0 {
                check_value(&entry.node, &entry.place, &entry.name, inner, path, problems);
            }
        }
        (kind, value) => {
            let place = if matches!(value, Value::Table(_)) { key_place } else { &node.place };
            let is_hidden = is_secret_kind(kind) || problems.hides(&node.place);
            let found = if is_hidden { kind_of(value).to_owned() } else { found(value) };
            let instead = if is_hidden { None } else { suggestion::instead(name, kind, value) };
            let help = instead.unwrap_or_else(|| kind.help(name));
            problems.complain(place, format!("`{name}` must be {}, not {found}", kind.what()), help);
        }
    }
}

/// Whether an element of a list has the required type.
fn fits(kind: &KeyKind, value: &Value) -> bool {
    match kind {
        KeyKind::One(_) | KeyKind::Choice(..) => matches!(value, Value::Text(_)),
        KeyKind::Number(from, to) => {
            matches!(value, Value::Number(number) if number.as_i64().is_some_and(|n| (*from..=*to).contains(&n)))
        }
        _ => true,
    }
}

fn complain_of_element(element: &Node, name: &str, inner: &KeyKind, list: &KeyKind, problems: &mut Problems) {
    let is_hidden = is_secret_kind(inner) || problems.hides(&element.place);
    let found = if is_hidden { kind_of(&element.value).to_owned() } else { found(&element.value) };
    let help = if let KeyKind::Number(..) = inner { inner.help(name) } else { list.help(name) };
    problems.complain(&element.place, format!("each of `{name}` must be {}, not {found}", inner.what()), help);
}

fn check_form(form: &AnyForm, text: &str, node: &Node, name: &str, problems: &mut Problems) {
    let Err(help) = (form.check)(text) else { return };
    let example = form.help(name);
    let help = if help.is_empty() { example } else { help.to_owned() };
    let is_hidden = form.is_secret || has_password(text) || problems.hides(&node.place);
    let shown = if is_hidden { "this".to_owned() } else { format!("`{text}`") };
    problems.complain(&node.place, format!("`{name}` must be {}, not {shown}", form.what), help);
}

/// Checks a word; `or` is added to the help where another form of the value is possible.
fn check_choice(
    (words, later): (&[&str], &[&str]),
    text: &str,
    node: &Node,
    name: &str,
    or: &str,
    problems: &mut Problems,
) {
    if words.contains(&text) {
        return;
    }
    let message = if later.contains(&text) {
        format!("`{name} = \"{text}\"` is not available yet in this version")
    } else {
        format!("`{name}` cannot be `{text}`")
    };
    let help = match closest(text, words.iter().copied()) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None if words.len() == 1 => format!("it can be {}{or}", quoted(words)),
        None => format!("it can be one of {}{or}", quoted(words)),
    };
    problems.complain(&node.place, message, help);
}

fn is_secret_kind(kind: &KeyKind) -> bool {
    match kind {
        KeyKind::One(form) => form.is_secret,
        KeyKind::List(inner) => is_secret_kind(inner),
        _ => false,
    }
}

/// Masks the value of a secret key, of any type, unless it is an `env:` or `file:` reference.
fn hide_unless_reference(node: &Node, problems: &mut Problems) {
    match &node.value {
        Value::List(elements) => elements.iter().for_each(|element| hide_unless_reference(element, problems)),
        Value::Text(text) if is_reference(text) => {}
        _ => problems.hide(&node.place),
    }
}

/// In tables whose keys the file chooses: masks values whose name is that of a secret, and values that begin with
/// `Bearer` or `Basic`. `is_secret` is true if an enclosing table has the name of a secret.
fn hide_in_free_form(node: &Node, is_secret: bool, problems: &mut Problems) {
    match &node.value {
        Value::Table(table) => {
            for Entry { name, node, .. } in &table.0 {
                hide_in_free_form(node, is_secret || is_secret_name(name), problems);
            }
        }
        Value::List(elements) => {
            for element in elements {
                hide_in_free_form(element, is_secret, problems);
            }
        }
        Value::Text(text) if is_reference(text) || is_filled_in(text) => {}
        Value::Text(text) if is_secret || without_scheme(text).is_some() => problems.hide(&node.place),
        Value::Number(_) if is_secret => problems.hide(&node.place),
        Value::Text(_) | Value::Number(_) | Value::Flag(_) | Value::Other(_) => {}
    }
}

/// Whether a value of this name is likely to be a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether a text consists of placeholders only, optionally after a scheme (`Bearer {access_token}`), and so contains
/// no secret itself.
pub(crate) fn is_filled_in(text: &str) -> bool {
    let mut rest = without_scheme(text).unwrap_or(text);
    if rest.is_empty() {
        return false;
    }
    while let Some((name, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

/// The text after `Bearer` or `Basic` (RFC 9110 section 11.1); `None` without one.
fn without_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.trim_start().split_once(' ')?;
    ["bearer", "basic"].contains(&scheme.to_ascii_lowercase().as_str()).then_some(rest)
}

fn found(value: &Value) -> String {
    match value {
        Value::Text(text) if !has_password(text) => format!("the text `{text}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::Flag(flag) => flag.to_string(),
        Value::Text(_) | Value::List(_) | Value::Table(_) | Value::Other(_) => kind_of(value).to_owned(),
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Text(_) => "text",
        Value::Number(_) => "a number",
        Value::Flag(_) => "a flag",
        Value::List(_) => "a list",
        Value::Table(_) => "a table",
        Value::Other(what) => what,
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
