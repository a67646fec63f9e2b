//! A table of the file beside its declared keys: what a builder of settings reads from. What is missing or malformed was complained about by `shape`, so reading is quiet.

use std::borrow::Cow;

use crate::config::{
    key::{Key, Kind, Need},
    tree::{self, Entry, Node, Place, Table},
};

/// A table and its declaration.
#[derive(Clone, Copy)]
pub(crate) struct Section<'t> {
    keys: &'static [Key],
    table: Option<&'t Table>,
    /// Where a complaint about the table as a whole points.
    place: &'t Place,
    /// The name its maker gave it, in `[providers.NAME]`.
    pub(crate) name: &'t str,
}

impl<'t> Section<'t> {
    /// The whole file.
    pub(crate) fn root(keys: &'static [Key], table: &'t Table, place: &'t Place) -> Self {
        Self { keys, table: Some(table), place, name: "" }
    }

    /// Whether the file has it.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether the file has this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Where to point for the table as a whole.
    pub(crate) fn own_place(&self) -> &'t Place {
        self.place
    }

    /// Whether the file says `key = []`, which may mean more than nothing.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|entry| matches!(&entry.node.value, tree::Value::List(list) if list.is_empty()))
    }

    /// Where to point for `key`: its value, else the table.
    pub(crate) fn place(&self, key: &str) -> &'t Place {
        self.entry(key).map_or(self.place, |entry| &entry.node.place)
    }

    /// Where to point for the name of `key`, else the table.
    pub(crate) fn place_of_key(&self, key: &str) -> &'t Place {
        self.entry(key).map_or(self.place, |entry| &entry.place)
    }

    /// The value, or the declared default.
    pub(crate) fn node(&self, key: &str) -> Option<Cow<'t, Node>> {
        self.entry(key).map(|entry| Cow::Borrowed(&entry.node)).or_else(|| self.default(key).map(Cow::Owned))
    }

    /// The value read by `parse`. `None` where it is absent without a default, or malformed.
    pub(crate) fn optional<T, E>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        self.node(key)?.text().and_then(|text| parse(text).ok())
    }

    /// The value read by `parse`, or the declared default.
    pub(crate) fn read<T, E>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> T {
        self.optional(key, &parse)
            .or_else(|| parse(self.default(key)?.text()?).ok())
            .expect("every key that is read so declares a default of its own form")
    }

    /// A flag, or its declared default.
    pub(crate) fn flag(&self, key: &str) -> bool {
        let value = |node: &Node| if let tree::Value::Flag(flag) = node.value { Some(flag) } else { None };
        let default = || self.default(key).as_ref().and_then(value);
        self.entry(key).and_then(|entry| value(&entry.node)).or_else(default).unwrap_or(false)
    }

    /// A whole number, or its declared default.
    pub(crate) fn number(&self, key: &str) -> u32 {
        let value = |node: &Node| match &node.value {
            tree::Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            _ => None,
        };
        let default = || self.default(key).as_ref().and_then(value);
        let number = self.entry(key).and_then(|entry| value(&entry.node)).or_else(default);
        number.expect("every key that is read so declares a default that is a number")
    }

    /// The well-formed elements of a list, each with its place.
    pub(crate) fn list<T, E>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<(T, Place)> {
        let node = self.node(key);
        let elements = node.as_deref().map_or(&[][..], Node::list);
        elements.iter().filter_map(|element| Some((parse(element.text()?).ok()?, element.place.clone()))).collect()
    }

    /// The same, without places.
    pub(crate) fn values<T, E>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Vec<T> {
        self.list(key, parse).into_iter().map(|(value, _)| value).collect()
    }

    /// The same under another name.
    pub(crate) fn named_as(self, name: &'t str) -> Self {
        Self { name, ..self }
    }

    /// The entries of a table whose keys the file chooses.
    pub(crate) fn entries(&self, key: &str) -> &'t [Entry] {
        self.entry(key).and_then(|entry| entry.node.table()).map_or(&[], |table| &table.0)
    }

    /// The table under `key`, present or not.
    pub(crate) fn section(&self, key: &str) -> Self {
        let entry = self.entry(key);
        Self {
            keys: self.declared(key).kind.keys(),
            table: entry.and_then(|entry| entry.node.table()),
            place: entry.map_or(self.place, |entry| &entry.place),
            name: self.name,
        }
    }

    /// The tables of `[key.NAME]`.
    pub(crate) fn named(&self, key: &str) -> impl Iterator<Item = Self> + use<'t> {
        let keys = self.declared(key).kind.keys();
        let tables = self.entries(key).iter().filter_map(|entry| Some((entry, entry.node.table()?)));
        tables.map(move |(entry, table)| Self { keys, table: Some(table), place: &entry.place, name: &entry.name })
    }

    /// The tables of `[[key]]`.
    pub(crate) fn tables(&self, key: &str) -> impl Iterator<Item = Self> + use<'t> {
        let keys = self.declared(key).kind.keys();
        let nodes = self.entry(key).map_or(&[][..], |entry| entry.node.list()).iter();
        nodes.filter_map(move |node| Some(Self { keys, table: Some(node.table()?), place: &node.place, name: "" }))
    }

    fn entry(&self, key: &str) -> Option<&'t Entry> {
        debug_assert!(!matches!(self.declared(key).kind, Kind::Later), "nothing reads a key of a later version");
        self.table?.entry(key)
    }

    fn default(&self, key: &str) -> Option<Node> {
        if let Need::Default(text) = self.declared(key).need { tree::read_value(text) } else { None }
    }

    fn declared(&self, key: &str) -> &'static Key {
        self.keys.iter().find(|declared| declared.name == key).expect("only declared keys are read")
    }
}
