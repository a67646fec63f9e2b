//! Logs with redaction, metrics, and the admin listener's pages.
//!
//! A log line, an access line too, is put into a bounded queue and written by a thread of its own: a blocked pipe or a
//! full disk costs lines, which are counted, and never a request.

mod access;
mod json;
mod log;
mod metrics;
mod pages;
mod queue;
mod request_id;
mod writer;

use std::{fs::OpenOptions, io, path::PathBuf, sync::Arc};

use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use self::{
    access::AccessLine,
    metrics::{CodeEvent, Login, Metrics, Refresh, UpstreamFailure},
    pages::{Pages, Reach, State, Surface},
    queue::AccessLog,
    request_id::{RequestId, RequestIds},
    writer::Guard,
};
use crate::clock::Clock;

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

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is neither a level nor a list of directives.
    #[error("`{level}` is no log level")]
    Level {
        /// What was configured.
        level: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The log file cannot be opened.
    #[error("cannot open the log file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the log's thread")]
    Thread(#[source] io::Error),
    /// Something in this process logs already.
    #[error("the log is set up already")]
    Twice(#[source] TryInitError),
}

/// Sets up the log of this process. Lines are written until the guard is dropped.
pub fn init(settings: &Settings, clock: &Clock, metrics: &Metrics) -> Result<Guard, InitError> {
    let sink: Box<dyn io::Write + Send> = match &settings.output {
        Output::Stdout => Box::new(io::stdout()),
        Output::Stderr => Box::new(io::stderr()),
        Output::File(path) => Box::new(
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|source| InitError::File { path: path.clone(), source })?,
        ),
    };
    let queue = Arc::new(queue::Queue::new(queue::LIMIT, metrics.dropped_log_lines.clone()));
    let subscriber = log::subscriber(settings, clock, Arc::clone(&queue))?;
    let guard = writer::start(sink, settings.format, clock.clone(), queue).map_err(InitError::Thread)?;
    subscriber.try_init().map_err(InitError::Twice)?;
    Ok(guard)
}
