//! `vestibule run`: runs the gateway until a signal.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use super::{exit::Exit, reload};
use crate::{
    assemble::{self, Running, Telemetry},
    clock::Clock,
    config::{self, Config, Environment, Loaded},
    listen::{files, shutdown},
    secret::Random,
    telemetry::{self, Metrics},
};

/// Runs the gateway with the configuration at `path`.
pub fn run(path: &Path, environment: &Environment) -> io::Result<Exit> {
    let random = Random::system();
    let mut stderr = io::stderr();
    let read = std::fs::read(path).ok();
    let Loaded { config, warnings } = match config::load(path, environment, &random) {
        Ok(loaded) => loaded,
        Err(complaints) => {
            write!(stderr, "{complaints}")?;
            return Ok(Exit::BadConfig);
        }
    };
    for warning in &warnings {
        writeln!(stderr, "{warning}")?;
    }
    serve(config, random.clone(), async |running| {
        let mut changes = reload::changes(path, read);
        while let Some(cause) = changes.recv().await {
            match config::load(path, environment, &random) {
                Ok(loaded) => match running.reload(loaded.config) {
                    Ok(()) => tracing::info!(cause, "configuration reloaded"),
                    Err(error) => {
                        tracing::error!(cause, error = format!("{error:#}"), "the running configuration stays");
                    }
                },
                Err(complaints) => {
                    for complaint in &complaints.errors {
                        tracing::error!(
                            cause,
                            file = %path.display(),
                            line = complaint.line,
                            column = complaint.column,
                            problem = complaint.message,
                            help = complaint.help,
                            "the running configuration stays"
                        );
                    }
                }
            }
        }
    })
}

/// Serves `config` until a signal, and runs `meanwhile` at the same time.
pub(super) fn serve(config: Config, random: Random, meanwhile: impl AsyncFnOnce(&Running)) -> io::Result<Exit> {
    let mut stderr = io::stderr();
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
    let logs = match telemetry::init(&config.telemetry, &clock, &metrics) {
        Ok(logs) => logs,
        Err(error) => {
            writeln!(stderr, "{error}")?;
            return Ok(Exit::Failure);
        }
    };
    files::allow_many(config.listen.connections);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let running =
            match assemble::start(config, clock, random, Telemetry { metrics, access_log: Some(logs.access_log()) }) {
                Ok(running) => running,
                Err(error) => {
                    writeln!(stderr, "{error:#}")?;
                    return Ok(Exit::Failure);
                }
            };
        // Before "listening" is logged: a supervisor may send a signal as soon as it reads that.
        match shutdown::on_signal(running.shutdown().clone()) {
            Ok(stopping) => drop(tokio::spawn(stopping)),
            Err(error) => tracing::error!(%error, "signals cannot be received"),
        }
        tracing::info!(address = %running.address(), "listening");
        let begun = running.shutdown().begun();
        tokio::select! {
            () = begun.cancelled() => {}
            () = async { meanwhile(&running).await; std::future::pending().await } => {}
        }
        running.ended().await;
        tracing::info!("stopped");
        Ok(Exit::Success)
    })
}
