//! Text that is not in the file but said to be elsewhere: `env:NAME`, `file:PATH`. What comes from there is never part of a complaint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::config::{complaint::Problems, environment::Environment, form, section::Section, tree::Place};
use crate::secret::Secret;

/// Where secrets are looked up, and where complaints about them go.
pub(crate) struct Surroundings<'s> {
    pub(crate) environment: &'s Environment,
    /// The folder of the file.
    pub(crate) folder: &'s Path,
    pub(crate) problems: &'s mut Problems,
}

impl Surroundings<'_> {
    /// The secret under `key`.
    pub(crate) fn secret(&mut self, section: &Section<'_>, key: &str) -> Option<Secret> {
        let text = section.optional(key, form::text)?;
        self.resolve_secret(&text, section.place(key))
    }

    /// The text under `key`, wherever it is, where it is no secret.
    pub(crate) fn indirect(&mut self, section: &Section<'_>, key: &str) -> Option<String> {
        let text = section.optional(key, form::text)?;
        self.resolve(&text, section.place(key))
    }

    /// A secret of the file at `place`; plain text brings a warning, except where it came from the environment in the first place.
    pub(crate) fn resolve_secret(&mut self, text: &str, place: &Place) -> Option<Secret> {
        let plain = !text.starts_with("env:") && !text.starts_with("file:");
        if plain && matches!(place, Place::File(_)) {
            self.problems.warn(
                place,
                "a secret stands in the file itself",
                "write \"env:NAME\" or \"file:PATH\", and keep the secret there",
            );
        }
        self.resolve(text, place).map(Secret::new)
    }

    /// A file's path, relative to the folder of the configuration.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// The text that `text` is, or says where it is.
    pub(crate) fn resolve(&mut self, text: &str, place: &Place) -> Option<String> {
        if let Some(name) = text.strip_prefix("env:") {
            return match self.environment.get(name) {
                Some(value) if !value.is_empty() => Some(value.clone()),
                Some(_) => {
                    self.missing(place, format!("the environment variable `{name}` is empty"), format!("set `{name}`"))
                }
                None => {
                    self.missing(place, format!("there is no environment variable `{name}`"), format!("set `{name}`"))
                }
            };
        }
        let Some(path) = text.strip_prefix("file:") else { return Some(text.to_owned()) };
        match fs::read_to_string(self.path(path)).map(|content| content.trim_end_matches(['\r', '\n']).to_owned()) {
            Ok(content) if content.is_empty() => self.missing(place, format!("the file `{path}` is empty"), "put the secret there"),
            Ok(content) => Some(content),
            Err(error) => self.missing(
                place,
                format!("the file `{path}` cannot be read: {}", error.kind()),
                "relative paths start at the folder of this file; the file must be readable for the user that vestibule runs as",
            ),
        }
    }

    fn missing<T>(&mut self, place: &Place, message: String, help: impl Into<String>) -> Option<T> {
        self.problems.complain(place, message, help);
        None
    }
}
