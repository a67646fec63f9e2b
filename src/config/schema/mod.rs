//! An engine for configuration files in TOML, independent of the program. Each key is declared once, with type, default
//! and meaning ([`key::table`]), and read through its declaration. The engine reads the file into a tree with places,
//! puts values of environment variables into it, resolves `env:` and `file:` references, collects all mistakes with
//! line, column and help, and prints the JSON Schema and the reference page.
//!
//! # Why not serde and schemars
//! `toml` parses (its `DeTable` has a span for each key and value), and `annotate-snippets` prints complaints. Types
//! derived for `serde` and `schemars` would make something worse that operators see:
//! - `serde` stops at the first mistake; this engine reports all mistakes of a file at once. The messages of `serde`
//!   have the value that was found, which may be a secret.
//! - `toml::Spanned` works neither inside `#[serde(flatten)]` (the keys that all calls to a backend share) nor in
//!   untagged enums (`allow = "anyone"`, or a table), because `serde` buffers both without spans.
//! - Values of environment variables have no span. They would have to be merged into a tree before deserializing; the
//!   tree with its places and the declarations of its keys are most of this engine.
//! - `schemars` would replace 60 lines of `reference.rs`. Patterns and examples belong to each form and would be
//!   written by hand all the same, and the reference page needs the declarations.

use std::path::Path;

pub(crate) mod complaint;
pub(crate) mod context;
mod environment;
pub(crate) mod form;
pub(crate) mod key;
pub(crate) mod kind;
mod reference;
pub(crate) mod section;
pub(crate) mod shape;
pub(crate) mod suggestion;
mod syntax;
pub(crate) mod tree;

pub use environment::Environment;
pub(crate) use reference::SharedKeys;

use complaint::{Complaint, Complaints, Lines, Problems};
use context::Context;
use key::Keys;
use section::Section;
use tree::Place;

/// The place of a complaint about the whole file.
pub(crate) const START: Place = Place::File(0..0);

/// The properties of a program's file, besides its tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileFormat {
    /// The title of the JSON Schema.
    pub(crate) title: &'static str,
    /// The Markdown that the reference begins with.
    pub(crate) introduction: &'static str,
    /// Keys that the reference lists once.
    pub(crate) shared: Option<SharedKeys>,
    /// The program's name, for help texts.
    pub(crate) program: &'static str,
    /// The prefix of the environment variables that set a key.
    pub(crate) variables: &'static str,
}

impl FileFormat {
    /// Reads `text`, the content of the file `name` in `folder`; `build` makes the settings and may complain. It
    /// returns `None` only after a complaint.
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

    /// The JSON Schema of the file. Draft 7, which the TOML plugins of editors support.
    pub(crate) fn schema<Root: Keys>(&self) -> serde_json::Value {
        reference::schema(self.title, Root::ROWS)
    }

    /// The reference of all keys in Markdown.
    pub(crate) fn reference<Root: Keys>(&self) -> String {
        reference::reference(self.introduction, Root::ROWS, self.shared.as_ref())
    }
}

#[cfg(test)]
mod tests;
