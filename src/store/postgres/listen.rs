//! The connection that receives notifications: which sessions other instances settled and ended. It also updates the
//! schema and removes expired rows.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt as _;
use tokio::{
    sync::watch,
    time::{error::Elapsed, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client};

use super::{
    address::{Address, Messages},
    migrations::{self, MigrateError},
    reason::reason,
    values::{moment, timestamp},
};
use crate::{
    clock::Timestamp,
    secret::Random,
    store::{
        contract::{Sid, refreshes::END_KNOWN_WITHIN},
        local::LocalState,
        reconnect::Reconnect,
    },
};

/// How long connecting may take, including DNS and TLS for all hosts. With the wait between two attempts it is below
/// the 2 s in which a server that is back is used again.
const CONNECT: Duration = Duration::from_millis(1200);
/// How long all migrations may take, including waiting for other instances.
const MIGRATE: Duration = Duration::from_secs(120);
/// How long reading all ended sessions may take, and how long one removal of expired rows.
const READ_ALL: Duration = Duration::from_secs(30);
/// The interval at which the newest ended sessions are read, in case a notification was lost; also how long one reading
/// may take.
const READ_EVERY: Duration = END_KNOWN_WITHIN;
/// Readings between two removals of expired rows.
const SWEEP_EVERY: u32 = 60;
/// Rows that one removal deletes from a table at most. If there are more, the next removal follows after
/// [`READ_EVERY`].
const SWEPT_AT_ONCE: i64 = 5000;

/// Whether calls can be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Readiness {
    /// The first attempt to connect is running: calls wait for it.
    Connecting,
    /// The schema is up to date, and the ended sessions have been read.
    Ready,
    /// The last attempt failed, for this reason.
    Failed(String),
}

/// Why the connection ended, or was not made.
#[derive(Debug, thiserror::Error)]
enum ListenError {
    #[error("{}", reason(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("no answer in time")]
    Late(#[from] Elapsed),
    #[error("the server closed the connection")]
    Closed,
    #[error("{0}")]
    Newer(String),
}

impl From<MigrateError> for ListenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Database(error) => Self::Database(error),
            newer @ MigrateError::Newer { .. } => Self::Newer(newer.to_string()),
        }
    }
}

/// Listens, and reconnects whenever the connection ends. Never returns.
pub(super) async fn keep_listening(
    address: Arc<Address>,
    local: Arc<LocalState>,
    readiness: watch::Sender<Readiness>,
    random: Random,
) {
    let mut listener = Listener { address, local, readiness, reconnect: Reconnect::new(random), logged: None };
    loop {
        let Err(error) = listener.listen().await;
        listener.note_error(&error);
        sleep(listener.reconnect.wait()).await;
    }
}

struct Listener {
    address: Arc<Address>,
    local: Arc<LocalState>,
    readiness: watch::Sender<Readiness>,
    reconnect: Reconnect,
    /// The reason that was logged last, so that it is not logged again each second.
    logged: Option<String>,
}

impl Listener {
    async fn listen(&mut self) -> Result<Infallible, ListenError> {
        let address = self.address.clone();
        let (client, messages) = timeout(CONNECT, address.connect()).await??;
        let local = self.local.clone();
        // The connection makes progress only while its messages are polled.
        tokio::select! {
            error = receive(messages, &local) => Err(error),
            served = self.serve(client) => served,
        }
    }

    async fn serve(&mut self, mut client: Client) -> Result<Infallible, ListenError> {
        let migrated = timeout(MIGRATE, migrations::migrate(&mut client)).await?;
        match migrated {
            // A newer version has updated the schema. Its migrations keep what this version calls, and this instance
            // was ready before.
            Err(MigrateError::Newer { .. }) if *self.readiness.borrow() == Readiness::Ready => {}
            other => other?,
        }
        // First LISTEN, then read: a session that ends in between is received.
        timeout(READ_EVERY, client.batch_execute("set statement_timeout = '30s'; listen vestibule")).await??;
        let mut from = timeout(READ_ALL, self.read_endings(&client, 0)).await??;
        // A settlement before LISTEN was not received: waiting tasks ask the store again.
        self.local.waiters.wake_all();
        self.readiness.send_replace(Readiness::Ready);
        self.local.note_reachable(true);
        if self.logged.take().is_some() {
            tracing::info!("the store can be reached again");
        }
        self.reconnect.succeeded();
        let mut until_sweep = 0;
        loop {
            sleep(READ_EVERY).await;
            from = timeout(READ_EVERY, self.read_endings(&client, from)).await??;
            if until_sweep > 0 {
                until_sweep -= 1;
            } else if !timeout(READ_ALL, self.sweep(&client)).await?? {
                until_sweep = SWEEP_EVERY;
            }
        }
    }

