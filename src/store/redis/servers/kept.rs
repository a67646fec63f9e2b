//! A connection that is kept: one task connects, and connects again whenever the connection breaks, falls silent or
//! leads to a server that is no longer the right one. While the first attempt is under way calls wait for it, until
//! their deadline; while attempts fail, calls fail at once with the reason of the last failure.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{address::Host, script::Call},
    connect::{Connected, Connector, Push},
    failure::CallFailure,
};
use crate::{secret::Random, store::reconnect::Reconnect};

/// How long one attempt to connect may take.
pub(in crate::store::redis) const CONNECT: Duration = Duration::from_secs(1);
/// A connection that lived this long was good: the next attempt follows without a pause.
pub(in crate::store::redis) const GOOD_AFTER: Duration = Duration::from_secs(2);
/// A connection that leaves a call without an answer for this long is replaced. A call with less time until its
/// deadline says nothing about the connection.
const SILENCE: Duration = Duration::from_millis(200);

/// Where a kept connection leads.
pub(super) trait Target: Send + Sync + 'static {
    /// Connects once. The caller sets the deadline.
    fn connect(&self, push: Option<Push>) -> impl Future<Output = Result<Connected, String>> + Send;

    /// Resolves when `host` is no longer the server to talk to.
    fn has_moved_from(&self, host: &Host) -> impl Future<Output = ()> + Send;
}

/// A server that stays the same.
pub(super) struct FixedHost {
    pub(super) connector: Arc<Connector>,
    pub(super) host: Host,
}

impl Target for FixedHost {
    async fn connect(&self, push: Option<Push>) -> Result<Connected, String> {
        self.connector.connect(&self.host, push).await
    }

    async fn has_moved_from(&self, _host: &Host) {
        std::future::pending::<()>().await;
    }
}

/// A kept connection.
pub(super) struct KeptConnection {
    state: Arc<watch::Sender<ConnectionState>>,
    _keeper: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum ConnectionState {
    /// An attempt is under way, and its outcome is not known.
    Connecting,
    /// Calls can be sent.
    Live(Live),
    /// The last attempt failed, for this reason; the next one follows or is under way.
    Failed(Arc<str>),
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Which connection this is, counted from 1.
    number: u64,
    host: Host,
}

impl KeptConnection {
    /// Connects to `target` from now on, on `runtime`.
    pub(super) fn keep(target: Arc<impl Target>, runtime: &Handle, random: &Random) -> Self {
        let state = Arc::new(watch::Sender::new(ConnectionState::Connecting));
        let keeper = runtime.spawn(keep(target, state.clone(), Reconnect::new(random.clone())));
        Self { state, _keeper: AbortOnDropHandle::new(keeper) }
    }

    /// Runs a script. With `asking` on a node of a Cluster that the key is being moved to.
    pub(super) async fn run(&self, call: &Call, asking: bool, deadline: Instant) -> Result<Value, CallFailure> {
        match self.exchange(&call.by_sha(), asking, deadline).await {
            Err(CallFailure::NoScript) => self.exchange(&call.in_full(), asking, deadline).await,
            answer => answer,
        }
    }

    /// Sends one command and waits for its answer.
    pub(super) async fn exchange(&self, command: &Cmd, asking: bool, deadline: Instant) -> Result<Value, CallFailure> {
        let mut live = self.live(deadline).await?;
        let sent = Instant::now();
        let answered = async {
            if asking {
                let mut both = redis::pipe();
                both.cmd("ASKING").ignore().add_command(command.clone());
                let (answer,) = both.query_async::<(Value,)>(&mut live.connection).await?;
                return Ok(answer);
            }
            command.query_async(&mut live.connection).await
        };
        match timeout_at(deadline, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let failure = CallFailure::of(&error, &live.host);
                // A server that is alone and may not run scripts is to be looked for again. A node of a Cluster is not:
                // the map of slots says where to go.
                let is_wrong_server = matches!(failure, CallFailure::Refused(_)) && !error.is_cluster_error();
                if error.is_unrecoverable_error() || error.is_io_error() || is_wrong_server {
                    give_up(&self.state, live.number);
                }
                Err(failure)
            }
            Err(_) => {
                if sent.elapsed() >= SILENCE {
                    give_up(&self.state, live.number);
                }
                Err(CallFailure::Unknown(format!("{}: no answer in time", live.host).into()))
            }
        }
    }

    /// Which connection this is, counted from 1; 0 while there is none.
    pub(super) fn number(&self) -> u64 {
        match &*self.state.borrow() {
            ConnectionState::Live(live) => live.number,
            ConnectionState::Connecting | ConnectionState::Failed(_) => 0,
        }
    }

    async fn live(&self, deadline: Instant) -> Result<Live, CallFailure> {
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, ConnectionState::Connecting));
        let Ok(Ok(state)) = timeout_at(deadline, known).await else {
            return Err(CallFailure::NotSent("no connection in time".into()));
        };
        match &*state {
            ConnectionState::Live(live) => Ok(live.clone()),
            ConnectionState::Failed(reason) => Err(CallFailure::NotSent(reason.clone())),
            ConnectionState::Connecting => Err(CallFailure::NotSent("no connection yet".into())),
        }
    }
}

/// Has connection `number` replaced, unless it was already.
fn give_up(state: &watch::Sender<ConnectionState>, number: u64) {
    state.send_if_modified(|state| {
        let is_current = matches!(state, ConnectionState::Live(live) if live.number == number);
        if is_current {
            *state = ConnectionState::Connecting;
        }
        is_current
    });
}

async fn keep(target: Arc<impl Target>, state: Arc<watch::Sender<ConnectionState>>, mut reconnect: Reconnect) {
    let mut number = 0;
    // The task that drives the connection before the current one: calls may still wait for answers on it.
    let mut _last_driver = None;
    let mut is_failing = false;
    loop {
        let begun = Instant::now();
        let connected =
            timeout(CONNECT, target.connect(None)).await.unwrap_or_else(|_| Err("no connection in time".to_owned()));
        match connected {
            Ok(Connected { connection, mut driver, host }) => {
                number += 1;
                if std::mem::take(&mut is_failing) {
                    tracing::info!(server = %host, "Redis is reached again");
                }
                let mut seen = state.subscribe();
                state.send_replace(ConnectionState::Live(Live { connection, number, host: host.clone() }));
                tokio::select! {
                    _ = &mut driver => {}
                    () = async { drop(seen.wait_for(|state| !matches!(state, ConnectionState::Live(_))).await) } => {}
                    () = target.has_moved_from(&host) => {}
                }
                give_up(&state, number);
                _last_driver = Some(driver);
            }
            Err(reason) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%reason, "Redis cannot be reached");
                }
                state.send_replace(ConnectionState::Failed(reason.into()));
            }
        }
        if begun.elapsed() >= GOOD_AFTER {
            reconnect.succeeded();
        } else {
            sleep(reconnect.wait()).await;
        }
    }
}
