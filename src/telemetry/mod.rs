//! Logs with redaction, metrics, and the admin listener's pages.
//!
//! Log lines, access lines included, go through a bounded queue to a thread that writes them. While the output is
//! blocked or the disk is full, lines are dropped and counted; requests do not wait.

mod access;
mod json;
mod log;
mod metrics;
mod pages;
mod queue;
mod request_id;
mod trace_parent;
mod writer;

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    sync::Arc,
};

use tracing::Dispatch;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

pub use self::{
    access::AccessLine,
    metrics::{CodeEvent, LoginResult, Metrics, RefreshResult, UpstreamCounters, UpstreamFailure},
    pages::{AdminListener, AdminPages, AuthorityStatus, DependencyStatus, NO_PAGE_POLICY, Readiness},
    queue::AccessLog,
    request_id::{RequestId, RequestIds},
    trace_parent::TraceParent,
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
    /// Whether requests are logged, if the level includes `info`.
    pub access: bool,
    /// Standard output, standard error, or a file.
    pub output: Output,
}

/// Format of a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for reading in a terminal.
    Text,
}

/// Where log lines are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to a file.
    File(PathBuf),
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The level is neither a level nor a list of directives.
    #[error("`{level}` is not a log level")]
    Level {
        /// The configured level.
        level: String,
        /// The parser's error.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The log file cannot be opened.
    #[error("cannot open the log file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the log's thread")]
    Thread(#[source] io::Error),
    /// The log of this process is set up already.
    #[error("the log is set up already")]
    Twice(#[source] TryInitError),
}

/// Sets up the log of this process. It ends when the guard is dropped.
pub fn init(settings: &Settings, clock: &Clock, metrics: &Metrics) -> Result<Guard, InitError> {
    // The descriptor itself: the buffer of `Stdout` would keep what could not be written, and write half of it later.
    let standard = |descriptor: io::Result<OwnedFd>| match descriptor {
        Ok(descriptor) => Box::new(File::from(descriptor)),
        Err(_) => Box::new(io::sink()) as Box<dyn io::Write + Send>,
    };
    let sink: Box<dyn io::Write + Send> = match &settings.output {
        Output::Stdout => standard(io::stdout().as_fd().try_clone_to_owned()),
        Output::Stderr => standard(io::stderr().as_fd().try_clone_to_owned()),
        Output::File(path) => Box::new(
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)
                .map_err(|source| InitError::File { path: path.clone(), source })?,
        ),
    };
    let queue = Arc::new(queue::LogQueue::new(queue::LIMIT, metrics.dropped_log_lines.clone()));
    let subscriber = Dispatch::new(log::subscriber(settings, clock, Arc::clone(&queue))?);
    let levels = log::LogLevels::of(&subscriber);
    let writes_access = settings.access && levels.access;
    let writer = writer::LogWriter::new(sink, settings, levels, clock.clone(), queue);
    let guard = writer.start(writes_access).map_err(InitError::Thread)?;
    subscriber.try_init().map_err(InitError::Twice)?;
    Ok(guard)
}
