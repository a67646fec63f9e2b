//! What a key of the file can be: the types of the declaration in `keys.rs`, which the reader, the JSON Schema and the reference all follow.

use crate::config::form::Form;

/// One key, declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) need: Need,
    pub(crate) doc: &'static str,
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A string of a certain form.
    One(Form),
    /// One of these words; the second list comes with later versions.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// An integer from … to ….
    Number(i64, i64),
    /// An array.
    List(&'static Kind),
    /// A table with these keys.
    Table(&'static [Key]),
    /// Tables of a name that the file chooses: `[providers.NAME]`.
    Named(&'static [Key]),
    /// An array of tables: `[[routes]]`.
    Tables(&'static [Key]),
    /// A table whose keys the file chooses; their values are all of one kind.
    Entries(&'static Kind),
    /// Any value.
    Any,
    /// A word or text in the first form, or a table with these keys.
    Either(&'static Kind, &'static [Key]),
    /// A key of a later version.
    Later,
}

/// Whether a key must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Absent is the same as this, written as in the file.
    Default(&'static str),
}

impl Kind {
    /// The keys below, where the declaration knows them.
    pub(crate) fn keys(&self) -> &'static [Key] {
        match self {
            Self::Table(keys) | Self::Named(keys) | Self::Tables(keys) | Self::Either(_, keys) => keys,
            _ => &[],
        }
    }

    /// What to call it in a sentence: "must be …".
    pub(crate) fn what(&self) -> String {
        match self {
            Self::One(form) => form.what().to_owned(),
            Self::Choice(words, _) if words.len() == 1 => format!("\"{}\"", words[0]),
            Self::Choice(words, _) => format!("one of {}", quoted(words)),
            Self::Flag => "true or false".to_owned(),
            Self::Number(from, to) => format!("a number from {from} to {to}"),
            Self::List(_) => "a list".to_owned(),
            Self::Tables(_) => "a list of tables".to_owned(),
            Self::Table(_) | Self::Named(_) | Self::Entries(_) => "a table".to_owned(),
            Self::Either(kind, _) => format!("{} or a table", kind.what()),
            Self::Any | Self::Later => "a value".to_owned(),
        }
    }

    /// What to write, with an example.
    pub(crate) fn help(&self, name: &str) -> String {
        match self {
            Self::One(form) => form.help(name),
            Self::Choice(words, _) => format!("write `{name} = \"{}\"`", words[0]),
            Self::Flag => format!("write `{name} = true` or `{name} = false`, without quotes"),
            Self::Number(from, to) => format!("write a whole number from {from} to {to}, without quotes"),
            Self::List(Self::One(form)) => format!("write `{name} = [\"{}\"]`", form.example()),
            Self::List(_) => format!("write `{name} = […]`"),
            Self::Tables(_) => format!("write `[[{name}]]`"),
            Self::Table(_) => format!("write its keys under `[{name}]`, or `{name} = {{ … }}`"),
            Self::Named(_) => format!("write `[{name}.NAME]`"),
            Self::Entries(_) => format!("write `{name} = {{ NAME = \"…\" }}`"),
            Self::Either(kind, keys) => format!("{}, or `{name} = {{ {} = … }}`", kind.help(name), keys[0].name),
            Self::Any | Self::Later => String::new(),
        }
    }
}

/// `"a", "b"`.
pub(crate) fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// The closest of `known` to a misspelt `name`, where one is close enough to be meant.
pub(crate) fn closest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.len() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
