//! `vestibule run`: runs the gateway until a signal.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{
    exit::Exit,
    reload,
    systemd::{ServiceState, Systemd},
};
use crate::{
    assemble::{self, Running, Telemetry},
    clock::Clock,
    config::{self, Config, Environment, Loaded},
    listen::{files, shutdown::StopSignals},
    secret::Random,
    telemetry::{self, Metrics},
};

/// How often the allocator is made to look for memory that it can give back.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(2);
/// Larger than any block that the allocator keeps for the thread that freed it.
const GIVE_BACK_BLOCK: usize = 4 << 20;

/// The runtime of the process, and its signals. To be made first: from then on no signal ends the process otherwise
/// than by a drain, and one that comes too early waits.
pub(super) struct Foreground {
    runtime: Runtime,
    stop: StopSignals,
    hangup: Signal,
}

impl Foreground {
    pub(super) fn begin() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (stop, hangup) = (StopSignals::receive()?, signal(SignalKind::hangup())?);
        drop(entered);
        Ok(Self { runtime, stop, hangup })
    }
}

/// Runs the gateway with the configuration at `path`.
pub fn run(path: &Path, environment: &Environment) -> io::Result<Exit> {
    let (foreground, systemd) = (Foreground::begin()?, Systemd::of(environment));
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
    for note in config.notes() {
        writeln!(stderr, "note: {note}")?;
    }
    serve(
        foreground,
        config,
        random.clone(),
        &systemd,
        || {},
        async |running, hangup| {
            let mut changes = reload::changes(path, read, hangup);
            while let Some(cause) = changes.recv().await {
                systemd.tell(ServiceState::Reloading);
                reload(running, cause, path, environment, &random);
                // Also if the file has errors: the service goes on.
                systemd.tell(ServiceState::Ready);
            }
        },
    )
}

fn reload(running: &Running, cause: &str, path: &Path, environment: &Environment, random: &Random) {
    match config::load(path, environment, random) {
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

/// Serves `config` until a signal, and runs `meanwhile`, which gets SIGHUP, at the same time. `announce` is called as
/// soon as it listens, before the first line of the log.
pub(super) fn serve(
    foreground: Foreground,
    config: Config,
    random: Random,
    systemd: &Systemd,
    announce: impl FnOnce(),
    meanwhile: impl AsyncFnOnce(&Running, Signal),
) -> io::Result<Exit> {
    let Foreground { runtime, stop, hangup } = foreground;
    let mut stderr = io::stderr();
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
    let logs = match telemetry::init(&config.telemetry, &clock, &metrics) {
        Ok(logs) => logs,
        Err(error) => {
            writeln!(stderr, "{error}")?;
            return Ok(Exit::Failure);
        }
    };
    let connections = config.listen.connections;
    runtime.block_on(async {
        let telemetry = Telemetry { metrics, access_log: logs.access_log() };
        let running = match assemble::start(config, clock, random, telemetry) {
            Ok(running) => running,
            Err(error) => {
                writeln!(stderr, "{error:#}")?;
                return Ok(Exit::Failure);
            }
        };
        tokio::spawn(stop.stop(running.shutdown().clone()));
        tokio::spawn(give_memory_back());
        announce();
        files::allow_many(connections);
        tracing::info!(address = %running.address(), "listening");
        systemd.tell(ServiceState::Ready);
        let begun = running.shutdown().begun();
        tokio::select! {
            () = begun.cancelled() => {}
            () = async { meanwhile(&running, hangup).await; std::future::pending().await } => {}
        }
        systemd.tell(ServiceState::Stopping);
        running.ended().await;
        tracing::info!("stopped");
        Ok(Exit::Success)
    })
}

/// The allocator gives freed memory back to the system only when a thread frees a large block: after a flood on a
/// gateway that is otherwise idle, that would be never.
async fn give_memory_back() {
    let mut interval = tokio::time::interval(GIVE_BACK_INTERVAL);
    loop {
        interval.tick().await;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(GIVE_BACK_BLOCK)));
    }
}
