//! The file as a tree with the place of each key and value, in the order of the file.

use std::ops::Range;

use serde_json::Number;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::received;

/// Where something was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// These bytes of the file.
    File(Range<usize>),
    /// This environment variable.
    Environment(String),
    /// No place: a declared default, or a mistake of the whole file.
    Nowhere,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A value of TOML.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(Number),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// A value that JSON does not have, as a noun phrase for complaints: a date, an infinity.
    Other(&'static str),
}

/// A table's entries, in the order of the file.
#[derive(Clone, Default, Debug)]
pub(crate) struct Table(pub(crate) Vec<Entry>);

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    /// The place of the key; `node` has that of the value.
    pub(crate) place: Place,
    pub(crate) node: Node,
}

impl Table {
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }
}

impl Node {
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// A text, a number or a flag as text.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(received::number_text(number)),
            Value::Flag(flag) => Some(flag.to_string()),
            Value::List(_) | Value::Table(_) | Value::Other(_) => None,
        }
    }

    pub(crate) fn table(&self) -> Option<&Table> {
        if let Value::Table(table) = &self.value { Some(table) } else { None }
    }

    pub(crate) fn list(&self) -> &[Self] {
        if let Value::List(list) = &self.value { list } else { &[] }
    }
}

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Table, toml::de::Error> {
    DeTable::parse(text).map(|table| from_table(table.into_inner()))
}

/// Parses one value in TOML syntax; for declared defaults.
pub(crate) fn read_value(text: &str) -> Option<Node> {
    let mut node = from_value(DeValue::parse(text).ok()?);
    node.place = Place::Nowhere;
    Some(node)
}

fn from_table(table: DeTable<'_>) -> Table {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(name, value)| {
            let place = name.span();
            (
                place.start,
                Entry { name: name.into_inner().into_owned(), place: Place::File(place), node: from_value(value) },
            )
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn from_value(value: Spanned<DeValue<'_>>) -> Node {
    let place = Place::File(value.span());
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number that large"), |number| Value::Number(number.into())),
        DeValue::Float(number) => {
            let number = number.as_str().parse().ok().and_then(Number::from_f64);
            number.map_or(Value::Other("an infinity"), Value::Number)
        }
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.into_iter().map(from_value).collect()),
        DeValue::Table(table) => Value::Table(from_table(table)),
    };
    Node { place, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_the_order_and_the_places_of_the_file() {
        let text = "[b.inner]\nx = 1\n[a]\ny.z = 'é'\n[[c]]\nk = true\n[[c]]\nk = 2.5\n";
        let table = read(text).unwrap();
        let at = |place: &Place| match place {
            Place::File(range) => text[range.clone()].to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(table.0.iter().map(|e| at(&e.place)).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(at(&table.entry("c").unwrap().node.list()[1].place), "[[c]]");
        assert_eq!(at(&table.0[1].node.table().unwrap().0[0].place), "y");
    }
}
