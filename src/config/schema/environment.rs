//! Settings from the environment: `VESTIBULE_SERVER__LISTEN` sets `server.listen`, before the file is looked at further.

use std::collections::BTreeMap;

use crate::config::{
    complaint::Problems,
    key::{Key, Kind, closest},
    tree::{Entry, Node, Place, Table, Value},
};

/// The process's environment, as an argument.
pub type Environment = BTreeMap<String, String>;

const PREFIX: &str = "VESTIBULE_";
const SEPARATOR: &str = "__";

/// Puts every setting of the environment into the tree of the file.
pub(crate) fn apply(table: &mut Table, keys: &'static [Key], environment: &Environment, problems: &mut Problems) {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(PREFIX).filter(|name| name.contains(SEPARATOR)) else { continue };
        let names: Vec<_> = name.split(SEPARATOR).map(str::to_lowercase).collect();
        if let Err(help) = set(table, keys, &names, variable, value) {
            problems.complain(&Place::Environment(variable.clone()), "sets no key", help);
        }
    }
}

/// Follows `names` down the declaration and sets the last; the error is what to write instead.
fn set(table: &mut Table, keys: &'static [Key], names: &[String], variable: &str, value: &str) -> Result<(), String> {
    let [name, below @ ..] = names else { return Err("name a single key, not a whole table".to_owned()) };
    let Some(key) = keys.iter().find(|key| key.name == name) else {
        let known = || keys.iter().filter(|key| !matches!(key.kind, Kind::Later)).map(|key| key.name);
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
    match (&key.kind, below) {
        (Kind::Later, _) => Err(format!("`{name}` is not available yet in this version")),
        (Kind::Table(keys), _) => {
            let inner = inner_table(table, key.name, &place)?;
            set(inner, keys, below, variable, value)
        }
        (Kind::Named(keys), [chosen, below @ ..]) => {
            let inner = inner_table(table, key.name, &place)?;
            let entry = inner.0.iter_mut().find(|entry| entry.name.to_lowercase().replace('-', "_") == *chosen);
            match entry.map(|entry| &mut entry.node.value) {
                Some(Value::Table(inner)) => set(inner, keys, below, variable, value),
                _ => Err(format!("the file has no `[{}.{chosen}]`", key.name)),
            }
        }
        (Kind::One(_) | Kind::Choice(..) | Kind::Flag | Kind::Number(..) | Kind::Either(..), []) => {
            let node = Node { place: place.clone(), value: scalar(&key.kind, value) };
            match table.0.iter_mut().find(|entry| entry.name == key.name) {
                Some(entry) => entry.node = node,
                None => table.0.push(Entry { name: key.name.to_owned(), place, node }),
            }
            Ok(())
        }
        (Kind::One(_) | Kind::Choice(..) | Kind::Flag | Kind::Number(..), _) => {
            Err(format!("`{name}` has no keys of its own"))
        }
        _ => Err(format!("`{name}` is not a single value: write it in the file")),
    }
}

/// The table under `name`, made where the file has none.
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

/// The environment knows text only: what the key takes decides what the text says. What it cannot say is left to `shape` to refuse.
fn scalar(kind: &Kind, value: &str) -> Value {
    match kind {
        Kind::Flag => value.parse().map_or_else(|_| Value::Text(value.to_owned()), Value::Flag),
        Kind::Number(..) => {
            value.parse::<i64>().map_or_else(|_| Value::Text(value.to_owned()), |number| Value::Number(number.into()))
        }
        _ => Value::Text(value.to_owned()),
    }
}

fn spelled_before(variable: &str, names: &[String]) -> String {
    let rest: usize = names.iter().map(|name| name.len() + SEPARATOR.len()).sum();
    variable[..variable.len().saturating_sub(rest)].to_owned() + SEPARATOR
}
