//! Logs with redaction, metrics, and the admin listener's pages.

use std::path::PathBuf;

/// `[telemetry]`, validated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// JSON or text.
    pub format: Format,
    /// A level, or tracing directives (`info,vestibule::session=debug`).
    pub level: String,
    /// Standard output, standard error, or a file.
    pub output: Output,
}

/// Form of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where log lines go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}
