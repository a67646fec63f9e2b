//! The questions on a terminal. An empty answer takes the default in brackets.

use std::{
    io::{self, BufRead, Write},
    path::PathBuf,
};

use clap::ValueEnum as _;

use super::{
    Case, InitOptions,
    text::{Answers, USUAL_UPSTREAM, usual_public_url},
};

/// Asks for what the options do not say; `None` if the input ends before the case is known.
pub(super) fn ask(
    options: &InitOptions,
    terminal: &mut dyn BufRead,
    out: &mut dyn Write,
) -> io::Result<Option<Answers>> {
    let case = match options.case {
        Some(case) => case,
        None => match case(terminal, out)? {
            Some(case) => case,
            None => return Ok(None),
        },
    };
    let public_url = match &options.public_url {
        Some(url) => url.clone(),
        None => with_default("What do people type to reach it?", usual_public_url(case), terminal, out)?,
    };
    let what = if case == Case::Api { "the API" } else { "the app" };
    let upstream = match &options.upstream {
        Some(url) => url.clone(),
        None => with_default(&format!("Where does {what} itself listen?"), USUAL_UPSTREAM, terminal, out)?,
    };
    let (mut issuer, mut client_id) = (options.issuer.clone(), options.client_id.clone());
    if matches!(case, Case::App | Case::Proxy) {
        if issuer.is_none() {
            let answer = with_default("Which provider logs people in? Its issuer URL, or", "google", terminal, out)?;
            issuer = (answer != "google").then_some(answer);
        }
        if client_id.is_none() {
            let answer = with_default("The client id that it gave, or", "later", terminal, out)?;
            client_id = (answer != "later").then_some(answer);
        }
    }
    Ok(Some(Answers { case, public_url, upstream, issuer, client_id }))
}

/// The file's path, or another that is asked for while the file exists; `None` if no name is given.
pub(super) fn free_name(
    mut file: PathBuf,
    terminal: &mut dyn BufRead,
    out: &mut dyn Write,
) -> io::Result<Option<PathBuf>> {
    while file.exists() {
        write!(out, "{} exists and stays as it is. Another name (empty: write nothing): ", file.display())?;
        let Some(name) = line(terminal, out)?.filter(|name| !name.is_empty()) else {
            writeln!(out, "Nothing was written.")?;
            return Ok(None);
        };
        file.set_file_name(name);
    }
    Ok(Some(file))
}

fn case(terminal: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<Option<Case>> {
    writeln!(out, "What do you have?")?;
    for (index, case) in Case::value_variants().iter().enumerate() {
        let value = case.to_possible_value();
        let (name, help) = value.as_ref().map_or(("", String::new()), |value| {
            (value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default())
        });
        writeln!(out, "  {}  {name:6} {help}", index + 1)?;
    }
    loop {
        write!(out, "1 to 4: ")?;
        let Some(answer) = line(terminal, out)? else { return Ok(None) };
        let numbered = answer.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_number = numbered.and_then(|index| Case::value_variants().get(index).copied());
        if let Some(case) = by_number.or_else(|| Case::from_str(&answer, true).ok()) {
            return Ok(Some(case));
        }
    }
}

fn with_default(question: &str, default: &str, terminal: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<String> {
    write!(out, "{question} [{default}] ")?;
    let answer = line(terminal, out)?.unwrap_or_default();
    Ok(if answer.is_empty() { default.to_owned() } else { answer })
}

/// The next line without white space at its ends; `None` at the end of the input.
fn line(terminal: &mut dyn BufRead, out: &mut dyn Write) -> io::Result<Option<String>> {
    out.flush()?;
    let mut line = String::new();
    let length = terminal.read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim().to_owned()))
}
