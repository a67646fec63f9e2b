//! `[telemetry]`: the log, its level and its format.

use super::forms;
use crate::{
    config::schema::{
        context::Context,
        form,
        key::{Choice, Flag, Table, table, words},
        section::Section,
    },
    telemetry::{self, Format, Output},
};

table! {
    /// `[telemetry]`
    pub(crate) struct TelemetryTable {
        /// The log.
        LOG: Table<LogTable> = optional("log");
        later "otlp";
    }
}

table! {
    /// `[telemetry.log]`
    pub(crate) struct LogTable {
        /// One JSON object a line, or text for people.
        FORMAT: Choice<Format> = default("format", "\"json\"");
        /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, or directives such as
        /// `info,vestibule::session=debug`.
        LEVEL: forms::LogLevel = default("level", "\"info\"");
        /// Whether each request has a line. Such lines are `info`: with `level = "warn"` there are none either.
        ACCESS: Flag = default("access", "true");
        /// `stdout`, `stderr`, or the path of a file, relative to the folder of `gateway.toml`.
        OUTPUT: form::Text = default("output", "\"stdout\"");
    }
}

words! { Format: "json" => Format::Json, "text" => Format::Text }

/// Reads `[telemetry]`.
pub(crate) fn telemetry(section: &Section<'_, TelemetryTable>, cx: &Context<'_>) -> telemetry::Settings {
    let log = section.section(&TelemetryTable::LOG);
    let output = match log.read(&LogTable::OUTPUT).as_str() {
        "stdout" => Output::Stdout,
        "stderr" => Output::Stderr,
        path => Output::File(cx.path(path)),
    };
    telemetry::Settings {
        format: log.read(&LogTable::FORMAT),
        level: log.read(&LogTable::LEVEL),
        access: log.read(&LogTable::ACCESS),
        output,
    }
}
