//! One table of the file, read through the declarations of its keys. Reading never complains: the shape check has
//! already done so for missing and malformed values.

use std::marker::PhantomData;

use super::{
    complaint::Problems,
    key::{Always, AnyKey, Entries, Form, HasTable, Includes, Key, Keys, List, Maybe, Named, Read, Tables},
    kind::Need,
    tree::{self, Entry, Node, Place},
};

/// A table with the keys of `S`, present or not.
pub(crate) struct Section<'t, S> {
    table: Option<&'t tree::Table>,
    /// The place of the table's header, or of the enclosing table's if this table is absent.
    place: &'t Place,
    /// The name that the file chose, in `[table.NAME]`.
    pub(crate) name: &'t str,
    keys: PhantomData<fn() -> S>,
}

impl<S> Clone for Section<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Section<'_, S> {}

impl<'t, S> Section<'t, S> {
    fn new(table: Option<&'t tree::Table>, place: &'t Place, name: &'t str) -> Self {
        Self { table, place, name, keys: PhantomData }
    }

    /// The whole file.
    pub(crate) fn root(table: &'t tree::Table, place: &'t Place) -> Self {
        Self::new(Some(table), place, "")
    }

    /// This table, typed by the keys that it shares with other tables.
    pub(crate) fn shared<B>(&self) -> Section<'t, B>
    where
        S: Includes<B>,
    {
        Section::new(self.table, self.place, self.name)
    }

    /// Whether the file has this table.
    pub(crate) fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The place of a complaint about the whole table.
    pub(crate) fn own_place(&self) -> &'t Place {
        self.place
    }

    /// Whether the file has this key.
    pub(crate) fn has<K: AnyKey + ?Sized>(&self, key: &K) -> bool
    where
        S: Includes<K::Table>,
    {
        self.entry(key).is_some()
    }

    /// The place of the key's value, else of the table.
    pub(crate) fn place<K: AnyKey + ?Sized>(&self, key: &K) -> &'t Place
    where
        S: Includes<K::Table>,
    {
        self.entry(key).map_or(self.place, |entry| &entry.node.place)
    }

    /// The place of the key's name, else of the table.
    pub(crate) fn place_of_key<K: AnyKey + ?Sized>(&self, key: &K) -> &'t Place
    where
        S: Includes<K::Table>,
    {
        self.entry(key).map_or(self.place, |entry| &entry.place)
    }

    /// The raw value of the file, of any form.
    pub(crate) fn node<K: AnyKey + ?Sized>(&self, key: &K) -> Option<&'t Node>
    where
        S: Includes<K::Table>,
    {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Whether the file says `key = []`.
    pub(crate) fn is_empty_list<K: AnyKey + ?Sized>(&self, key: &K) -> bool
    where
        S: Includes<K::Table>,
    {
        self.node(key).is_some_and(|node| matches!(&node.value, tree::Value::List(list) if list.is_empty()))
    }

    /// Whether the file has a malformed value, about which the shape check has complained.
    pub(crate) fn is_malformed<B, F: Read, N>(&self, key: &Key<B, F, N>) -> bool
    where
        S: Includes<B>,
    {
        self.node(key).is_some_and(|node| F::read(node).is_none())
    }

    /// Whether the file has this key with a value in which an error was found: what follows from its default would be
    /// a second complaint about one fault.
    pub(crate) fn is_faulty<K: AnyKey + ?Sized>(&self, key: &K, problems: &Problems) -> bool
    where
        S: Includes<K::Table>,
    {
        self.node(key).is_some_and(|node| problems.complains_of(&node.place))
    }

    /// The value; `None` where it is absent or malformed.
    pub(crate) fn optional<B, F: Read>(&self, key: &Key<B, F, Maybe>) -> Option<F::Value>
    where
        S: Includes<B>,
    {
        self.node(key).and_then(F::read)
    }

    /// The value, or the declared default where it is absent or malformed.
    pub(crate) fn read<B, F: Read>(&self, key: &Key<B, F, Always>) -> F::Value
    where
        S: Includes<B>,
    {
        self.node(key)
            .and_then(F::read)
            .or_else(|| F::read(&default(key)?))
            .expect("a test checks every declared default against its form")
    }

    /// The well-formed elements of a list, each with its place.
    pub(crate) fn list<B, F: Read, N>(&self, key: &Key<B, List<F>, N>) -> Vec<(F::Value, Place)>
    where
        S: Includes<B>,
    {
        let read = |node: &Node| {
            let elements = node.list().iter();
            elements.filter_map(|element| Some((F::read(element)?, element.place.clone()))).collect()
        };
        match self.node(key) {
            Some(node) => read(node),
            None => default(key).as_ref().map(read).unwrap_or_default(),
        }
    }

    /// The well-formed elements of a list.
    pub(crate) fn values<B, F: Read, N>(&self, key: &Key<B, List<F>, N>) -> Vec<F::Value>
    where
        S: Includes<B>,
    {
        self.list(key).into_iter().map(|(value, _)| value).collect()
    }

    /// The entries of a table whose keys the file chooses.
    pub(crate) fn entries<B, F, N>(&self, key: &Key<B, Entries<F>, N>) -> &'t [Entry]
    where
        S: Includes<B>,
    {
        self.entries_below(key)
    }

    /// The table under `key`, present or not.
    pub(crate) fn section<B, F: HasTable, N>(&self, key: &Key<B, F, N>) -> Section<'t, F::Table>
    where
        S: Includes<B>,
    {
        let entry = self.entry(key);
        let table = entry.and_then(|entry| entry.node.table());
        Section::new(table, entry.map_or(self.place, |entry| &entry.place), self.name)
    }

    /// The tables of `[key.NAME]`.
    pub(crate) fn named<B, T: Keys, N>(
        &self,
        key: &Key<B, Named<T>, N>,
    ) -> impl Iterator<Item = Section<'t, T>> + use<'t, S, B, T, N>
    where
        S: Includes<B>,
    {
        let tables = self.entries_below(key).iter();
        tables.filter_map(|entry| Some(Section::new(Some(entry.node.table()?), &entry.place, &entry.name)))
    }

    /// The tables of `[[key]]`.
    pub(crate) fn tables<B, T: Keys, N>(
        &self,
        key: &Key<B, Tables<T>, N>,
    ) -> impl Iterator<Item = Section<'t, T>> + use<'t, S, B, T, N>
    where
        S: Includes<B>,
    {
        let nodes = self.node(key).map_or(&[][..], Node::list).iter();
        nodes.filter_map(|node| Some(Section::new(Some(node.table()?), &node.place, "")))
    }

    fn entries_below<K: AnyKey + ?Sized>(&self, key: &K) -> &'t [Entry]
    where
        S: Includes<K::Table>,
    {
        self.node(key).and_then(Node::table).map_or(&[], |table| &table.0)
    }

    fn entry<K: AnyKey + ?Sized>(&self, key: &K) -> Option<&'t Entry>
    where
        S: Includes<K::Table>,
    {
        self.table?.entry(key.name())
    }
}

fn default<S, F: Form, N>(key: &Key<S, F, N>) -> Option<Node> {
    if let Need::Default(text) = key.row.need { tree::read_value(text) } else { None }
}
