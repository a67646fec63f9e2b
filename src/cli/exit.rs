//! How a command ends: its exit code, and the output for a configuration that cannot be loaded.

use std::{
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use crate::config::{Complaints, Loaded};

/// How the process ends. clap ends it with 2 after a wrong command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Success: exit code 0.
    Success,
    /// The configuration has problems, `check --probe` did not reach what it names, or `init` wrote
    /// nothing: exit code 1.
    BadConfig,
    /// Something else failed: exit code 3.
    Failure,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::BadConfig => 1,
            Exit::Failure => 3,
        })
    }
}

/// Calls `command` with a valid configuration, or prints what is wrong with it.
pub(super) fn with_config(
    path: &Path,
    loaded: Result<Loaded, Complaints>,
    out: &mut dyn Write,
    command: impl FnOnce(&Loaded, &mut dyn Write) -> io::Result<()>,
) -> io::Result<Exit> {
    match loaded {
        Ok(loaded) => command(&loaded, out).map(|()| Exit::Success),
        Err(complaints) => {
            write!(out, "{complaints}")?;
            writeln!(out, "{}: {}", path.display(), complaints.count())?;
            Ok(Exit::BadConfig)
        }
    }
}
