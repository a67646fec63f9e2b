//! Vestibule's binary: arguments in, exit code out.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::Parser as _;
use vestibule::{
    cli::{self, Cli, Exit, Next},
    config::Environment,
    secret::Random,
};

/// The allocator of glibc keeps what was freed between blocks in use; after a flood that would be nearly all of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let environment: Environment = std::env::vars().collect();
    let next = cli::start(cli, &environment, &Random::system(), &mut io::stdin(), &mut io::stdout());
    let exit = next.and_then(|next| match next {
        Next::Run(path) => cli::run(&path, &environment),
        Next::Init(options) => {
            let (stdin, mut stdout) = (io::stdin(), io::stdout());
            let is_terminal = stdin.is_terminal() && stdout.is_terminal();
            let mut input = stdin.lock();
            let terminal = is_terminal.then_some(&mut input as &mut dyn io::BufRead);
            cli::init(&options, &Random::system(), terminal, &mut stdout)
        }
        Next::Dev(options) => cli::dev(&options),
        Next::Demo(listen) => cli::demo(listen),
        Next::Exit(exit) => Ok(exit),
    });
    match exit {
        Ok(exit) => exit.into(),
        // stdout was closed (for example by `head`); not an error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success.into(),
        Err(error) => {
            // If stderr is closed too, the message is lost.
            let _ = writeln!(io::stderr(), "vestibule: {error}");
            Exit::Failure.into()
        }
    }
}
