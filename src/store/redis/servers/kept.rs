//! A connection that is kept up: one task connects, again and again where it must; calls wait for it, until their deadline, only while nobody knows better.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{super::address::Host, connect::Connected, failure::Fault, super::script::Call, sentinel::Source};

/// So long may connecting take.
pub(in crate::store::redis) const CONNECT: Duration = Duration::from_secs(1);
/// Between two attempts to connect, at first.
pub(in crate::store::redis) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Between two attempts to connect, at last. A connection that lived so long begins anew.
pub(in crate::store::redis) const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that leaves a call unanswered for so long is given up. Calls that got less time say nothing about it.
const SILENCE: Duration = Duration::from_millis(200);

/// A kept connection.
pub(in crate::store::redis) struct Line {
    state: Arc<watch::Sender<State>>,
    _keeper: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum State {
    /// Nothing is known yet.
    Connecting,
    Up(Up),
    /// The last attempt failed; the next one is under way.
    Down(Arc<str>),
}

#[derive(Clone)]
struct Up {
    connection: MultiplexedConnection,
    /// Which connection this is, counted from 1.
    number: u64,
    host: Host,
}

impl Line {
    /// Connects to `source` from now on, on `runtime`.
    pub(in crate::store::redis) fn keep(source: Arc<Source>, runtime: &Handle) -> Self {
        let state = Arc::new(watch::Sender::new(State::Connecting));
        let keeper = runtime.spawn(keep(source, state.clone()));
        Self { state, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// Runs a script. `asks`: on a node that does not own the key yet.
    pub(in crate::store::redis) async fn run(&self, call: &Call, asks: bool, deadline: Instant) -> Result<Value, Fault> {
        match self.exchange(&call.by_sha(), asks, deadline).await {
            Err(Fault::NoScript) => self.exchange(&call.in_full(), asks, deadline).await,
            answer => answer,
        }
    }

    /// Sends one command and waits for its answer.
    pub(in crate::store::redis) async fn exchange(&self, command: &Cmd, asks: bool, deadline: Instant) -> Result<Value, Fault> {
        let mut up = self.up(deadline).await?;
        let sent = Instant::now();
        let answered = async {
            if asks {
                let mut both = redis::pipe();
                both.cmd("ASKING").ignore().add_command(command.clone());
                let (answer,) = both.query_async::<(Value,)>(&mut up.connection).await?;
                return Ok(answer);
            }
            command.query_async(&mut up.connection).await
        };
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let fault = Fault::of(&error, &up.host);
                // Neither of these gets better on this connection; a Cluster in trouble does.
                let is_of_cluster = error.is_cluster_error();
                if error.is_unrecoverable_error()
                    || error.is_io_error()
                    || (matches!(fault, Fault::Stale(_)) && !is_of_cluster)
                {
                    self.give_up(up.number);
                }
                Err(fault)
            }
            Err(_) => {
                if sent.elapsed() >= SILENCE {
                    self.give_up(up.number);
                }
                Err(Fault::Unsure(format!("{}: no answer in time", up.host).into()))
            }
        }
    }

    /// Which connection this is, counted from 1; 0 while there is none.
    pub(in crate::store::redis) fn number(&self) -> u64 {
        match &*self.state.borrow() {
            State::Up(up) => up.number,
            State::Connecting | State::Down(_) => 0,
        }
    }

    async fn up(&self, deadline: Instant) -> Result<Up, Fault> {
        let mut state = self.state.subscribe();
        let known = timeout_at(deadline, state.wait_for(|state| !matches!(state, State::Connecting))).await;
        let Ok(Ok(state)) = known else { return Err(Fault::NotSent("no connection in time".into())) };
        match &*state {
            State::Up(up) => Ok(up.clone()),
            State::Down(reason) => Err(Fault::NotSent(reason.clone())),
            State::Connecting => Err(Fault::NotSent("no connection yet".into())),
        }
    }

    fn give_up(&self, number: u64) {
        give_up(&self.state, number);
    }
}

fn give_up(state: &watch::Sender<State>, number: u64) {
    state.send_if_modified(|state| {
        let is_it = matches!(state, State::Up(up) if up.number == number);
        if is_it {
            *state = State::Connecting;
        }
        is_it
    });
}

async fn keep(source: Arc<Source>, state: Arc<watch::Sender<State>>) {
    let (mut number, mut pause) = (0, FIRST_PAUSE);
    // The last connection's driver: calls may still wait for answers there.
    let mut _last_driver = None;
    let mut is_down = false;
    loop {
        let begun = Instant::now();
        let connected =
            timeout(CONNECT, source.connect(None)).await.unwrap_or_else(|_| Err("no connection in time".to_owned()));
        match connected {
            Ok(Connected { connection, mut driver, host }) => {
                number += 1;
                if std::mem::take(&mut is_down) {
                    tracing::info!(server = %host, "Redis is reached again");
                }
                let mut seen = state.subscribe();
                state.send_replace(State::Up(Up { connection, number, host: host.clone() }));
                tokio::select! {
                    _ = &mut driver => {}
                    () = async { drop(seen.wait_for(|state| !matches!(state, State::Up(_))).await) } => {}
                    () = source.is_elsewhere(&host) => {}
                }
                give_up(&state, number);
                _last_driver = Some(driver);
            }
            Err(reason) => {
                if !std::mem::replace(&mut is_down, true) {
                    tracing::warn!(%reason, "Redis cannot be reached");
                }
                state.send_replace(State::Down(reason.into()));
            }
        }
        // What held for a while is replaced at once; what fails at once is left alone for longer and longer.
        if begun.elapsed() >= LONGEST_PAUSE + CONNECT {
            pause = FIRST_PAUSE;
        } else {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
