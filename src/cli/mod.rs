//! The command line: one file for each command that ends by itself; `run` and `demo` are handed to `main`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use crate::{
    config::{self, Environment, Loaded},
    secret::Random,
};

mod check;
mod demo;
mod explain;
mod keygen;
mod reload;
mod run;
mod schema;

pub use demo::demo;
pub use run::run;

/// An edge authentication gateway: logs people in, keeps their session, proxies with a fresh Bearer token.
#[derive(Parser, Debug)]
#[command(name = "vestibule", version)]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "PATH", default_value = "gateway.toml")]
    pub config: PathBuf,
    /// What to do; without a command: run.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What can be done.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Runs the gateway.
    Run,
    /// Runs everything on loopback, with nothing to set up: a provider, a backend, and a page that shows the session working.
    Demo,
    /// Reads the configuration as `run` would and prints every problem, key fingerprints, and the worst-case size of the Cookie header.
    Check,
    /// Says which route a request meets, who may use it, and what the upstream sees.
    Explain(explain::Request),
    /// Prints a new session key.
    Keygen,
    /// Prints the JSON Schema of the configuration.
    Schema {
        /// Print the reference in Markdown instead.
        #[arg(long)]
        reference: bool,
    },
}

/// What is left to do for `main`.
#[derive(PartialEq, Eq, Debug)]
pub enum Next {
    /// Run the gateway with the configuration at this path.
    Run(PathBuf),
    /// Run the demo.
    Demo,
    /// Nothing: leave.
    Leave(Exit),
}

/// How the process ends. A wrong command line ends it with 2, by clap's hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// All went well.
    Success,
    /// The configuration has problems.
    BadConfig,
    /// Something failed that is not in the configuration.
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

/// Does what needs no runtime; writes answers to `out`.
pub fn start(cli: Cli, environment: &Environment, random: &Random, out: &mut dyn Write) -> io::Result<Next> {
    let load = || config::load(&cli.config, environment, random);
    let exit = match cli.command.unwrap_or(Command::Run) {
        Command::Run => return Ok(Next::Run(cli.config)),
        Command::Demo => return Ok(Next::Demo),
        Command::Check => check::check(&cli.config, load(), out)?,
        Command::Explain(request) => {
            with_config(&cli.config, load(), out, |loaded, out| explain::explain(&request, &loaded.config, out))?
        }
        Command::Keygen => keygen::keygen(random, out)?,
        Command::Schema { reference } => schema::schema(reference, out)?,
    };
    Ok(Next::Leave(exit))
}

/// Goes on with a good configuration, or says what is wrong with it.
fn with_config(
    path: &Path,
    loaded: Result<Loaded, config::Complaints>,
    out: &mut dyn Write,
    go_on: impl FnOnce(&Loaded, &mut dyn Write) -> io::Result<()>,
) -> io::Result<Exit> {
    match loaded {
        Ok(loaded) => go_on(&loaded, out).map(|()| Exit::Success),
        Err(complaints) => {
            write!(out, "{complaints}")?;
            writeln!(out, "{}: {}", path.display(), complaints.count())?;
            Ok(Exit::BadConfig)
        }
    }
}
