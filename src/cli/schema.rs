//! `vestibule schema`: the keys of the configuration, as JSON Schema for editors or as Markdown for people.

use std::io::{self, Write};

use super::exit::Exit;
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