    /// Reads the sessions that were ended by transactions with id `from` or higher. Returns the `from` of the next
    /// reading: the oldest transaction that was still running.
    async fn read_endings(&self, client: &Client, from: i64) -> Result<i64, tokio_postgres::Error> {
        // One statement, so one snapshot: an end is visible in it, or its transaction is not older than the oldest one
        // that is running. Rows with a transaction id in the future were copied from another server: they are read
        // once, with `from` 0.
        let sql = "select s.oldest, e.sid, e.ends_at, s.clock from ( \
                       select pg_snapshot_xmin(now)::text::bigint as oldest, \
                           pg_snapshot_xmax(now)::text::bigint as next, clock_timestamp() as clock \
                       from pg_current_snapshot() as now \
                   ) s left join vestibule.ended e on e.tx >= $1 and (e.tx < s.next or $1 = 0) and e.ends_at > s.clock";
        let asked_at = self.local.now();
        #[cfg(test)]
        let sql = &super::values::at_time(sql, self.local.server_time(asked_at));
        let mut oldest = from;
        for row in client.query(sql, &[&from]).await? {
            self.local.note_store_time(timestamp(row.try_get(3)?), asked_at);
            oldest = row.try_get(0)?;
            let (sid, until): (Option<&[u8]>, Option<SystemTime>) = (row.try_get(1)?, row.try_get(2)?);
            if let (Some(sid), Some(until)) = (sid.and_then(|sid| sid.try_into().ok()), until) {
                self.local.note_end(Sid(sid), self.local.by_own_clock(timestamp(until)));
            }
        }
        Ok(oldest)
    }

    /// Removes expired entries in this process and expired rows in the database. True if there are more rows.
    async fn sweep(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let now = self.local.now();
        self.local.ended.sweep(now);
        let row = client.query_one("select vestibule.sweep($1, $2)", &[&moment(now), &SWEPT_AT_ONCE]).await?;
        Ok(row.try_get::<_, i64>(0)? >= SWEPT_AT_ONCE)
    }

    /// Reports to calls and to the log why there is no connection.
    fn note_error(&mut self, error: &ListenError) {
        let reason = error.to_string();
        self.local.note_reachable(false);
        // Once the store was ready, calls try their own connections.
        if *self.readiness.borrow() != Readiness::Ready {
            self.readiness.send_replace(Readiness::Failed(reason.clone()));
        }
        if self.logged.as_ref() != Some(&reason) {
            tracing::error!(reason, "no connection to the store");
            self.logged = Some(reason);
        }
    }
}

/// Handles the notifications of other instances until the connection ends.
async fn receive(mut messages: Messages, local: &LocalState) -> ListenError {
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => handle(notification.payload(), local),
            Ok(_) => {}
            Err(error) => return ListenError::Database(error),
        }
    }
    ListenError::Closed
}

/// Handles a notification of the schema's functions: `settled SID`, or `ended SID UNTIL` by the server's clock.
fn handle(payload: &str, local: &LocalState) {
    let mut words = payload.split(' ');
    let kind = words.next();
    let sid = words.next().and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(|n| Sid(n.to_be_bytes()));
    let until = words.next().and_then(|millis| millis.parse().ok()).map(Timestamp::from_millis);
    match (kind, sid, until) {
        (Some("settled"), Some(sid), _) => local.waiters.wake(sid),
        (Some("ended"), Some(sid), Some(until)) => local.note_end(sid, local.by_own_clock(until)),
        // A notification of a later version.
        _ => {}
    }
}
