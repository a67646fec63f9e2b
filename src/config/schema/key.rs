//! Typed declarations. The Rust type of a key contains its table and its form, so reading an undeclared key, or a key
//! of another table, does not compile.
//!
//! ```ignore
//! table! {
//!     /// `[server]`.
//!     pub(crate) struct ServerTable {
//!         /// The IP address and port.                     ← what the reference says of the key
//!         LISTEN: form::Address = required("listen");
//!         /// How long running requests may go on.
//!         DRAIN: form::Delay = default("drain", "\"30s\"");
//!     }
//! }
//! let drain: Duration = section.read(&ServerTable::DRAIN);
//! ```

use std::marker::PhantomData;

use super::{
    form::{AnyForm, TextForm},
    kind::{Group, KeyKind, KeyRow, Need, Rows},
    tree::{Node, Value},
};

/// A key of the table `S` with a value of the form `F`; `N` is [`Always`] where it has a default, else [`Maybe`].
pub(crate) struct Key<S, F, N = Maybe> {
    pub(crate) row: KeyRow,
    types: PhantomData<Types<S, F, N>>,
}

type Types<S, F, N> = fn() -> (S, F, N);

/// Marks a key without a default: optional or required.
pub(crate) enum Maybe {}

/// Marks a key with a default.
pub(crate) enum Always {}

impl<S, F: Form> Key<S, F, Maybe> {
    /// A key that must be in the file.
    pub(crate) const fn required(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Need::Required, doc)
    }

    /// A key that may be absent.
    pub(crate) const fn optional(name: &'static str, doc: &'static str) -> Self {
        Self::new(name, Need::Optional, doc)
    }
}

impl<S, F: Form> Key<S, F, Always> {
    /// A key with a default, which is written as in the file.
    pub(crate) const fn default(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self::new(name, Need::Default(default), doc)
    }
}

impl<S, F: Form, N> Key<S, F, N> {
    const fn new(name: &'static str, need: Need, doc: &'static str) -> Self {
        Self { row: KeyRow { name, kind: F::KIND, need, doc }, types: PhantomData }
    }
}

/// A key of any form, to query presence and place.
pub(crate) trait AnyKey {
    /// The table that it belongs to.
    type Table;

    fn name(&self) -> &'static str;
}

impl<S, F, N> AnyKey for Key<S, F, N> {
    type Table = S;

    fn name(&self) -> &'static str {
        self.row.name
    }
}

/// A declared table; implemented by [`table`].
pub(crate) trait Keys {
    /// The keys of this declaration.
    const OWN: Group;
    /// All keys of the table: its own and those that it shares with other tables.
    const ROWS: Rows;
}

/// A table that has the keys of `S`: its own, or shared ones. Implemented by [`table`].
pub(crate) trait Includes<S> {}

/// The kind of a key's value.
pub(crate) trait Form {
    const KIND: KeyKind;
}

/// A form whose values have a Rust type.
pub(crate) trait Read: Form {
    type Value;

    /// The value; `None` if it is malformed. The shape check has then complained.
    fn read(node: &Node) -> Option<Self::Value>;
}

impl<F: TextForm> Form for F {
    const KIND: KeyKind = KeyKind::One(AnyForm::of::<F>());
}

impl<F: TextForm> Read for F {
    type Value = F::Value;

    fn read(node: &Node) -> Option<F::Value> {
        F::parse(node.text()?).ok()
    }
}

/// `true` or `false`.
pub(crate) struct Flag;

impl Form for Flag {
    const KIND: KeyKind = KeyKind::Flag;
}

impl Read for Flag {
    type Value = bool;

    fn read(node: &Node) -> Option<bool> {
        if let Value::Flag(flag) = node.value { Some(flag) } else { None }
    }
}

/// A type of whole numbers.
pub(crate) trait Whole: TryFrom<i64> {
    /// The largest value.
    const MOST: i64;
}

