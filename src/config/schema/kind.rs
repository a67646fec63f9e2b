//! Declarations without Rust types, for the shape check, the environment, the JSON Schema and the reference.

use super::form::AnyForm;

/// The declaration of a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyRow {
    pub(crate) name: &'static str,
    pub(crate) kind: KeyKind,
    pub(crate) need: Need,
    /// What the key means, in Markdown, for the reference.
    pub(crate) doc: &'static str,
}

/// The kind of a key's value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    /// A text of a certain form.
    One(AnyForm),
    /// One of the words of the first list; the second has the words of later versions.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// An integer from the first to the second number, both inclusive.
    Number(i64, i64),
    /// A number from 0 to 1, whole or not.
    Fraction,
    /// An array.
    List(&'static KeyKind),
    /// A table with these keys.
    Table(Rows),
    /// Tables under names that the file chooses: `[table.NAME]`.
    Named(Rows),
    /// An array of tables: `[[table]]`.
    Tables(Rows),
    /// A table whose keys the file chooses; their values are all of one kind.
    Entries(&'static KeyKind),
    /// Any value.
    Any,
    /// A text of the first kind, or a table with these keys.
    Either(&'static KeyKind, Rows),
    /// A key of a later version.
    Later,
}

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    Required,
    Optional,
    /// The value if the key is absent, written as in the file.
    Default(&'static str),
}

/// All keys of a table: its own, and those that it shares with other tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows(pub(crate) &'static [Group]);

/// The keys of one declaration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The Rust type that the keys belong to.
    pub(crate) table: &'static str,
    pub(crate) rows: &'static [KeyRow],
}

impl Rows {
    const NONE: Self = Self(&[]);

    /// All keys, those of later versions too, in the order of the reference.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'static KeyRow> {
        self.0.iter().flat_map(|group| group.rows)
    }

    /// The keys that this version has.
    pub(crate) fn known(self) -> impl Iterator<Item = &'static KeyRow> {
        self.iter().filter(|row| !matches!(row.kind, KeyKind::Later))
    }

    /// The key called `name`.
    pub(crate) fn find(self, name: &str) -> Option<&'static KeyRow> {
        self.iter().find(|row| row.name == name)
    }
}

impl KeyKind {
    /// The keys of the tables that this kind has.
    pub(crate) fn rows(&self) -> Rows {
        match self {
            Self::Table(rows) | Self::Named(rows) | Self::Tables(rows) | Self::Either(_, rows) => *rows,
            _ => Rows::NONE,
        }
    }

    /// A noun phrase that completes "must be …".
    pub(crate) fn what(&self) -> String {
        match self {
            Self::One(form) => form.what.to_owned(),
            Self::Choice(words, _) if words.len() == 1 => format!("\"{}\"", words[0]),
            Self::Choice(words, _) => format!("one of {}", quoted(words)),
            Self::Flag => "true or false".to_owned(),
            Self::Number(from, to) => format!("a number from {from} to {to}"),
            Self::Fraction => "a number from 0 to 1".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Table(_) | Self::Named(_) | Self::Entries(_) => "a table".to_owned(),
            Self::Either(kind, _) => format!("{} or a table", kind.what()),
            Self::Any | Self::Later => "a value".to_owned(),
        }
    }

    /// The help text, with an example.
    pub(crate) fn help(&self, name: &str) -> String {
        match self {
            Self::One(form) => form.help(name),
            Self::Choice(words, _) => format!("write `{name} = \"{}\"`", words[0]),
            Self::Flag => format!("write `{name} = true` or `{name} = false`, without quotes"),
            Self::Number(from, to) => format!("write a whole number from {from} to {to}, without quotes"),
            Self::Fraction => format!("write `{name} = 0.5`, without quotes"),
            Self::List(Self::One(form)) => format!("write `{name} = [\"{}\"]`", form.example),
            Self::List(_) => format!("write `{name} = […]`"),
            Self::Tables(_) => format!("write `[[{name}]]`"),
            Self::Table(rows) => {
                let first = rows.iter().next().map_or("", |row| row.name);
                format!("write its keys as a table, e.g. `{name} = {{ {first} = … }}`")
            }
            Self::Named(_) => format!("write `[{name}.NAME]`"),
            Self::Entries(_) => format!("write `{name} = {{ NAME = \"…\" }}`"),
            Self::Either(kind, rows) => {
                let first = rows.iter().next().map_or("", |row| row.name);
                format!("{}, or `{name} = {{ {first} = … }}`", kind.help(name))
            }
            Self::Any | Self::Later => String::new(),
        }
    }
}

/// `"a", "b"`.
pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// The name in `known` that is closest to a misspelt `name`, if at most a third of its letters differ.
pub(crate) fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
