//! A connection with a task that connects, and reconnects when the connection breaks, gives no answers or leads to a
//! server that is no longer responsible. During the first attempt calls wait until their deadline. After a failed
//! attempt they fail at once with its reason.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{Cmd, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    super::{address::Host, script::ScriptCall},
    connect::{Connected, Connector, Push},
    failure::CallFailure,
};
use crate::{secret::Random, store::reconnect::Reconnect};

/// How long one attempt to connect may take.
pub(in crate::store::redis) const CONNECT: Duration = Duration::from_secs(1);
/// After a connection that lasted this long, the next attempt follows without a wait.
pub(in crate::store::redis) const STABLE_AFTER: Duration = Duration::from_secs(2);
/// A connection on which a call got no answer for this long is replaced. A call whose deadline is earlier does not
/// cause that.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(200);

/// Finds the server to connect to.
pub(super) trait Destination: Send + Sync + 'static {
    /// Connects once. The caller sets the deadline.
    fn connect(&self, push: Option<Push>) -> impl Future<Output = Result<Connected, String>> + Send;

    /// Resolves when `host` is no longer the responsible server.
    fn has_moved_from(&self, host: &Host) -> impl Future<Output = ()> + Send;
}

/// A server with a fixed address.
pub(super) struct FixedHost {
    pub(super) connector: Arc<Connector>,
    pub(super) host: Host,
}

impl Destination for FixedHost {
    async fn connect(&self, push: Option<Push>) -> Result<Connected, String> {
        self.connector.connect(&self.host, push).await
    }

    async fn has_moved_from(&self, _host: &Host) {
        std::future::pending::<()>().await;
    }
}

/// A connection that is replaced when it fails.
pub(super) struct ReconnectingConnection {
    state: Arc<watch::Sender<ConnectionState>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum ConnectionState {
    /// The first attempt, or the first one after a lost connection, is running.
    Connecting,
    /// Calls can be sent on this connection.
    Live(LiveConnection),
    /// The last attempt failed, for this reason; the next one is waiting or running.
    Failed(Arc<str>),
}

#[derive(Clone)]
struct LiveConnection {
    connection: MultiplexedConnection,
    /// The number of this connection, counted from 1.
    number: u64,
    host: Host,
}

impl ReconnectingConnection {
    /// Starts a task on `runtime` that connects to `target`.
    pub(super) fn start(target: Arc<impl Destination>, runtime: &Handle, random: &Random) -> Self {
        let state = Arc::new(watch::Sender::new(ConnectionState::Connecting));
        let task = runtime.spawn(keep_connected(target, state.clone(), Reconnect::new(random.clone())));
        Self { state, _task: AbortOnDropHandle::new(task) }
    }

    /// Runs a script. `asking` is for the node of a Cluster to which the key is being migrated.
    pub(super) async fn run(&self, call: &ScriptCall, asking: bool, deadline: Instant) -> Result<Value, CallFailure> {
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
                // If a single server or master refuses, the right one is looked for again. The connection to a node of
                // a Cluster stays open: the map of slots decides where calls go.
                let is_wrong_server = matches!(failure, CallFailure::Refused(_)) && !error.is_cluster_error();
                if error.is_unrecoverable_error() || error.is_io_error() || is_wrong_server {
                    request_replacement(&self.state, live.number);
                }
                Err(failure)
            }
            Err(_) => {
                if sent.elapsed() >= ANSWER_TIMEOUT {
                    request_replacement(&self.state, live.number);
                }
                Err(CallFailure::Unknown(format!("{}: no answer in time", live.host).into()))
            }
        }
    }

    /// The number of the current connection, counted from 1; 0 while there is none.
    pub(super) fn number(&self) -> u64 {
        match &*self.state.borrow() {
            ConnectionState::Live(live) => live.number,
            ConnectionState::Connecting | ConnectionState::Failed(_) => 0,
        }
    }

    async fn live(&self, deadline: Instant) -> Result<LiveConnection, CallFailure> {
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

/// Requests a replacement of connection `number`, unless it was replaced already.
fn request_replacement(state: &watch::Sender<ConnectionState>, number: u64) {
    state.send_if_modified(|state| {
        let is_current = matches!(state, ConnectionState::Live(live) if live.number == number);
        if is_current {
            *state = ConnectionState::Connecting;
        }
        is_current
    });
}

async fn keep_connected(
    target: Arc<impl Destination>,
    state: Arc<watch::Sender<ConnectionState>>,
    mut reconnect: Reconnect,
) {
    let mut number = 0;
    // The driver of the previous connection, on which calls may still wait for answers.
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
                    tracing::info!(server = %host, "Redis can be reached again");
                }
                let mut seen = state.subscribe();
                state.send_replace(ConnectionState::Live(LiveConnection { connection, number, host: host.clone() }));
                tokio::select! {
                    _ = &mut driver => {}
                    () = async { drop(seen.wait_for(|state| !matches!(state, ConnectionState::Live(_))).await) } => {}
                    () = target.has_moved_from(&host) => {}
                }
                request_replacement(&state, number);
                _last_driver = Some(driver);
            }
            Err(reason) => {
                if !std::mem::replace(&mut is_failing, true) {
                    tracing::warn!(%reason, "Redis cannot be reached");
                }
                state.send_replace(ConnectionState::Failed(reason.into()));
            }
        }
        if begun.elapsed() >= STABLE_AFTER {
            reconnect.succeeded();
        } else {
            sleep(reconnect.wait()).await;
        }
    }
}