impl Whole for u16 {
    const MOST: i64 = u16::MAX as i64;
}

impl Whole for u32 {
    const MOST: i64 = u32::MAX as i64;
}

/// A whole number from `FROM` to `TO`, both inclusive.
pub(crate) struct Number<T, const FROM: i64, const TO: i64>(PhantomData<T>);

impl<T: Whole, const FROM: i64, const TO: i64> Form for Number<T, FROM, TO> {
    const KIND: KeyKind = {
        assert!(0 <= FROM && FROM <= TO && TO <= T::MOST, "each number of the range has to fit into the type");
        KeyKind::Number(FROM, TO)
    };
}

impl<T: Whole, const FROM: i64, const TO: i64> Read for Number<T, FROM, TO> {
    type Value = T;

    fn read(node: &Node) -> Option<T> {
        let Value::Number(number) = &node.value else { return None };
        number.as_i64().and_then(|number| T::try_from(number).ok())
    }
}

/// A number from 0 to 1.
pub(crate) struct Fraction;

impl Form for Fraction {
    const KIND: KeyKind = KeyKind::Fraction;
}

impl Read for Fraction {
    type Value = f64;

    fn read(node: &Node) -> Option<f64> {
        let Value::Number(number) = &node.value else { return None };
        number.as_f64().filter(|fraction| (0.0..=1.0).contains(fraction))
    }
}

/// A type whose values the file spells as words; implemented by [`words`].
pub(crate) trait Word: Copy + PartialEq + 'static {
    const WORDS: &'static [&'static str];
    /// The value of each word, in the order of `WORDS`.
    const VALUES: &'static [Self];
    /// Words that a later version will accept.
    const LATER: &'static [&'static str];

    /// How the file spells this value.
    fn word(self) -> &'static str {
        let at = Self::VALUES.iter().position(|value| *value == self);
        at.and_then(|at| Self::WORDS.get(at)).unwrap_or(&"")
    }
}

/// One of the words of `W`.
pub(crate) struct Choice<W>(PhantomData<W>);

impl<W: Word> Form for Choice<W> {
    const KIND: KeyKind = KeyKind::Choice(W::WORDS, W::LATER);
}

impl<W: Word> Read for Choice<W> {
    type Value = W;

    fn read(node: &Node) -> Option<W> {
        let text = node.text()?;
        let at = W::WORDS.iter().position(|word| *word == text)?;
        W::VALUES.get(at).copied()
    }
}

/// An array.
pub(crate) struct List<F>(PhantomData<F>);

impl<F: Form> List<F> {
    const INNER: &'static KeyKind = &F::KIND;
}

impl<F: Form> Form for List<F> {
    const KIND: KeyKind = KeyKind::List(Self::INNER);
}

/// A table with the keys of `T`.
pub(crate) struct Table<T>(PhantomData<T>);

impl<T: Keys> Form for Table<T> {
    const KIND: KeyKind = KeyKind::Table(T::ROWS);
}

/// Tables with the keys of `T` under names that the file chooses.
pub(crate) struct Named<T>(PhantomData<T>);

impl<T: Keys> Form for Named<T> {
    const KIND: KeyKind = KeyKind::Named(T::ROWS);
}

/// An array of tables with the keys of `T`.
pub(crate) struct Tables<T>(PhantomData<T>);

impl<T: Keys> Form for Tables<T> {
    const KIND: KeyKind = KeyKind::Tables(T::ROWS);
}

/// A table whose keys the file chooses, with values of the form `F`.
pub(crate) struct Entries<F>(PhantomData<F>);

impl<F: Form> Entries<F> {
    const INNER: &'static KeyKind = &F::KIND;
}

impl<F: Form> Form for Entries<F> {
    const KIND: KeyKind = KeyKind::Entries(Self::INNER);
}

/// Any value.
pub(crate) struct Any;

