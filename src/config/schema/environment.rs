//! Values from environment variables: with the prefix `APP_`, the variable `APP_SERVER__LISTEN` sets `server.listen`.

use std::collections::BTreeMap;

use super::{
    complaint::Problems,
    kind::{KeyKind, Rows, closest},
    tree::{Entry, Node, Place, Table, Value},
};

/// Environment variables by name, passed as an argument.
pub type Environment = BTreeMap<String, String>;

const SEPARATOR: &str = "__";

/// Sets values in the tree of the file: those of variables that begin with `prefix` and contain `__`.
pub(super) fn apply(table: &mut Table, rows: Rows, prefix: &str, environment: &Environment, problems: &mut Problems) {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(prefix).filter(|name| name.contains(SEPARATOR)) else { continue };
        let names: Vec<_> = name.split(SEPARATOR).map(str::to_lowercase).collect();
        if let Err(help) = set(table, rows, &names, variable, value) {
            problems.complain(&Place::Environment(variable.clone()), "sets no key", help);
        }
    }
}

/// Finds the key with the path `names` and sets it; the error is the help text.
fn set(table: &mut Table, rows: Rows, names: &[String], variable: &str, value: &str) -> Result<(), String> {
    let [name, below @ ..] = names else { return Err("name a single key, not a whole table".to_owned()) };
    let Some(row) = rows.find(name) else {
        let known = || rows.known().map(|row| row.name);
        return Err(match closest(name, known()) {
            Some(meant) => format!("did you mean `{}`?", variable.replace(&name.to_uppercase(), &meant.to_uppercase())),
            None => format!(
                "after `{}` there are {}",
                spelled_before(variable, names),
                known().map(str::to_uppercase).collect::<Vec<_>>().join(", ")
            ),
        });
    };
    let place = Place::Environment(variable.to_owned());
    match (&row.kind, below) {
        (KeyKind::Later, _) => Err(format!("`{name}` is not available yet in this version")),
        (KeyKind::Table(rows), _) => {
            let inner = inner_table(table, row.name, &place)?;
            set(inner, *rows, below, variable, value)
        }
        (KeyKind::Named(rows), [chosen, below @ ..]) => {
            let inner = inner_table(table, row.name, &place)?;
            let entry = inner.0.iter_mut().find(|entry| entry.name.to_lowercase().replace('-', "_") == *chosen);
            match entry.map(|entry| &mut entry.node.value) {
                Some(Value::Table(inner)) => set(inner, *rows, below, variable, value),
                _ => Err(format!("the file has no `[{}.{chosen}]`", row.name)),
            }
        }
        (
            KeyKind::One(_)
            | KeyKind::Choice(..)
            | KeyKind::Flag
            | KeyKind::Number(..)
            | KeyKind::Fraction
            | KeyKind::List(_)
            | KeyKind::Either(..),
            [],
        ) => {
            let node = match row.kind {
                KeyKind::List(element) => list(element, value, &place),
                _ => Node { place: place.clone(), value: scalar(&row.kind, value) },
            };
            match table.0.iter_mut().find(|entry| entry.name == row.name) {
                Some(entry) => entry.node = node,
                None => table.0.push(Entry { name: row.name.to_owned(), place, node }),
            }
            Ok(())
        }
        (
            KeyKind::One(_)
            | KeyKind::Choice(..)
            | KeyKind::Flag
            | KeyKind::Number(..)
            | KeyKind::Fraction
            | KeyKind::List(_),
            _,
        ) => Err(format!("`{name}` has no keys of its own")),
        _ => Err(format!("`{name}` is neither a single value nor a list of such: write it in the file")),
    }
}

/// The table under `name`; an empty one is inserted if the file has none.
fn inner_table<'t>(table: &'t mut Table, name: &str, place: &Place) -> Result<&'t mut Table, String> {
    let at = table.0.iter().position(|entry| entry.name == name).unwrap_or_else(|| {
        let node = Node { place: place.clone(), value: Value::Table(Table::default()) };
        table.0.push(Entry { name: name.to_owned(), place: place.clone(), node });
        table.0.len() - 1
    });
    match &mut table.0[at].node.value {
        Value::Table(inner) => Ok(inner),
        _ => Err(format!("the file has no table `[{name}]`")),
    }
}

/// Converts the text of a variable to the key's kind. Text that cannot be converted stays text, and the shape check
/// complains.
fn scalar(kind: &KeyKind, value: &str) -> Value {
    match kind {
        KeyKind::Flag => value.parse().map_or_else(|_| Value::Text(value.to_owned()), Value::Flag),
        KeyKind::Number(..) => {
            value.parse::<i64>().map_or_else(|_| Value::Text(value.to_owned()), |number| Value::Number(number.into()))
        }
        KeyKind::Fraction => {
            let number = value.parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            number.map_or_else(|| Value::Text(value.to_owned()), Value::Number)
        }
        _ => Value::Text(value.to_owned()),
    }
}

/// The elements between commas; an empty text is an empty list.
fn list(element: &KeyKind, value: &str, place: &Place) -> Node {
    let texts = value.split(',').map(str::trim).filter(|_| !value.trim().is_empty());
    let nodes = texts.map(|text| Node { place: place.clone(), value: scalar(element, text) });
    Node { place: place.clone(), value: Value::List(nodes.collect()) }
}

fn spelled_before(variable: &str, names: &[String]) -> String {
    let rest: usize = names.iter().map(|name| name.len() + SEPARATOR.len()).sum();
    variable[..variable.len().saturating_sub(rest)].to_owned() + SEPARATOR
}
