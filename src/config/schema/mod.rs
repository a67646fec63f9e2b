//! An engine for configuration files in TOML: a table is declared once, as keys with type, default and meaning
//! ([`key::table`]), and read through these declarations. It reads the file into a tree with places, lets environment
//! variables override single values, fetches `env:` and `file:` secrets, collects all mistakes of one run with line,
//! column and help, and prints the JSON Schema and the reference page. It knows nothing of the program whose file it is.
//!
//! # Why not serde and schemars
//! The parser is `toml`'s (`DeTable`, whose keys and values carry spans), and `annotate-snippets` prints complaints. What
//! derived types would take over makes something worse that operators see:
//! - `serde` stops at the first mistake; here all mistakes of a file are told at once, also of tables that another table
//!   is compared with. Its messages hold the value that was found, which may be a secret.
//! - `toml::Spanned` works neither inside `#[serde(flatten)]` (the keys that all calls to a backend share) nor in untagged
//!   enums (`allow = "anyone"` or a table), because serde buffers both without spans.
//! - Values from environment variables have no span in the file: they would have to be merged into a tree before
//!   deserializing, and that tree, its places and the declaration of its keys are most of this engine.
//! - `schemars` would replace about 60 lines of `reference.rs`, but patterns and examples are per form and would be written
//!   by hand all the same, and the reference page needs the declarations anyway.

use std::{collections::BTreeMap, path::Path};

pub(crate) mod complaint;
pub(crate) mod context;
mod environment;
pub(crate) mod form;
pub(crate) mod key;
pub(crate) mod kind;
mod reference;
pub(crate) mod section;
pub(crate) mod shape;
mod syntax;
pub(crate) mod tree;

use complaint::{Complaint, Complaints, Lines, Problems};
use context::Context;
use key::Keys;
use section::Section;
use tree::Place;

/// The process's environment variables, as an argument.
pub type Environment = BTreeMap<String, String>;

/// Where a complaint about the file as a whole points.
pub(crate) const START: Place = Place::File(0..0);

/// What the engine has to know of a program and its file, besides the keys of the root table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileFormat {
    /// The title of the JSON Schema.
    pub(crate) title: &'static str,
    /// The Markdown that the reference begins with.
    pub(crate) introduction: &'static str,
    /// What the program is called in help texts.
    pub(crate) program: &'static str,
    /// What the environment variables begin with that set a key.
    pub(crate) variables: &'static str,
}

impl FileFormat {
    /// Reads `text`, the content of the file `name` in `folder`; `build` makes the settings and may complain.
    /// It returns `None` only where something was complained about.
    pub(crate) fn read<Root: Keys, T>(
        &self,
        (text, name, folder): (&str, &str, &Path),
        environment: &Environment,
        build: impl FnOnce(&Section<'_, Root>, &mut Context<'_>) -> Option<T>,
    ) -> Result<(T, Vec<Complaint>), Complaints> {
        let lines = Lines::of(text);
        let mut cx = Context::new(environment, folder, &lines, self.program);
        let settings = match tree::read(text) {
            Ok(mut table) => {
                cx.problems.hide_passwords(&table);
                self.prepare::<Root>(&mut table, environment, &mut cx.problems);
                build(&Section::root(&table, &START), &mut cx)
            }
            Err(error) => {
                syntax::complain(&error, text, &mut cx.problems);
                None
            }
        };
        let complaints = cx.problems.finish(name, text);
        match settings {
            Some(settings) if complaints.errors.is_empty() => Ok((settings, complaints.warnings)),
            _ => Err(complaints),
        }
    }

    /// Puts the environment's values into the tree, and checks every key and value against its declaration.
    pub(crate) fn prepare<Root: Keys>(
        &self,
        table: &mut tree::Table,
        environment: &Environment,
        problems: &mut Problems,
    ) {
        environment::apply(table, Root::ROWS, self.variables, environment, problems);
        shape::check(table, Root::ROWS, "", &START, problems);
    }

    /// The JSON Schema of the file. Draft 7 is what the TOML plugins of editors understand.
    pub(crate) fn schema<Root: Keys>(&self) -> serde_json::Value {
        reference::schema(self.title, Root::ROWS)
    }

    /// The reference of all keys in Markdown.
    pub(crate) fn reference<Root: Keys>(&self) -> String {
        reference::reference(self.introduction, Root::ROWS)
    }
}