impl Form for Any {
    const KIND: KeyKind = KeyKind::Any;
}

/// A text of the form `F`, or a table with the keys of `T`.
pub(crate) struct Either<F, T>(PhantomData<(F, T)>);

impl<F: Form, T> Either<F, T> {
    const INNER: &'static KeyKind = &F::KIND;
}

impl<F: Form, T: Keys> Form for Either<F, T> {
    const KIND: KeyKind = KeyKind::Either(Self::INNER, T::ROWS);
}

impl<F: Read, T: Keys> Read for Either<F, T> {
    type Value = F::Value;

    fn read(node: &Node) -> Option<F::Value> {
        F::read(node)
    }
}

/// A form that is a table, or may be one.
pub(crate) trait HasTable {
    type Table: Keys;
}

impl<T: Keys> HasTable for Table<T> {
    type Table = T;
}

impl<F, T: Keys> HasTable for Either<F, T> {
    type Table = T;
}

/// A key of a later version.
pub(crate) const fn later(name: &'static str) -> KeyRow {
    KeyRow { name, kind: KeyKind::Later, need: Need::Optional, doc: "" }
}

/// A doc comment without the space before its first word.
pub(crate) const fn doc(comment: &'static str) -> &'static str {
    match comment.as_bytes() {
        [b' ', ..] => comment.split_at(1).1,
        _ => comment,
    }
}

/// Declares a table: a type with a constant for each key. `: First` puts the keys of another table before its own, and
/// `then Last` behind them; `First` and `Last` include no tables themselves.
macro_rules! table {
    (
        $(#[$about:meta])*
        $vis:vis struct $table:ident $(: $first:ty)? {
            $(
                $(#[doc = $doc:literal])+
                $key:ident: $form:ty = $need:ident($name:literal $(, $default:literal)?);
            )*
            $(later $($later:literal),+;)?
        }
        $(then $last:ty)?
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $table;

        impl $table {
            $(
                $(#[doc = $doc])+
                $vis const $key: $crate::config::schema::key::Key<
                    Self,
                    $form,
                    $crate::config::schema::key::presence!($need),
                > = $crate::config::schema::key::Key::$need(
                    $name,
                    $($default,)?
                    $crate::config::schema::key::doc(concat!($($doc),+)),
                );
            )*
        }

        impl $crate::config::schema::key::Keys for $table {
            const OWN: $crate::config::schema::kind::Group = $crate::config::schema::kind::Group {
                table: stringify!($table),
                rows: &[
                    $(Self::$key.row,)*
                    $($($crate::config::schema::key::later($later),)+)?
                ],
            };
            const ROWS: $crate::config::schema::kind::Rows = $crate::config::schema::kind::Rows(&[
                $(<$first as $crate::config::schema::key::Keys>::OWN,)?
                <Self as $crate::config::schema::key::Keys>::OWN,
                $(<$last as $crate::config::schema::key::Keys>::OWN,)?
            ]);
        }

        impl $crate::config::schema::key::Includes<$table> for $table {}
        $(impl $crate::config::schema::key::Includes<$first> for $table {})?
        $(impl $crate::config::schema::key::Includes<$last> for $table {})?
    };
}
pub(crate) use table;

/// [`Always`] for a key with a default.
macro_rules! presence {
    (default) => {
        $crate::config::schema::key::Always
    };
    ($need:ident) => {
        $crate::config::schema::key::Maybe
    };
}
pub(crate) use presence;

/// Declares the words for the values of a type.
macro_rules! words {
    ($type:ty: $($word:literal => $value:expr),+ $(,)? $(; later $($later:literal),+)?) => {
        impl $crate::config::schema::key::Word for $type {
            const WORDS: &'static [&'static str] = &[$($word),+];
            const VALUES: &'static [Self] = &[$($value),+];
            const LATER: &'static [&'static str] = &[$($($later),+)?];
        }
    };
}
pub(crate) use words;
