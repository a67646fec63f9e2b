//! `vestibule schema`: the configuration's keys, for editors or for people.

use std::io::{self, Write};

use super::Exit;
use crate::{config, problem};

/// Prints the JSON Schema, or the reference in Markdown.
pub(super) fn schema(reference: bool, out: &mut dyn Write) -> io::Result<Exit> {
    if reference {
        write!(out, "{}", config::reference())?;
    } else {
        writeln!(out, "{:#}", config::schema())?;
    }
    Ok(Exit::Success)
}

/// Prints the table of problems in Markdown.
pub(super) fn problems(out: &mut dyn Write) -> io::Result<Exit> {
    write!(out, "{}", problem::reference())?;
    Ok(Exit::Success)
}
