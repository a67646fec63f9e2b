//! `vestibule init`: writes a commented `gateway.toml` for one of four cases, and its session key.

mod questions;
mod text;

use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{Args, ValueEnum};
use url::Url;

use self::text::Answers;
use super::exit::Exit;
use crate::{
    config::{self, Environment},
    seal::SealKey,
    secret::{Random, Secret},
};

/// The name of the file with the session key.
const KEY_FILE: &str = "vestibule.key";

/// What `init` is told; what it is not told it asks for, on a terminal.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct InitOptions {
    /// Which case this is. Asked for on a terminal.
    #[arg(long, value_enum)]
    pub case: Option<Case>,
    /// The folder for the files; it must exist.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// The name of the configuration file in that folder.
    #[arg(long, value_name = "FILE", default_value = "gateway.toml")]
    pub output: PathBuf,
    /// What people type to reach the app [default: `http://localhost:8080`; behind a proxy
    /// `https://app.example.com`].
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where the app or API itself listens [default: `http://127.0.0.1:3000`].
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// The OpenID Connect provider, for the cases `app` and `proxy` [default: Google].
    #[arg(long, value_name = "URL")]
    pub issuer: Option<String>,
    /// The client id that the provider gave.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
}

/// The four cases.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Case {
    /// An app without logins of its own: people log in at Google or another provider, the app gets headers.
    App,
    /// An API that logs people in and issues its own tokens.
    Api,
    /// Behind nginx, Traefik or Caddy, in front of an app without logins.
    Proxy,
    /// No provider at all: people log in with a code that they get by e-mail.
    None,
}

/// A file that `init` writes beside `gateway.toml`.
struct Companion {
    name: &'static str,
    content: Secret,
}

/// Writes the files. `terminal` answers the questions; without it the options have to say which case it is.
pub fn init(
    options: &InitOptions,
    random: &Random,
    terminal: Option<&mut dyn BufRead>,
    out: &mut dyn Write,
) -> io::Result<Exit> {
    let here = Path::new(".");
    let mut file = if options.dir == here { options.output.clone() } else { options.dir.join(&options.output) };
    let answers = match terminal {
        Some(terminal) => {
            let Some(free) = questions::free_name(file, &mut *terminal, out)? else { return Ok(Exit::BadConfig) };
            file = free;
            questions::ask(options, terminal, out)?
        }
        None if file.exists() => {
            writeln!(out, "{} exists, nothing was written: `--output NAME` writes another file", file.display())?;
            return Ok(Exit::BadConfig);
        }
        None => Answers::of(options),
    };
    let Some(answers) = answers else {
        writeln!(out, "say which case it is: `--case app`, `api`, `proxy` or `none` (`vestibule init --help`)")?;
        return Ok(Exit::BadConfig);
    };
    let text = answers.text();
    let companions = companions(&answers, random);
    if let Some(faults) = faults(&text, &companions, random) {
        write!(out, "{faults}")?;
        writeln!(out, "Nothing was written.")?;
        return Ok(Exit::BadConfig);
    }
    let folder = file.parent().unwrap_or(Path::new("")).to_owned();
    match write_all(&file, &text, &folder, &companions, out) {
        Ok(()) => {}
        Err((path, error)) => {
            let advice = match error.kind() {
                io::ErrorKind::AlreadyExists => "`--output NAME` writes another file",
                _ => "name another folder with `--dir`",
            };
            writeln!(out, "{} cannot be written: {}: {advice}", path.display(), error.kind())?;
            return Ok(Exit::BadConfig);
        }
    }
    answers.next_steps(&file, out)?;
    Ok(Exit::Success)
}

/// The files that the configuration names.
fn companions(answers: &Answers, random: &Random) -> Vec<Companion> {
    let key = STANDARD.encode(random.bytes::<32>()) + "\n";
    let secret = answers.secret_file().map(|(name, text)| Companion { name, content: Secret::new(text.to_owned()) });
    [Companion { name: KEY_FILE, content: Secret::new(key) }].into_iter().chain(secret).collect()
}

/// What `check --deny-warnings` would say of the file.
fn faults(text: &str, companions: &[Companion], random: &Random) -> Option<String> {
    // The files do not exist yet, so their contents stand in variables.
    let mut environment = Environment::new();
    let mut text = text.to_owned();
    for Companion { name, content } in companions {
        text = text.replace(&format!("\"file:{name}\""), &format!("\"env:{name}\""));
        environment.insert((*name).to_owned(), content.expose().trim().to_owned());
    }
    let complaints = match config::parse(&text, "gateway.toml", Path::new(""), &environment, random) {
        Ok(loaded) => loaded.warnings,
        Err(complaints) => complaints.errors,
    };
    let line = |complaint: &config::Complaint| format!("{}: {}\n", complaint.message, complaint.help);
    (!complaints.is_empty()).then(|| complaints.iter().map(line).collect())
}

/// Writes the files that do not exist yet; the error names the one that could not be written. The configuration comes
/// first, so that nothing else is written where it cannot be.
fn write_all(
    file: &Path,
    text: &str,
    folder: &Path,
    companions: &[Companion],
    out: &mut dyn Write,
) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    fs::create_dir_all(if folder == Path::new("") { Path::new(".") } else { folder }).map_err(at(file))?;
    let mut new = OpenOptions::new();
    new.write(true).create_new(true).mode(0o644);
    new.open(file).and_then(|mut file| file.write_all(text.as_bytes())).map_err(at(file))?;
    for Companion { name, content } in companions {
        let path = folder.join(name);
        if path.exists() && (*name != KEY_FILE || is_key(&path)) {
            writeln!(out, "{} exists and is used as it is", path.display()).map_err(at(&path))?;
            continue;
        }
        // Only the owner may read it.
        let written = new.mode(0o600).open(&path).and_then(|mut file| file.write_all(content.expose().as_bytes()));
        if let Err(error) = written {
            // Without the key the configuration would be of no use; it was written just now.
            let _ = fs::remove_file(file);
            return Err((path, error));
        }
    }
    Ok(())
}

fn is_key(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| SealKey::from_base64(&Secret::new(text)).is_some())
}

/// Whether the URL is on loopback; false if it is none, which `check` then says.
fn is_local(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| crate::hygiene::is_loopback(&url))
}

#[cfg(test)]
mod tests;
