//! The context of readers of tables: it collects complaints and resolves `env:NAME` and `file:PATH`. A resolved value
//! is never part of a complaint.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    complaint::{Lines, Problems},
    environment::Environment,
    form::{Indirect, Secret as SecretForm, is_reference},
    key::{Includes, Key, Maybe},
    section::Section,
    suggestion::is_variable,
    tree::Place,
};
use crate::secret::Secret;

/// The state of one reading of a file.
pub(crate) struct Context<'c> {
    pub(crate) problems: Problems,
    environment: &'c Environment,
    /// The folder of the file.
    folder: &'c Path,
    lines: &'c Lines,
    /// The program's name, for help texts.
    program: &'static str,
}

impl<'c> Context<'c> {
    pub(crate) fn new(environment: &'c Environment, folder: &'c Path, lines: &'c Lines, program: &'static str) -> Self {
        Self { problems: Problems::default(), environment, folder, lines, program }
    }

    /// Adds an error: the program does not start.
    pub(crate) fn complain(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.complain(place, message, help);
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        self.problems.warn(place, message, help);
    }

    /// The line of a place, from 1; 0 if it is not in the file.
    pub(crate) fn line(&self, place: &Place) -> usize {
        if let Place::File(range) = place { self.lines.number(range.start) } else { 0 }
    }

    /// Resolves a path relative to the folder of the file.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The secret under `key`. Warns if it is plain text in the file.
    pub(crate) fn secret<S, B>(&mut self, section: &Section<'_, S>, key: &Key<B, SecretForm, Maybe>) -> Option<Secret>
    where
        S: Includes<B>,
    {
        let source = section.optional(key)?;
        self.resolve_secret(&source.0, section.place(key))
    }

    /// The text under `key`, resolved; for values that are not secret.
    pub(crate) fn indirect<S, B>(&mut self, section: &Section<'_, S>, key: &Key<B, Indirect, Maybe>) -> Option<String>
    where
        S: Includes<B>,
    {
        let source = section.optional(key)?;
        if is_variable(&source.0) {
            let message = format!("`{}` would be taken as text: no shell or template fills it in", source.0);
            self.complain(section.place(key), message, "write \"env:NAME\" with the variable's name");
            return None;
        }
        self.resolve(&source.0, section.place(key))
    }

    /// Resolves `text` to a secret. Warns if it is plain text in the file, but not if it is plain text in an
    /// environment variable.
    pub(crate) fn resolve_secret(&mut self, text: &str, place: &Place) -> Option<Secret> {
        if is_variable(text) {
            self.complain(
                place,
                "this is a variable of a shell or template, and would be taken as the secret itself",
                "write \"env:NAME\" with the variable's name, without `$` and braces",
            );
            return None;
        }
        if !is_reference(text) && matches!(place, Place::File(_)) {
            self.warn(
                place,
                "a secret stands in the file itself",
                "write \"env:NAME\" or \"file:PATH\", and keep the secret there",
            );
        }
        self.resolve(text, place).map(Secret::new)
    }

    /// Resolves `env:NAME` and `file:PATH`; any other text is returned unchanged.
    pub(crate) fn resolve(&mut self, text: &str, place: &Place) -> Option<String> {
        if let Some(name) = text.strip_prefix("env:") {
            let fault = match self.environment.get(name) {
                Some(value) if !value.is_empty() => return Some(value.clone()),
                Some(_) => format!("the environment variable `{name}` is empty"),
                None => format!("there is no environment variable `{name}`"),
            };
            self.complain(place, fault, format!("set `{name}`"));
            return None;
        }
        let Some(path) = text.strip_prefix("file:") else { return Some(text.to_owned()) };
        // Editors of Windows begin a file with a byte order mark.
        let value = |content: String| content.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']).to_owned();
        match fs::read_to_string(self.path(path)).map(value) {
            Ok(content) if content.is_empty() => {
                self.complain(place, format!("the file `{path}` is empty"), "write the value into it");
                None
            }
            Ok(content) => Some(content),
            Err(error) => {
                self.complain_of_unreadable(place, &format!("the file `{path}`"), &error);
                None
            }
        }
    }

    /// Complains that `file`, a noun phrase such as "the file `x`", cannot be read.
    pub(crate) fn complain_of_unreadable(&mut self, place: &Place, file: &str, error: &io::Error) {
        let help = format!(
            "relative paths start at the folder of this file; the file must be readable for the user that {} runs as",
            self.program
        );
        self.complain(place, format!("{file} cannot be read: {}", error.kind()), help);
    }
}
