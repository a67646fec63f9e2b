//! The connection that listens: it receives what other instances settle and end. It also brings the schema up to date,
//! and removes what is past its time.

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
        local::Local,
        reconnect::Reconnect,
    },
};

/// How long connecting may take, with the names and certificates of all hosts.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the steps of the schema may take, waiting for other instances included.
const MIGRATE: Duration = Duration::from_secs(120);
/// How long reading all ended sessions may take, and how long one removal of what is past its time.
const READ_ALL: Duration = Duration::from_secs(30);
/// Between two looks at the newest ended sessions, in case a notification was lost; and how long one look may take.
const READ_EVERY: Duration = END_KNOWN_WITHIN;
/// Looks between two removals of what is past its time.
const SWEEP_EVERY: u32 = 60;
/// Rows that are removed from a table at once. If there are more, the rest follows at the next look.
const SWEPT_AT_ONCE: i64 = 5000;

/// Whether calls can be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Readiness {
    /// The first attempt to connect is under way: calls wait for it.
    Connecting,
    /// The schema is up to date, and the sessions that ended before are known.
    Ready,
    /// The last attempt failed, for this reason.
    Failed(String),
}

/// Why the connection ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{}", reason(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("no answer in time")]
    Late(#[from] Elapsed),
    #[error("the server closed the connection")]
    Closed,
    #[error("{0}")]
    Newer(String),
}

impl From<MigrateError> for Lost {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Database(error) => Self::Database(error),
            newer @ MigrateError::Newer { .. } => Self::Newer(newer.to_string()),
        }
    }
}

/// Listens, and connects again whenever the connection ends, until it is aborted.
pub(super) async fn keep_listening(
    address: Arc<Address>,
    local: Arc<Local>,
    readiness: watch::Sender<Readiness>,
    random: Random,
) {
    let mut listener = Listener { address, local, readiness, reconnect: Reconnect::new(random), logged: None };
    loop {
        let Err(lost) = listener.listen().await;
        listener.note_lost(&lost);
        sleep(listener.reconnect.wait()).await;
    }
}

struct Listener {
    address: Arc<Address>,
    local: Arc<Local>,
    readiness: watch::Sender<Readiness>,
    reconnect: Reconnect,
    /// The reason that was logged last: the same one is not logged again each second.
    logged: Option<String>,
}

impl Listener {
    async fn listen(&mut self) -> Result<Infallible, Lost> {
        let address = self.address.clone();
        let (client, messages) = timeout(CONNECT, address.connect()).await??;
        let local = self.local.clone();
        // The client gets answers only while the messages are polled.
        tokio::select! {
            lost = receive(messages, &local) => Err(lost),
            served = self.serve(client) => served,
        }
    }

    async fn serve(&mut self, mut client: Client) -> Result<Infallible, Lost> {
        let migrated = timeout(MIGRATE, migrations::migrate(&mut client)).await?;
        match migrated {
            // Another instance is newer. Its step keeps what this instance, which was ready before, calls.
            Err(MigrateError::Newer { .. }) if *self.readiness.borrow() == Readiness::Ready => {}
            other => other?,
        }
        // In this order: a session that ends in between is received or read.
        timeout(READ_EVERY, client.batch_execute("set statement_timeout = '30s'; listen vestibule")).await??;
        let mut seen = timeout(READ_ALL, self.read_endings(&client, 0)).await??;
        // A settlement while nobody listened was not received: waiting tasks ask the store again.
        self.local.waiters.wake_all();
        self.readiness.send_replace(Readiness::Ready);
        self.local.note_reachable(true);
        if self.logged.take().is_some() {
            tracing::info!("the store is reached again");
        }
        self.reconnect.succeeded();
        let mut until_sweep = 0;
        loop {
            sleep(READ_EVERY).await;
            seen = timeout(READ_EVERY, self.read_endings(&client, seen)).await??;
            if until_sweep > 0 {
                until_sweep -= 1;
            } else if !timeout(READ_ALL, self.sweep(&client)).await?? {
                until_sweep = SWEEP_EVERY;
            }
        }
    }

    /// Reads the sessions that were ended by transactions from number `from` on. Returns the number to go on from: the
    /// oldest transaction that still ran at the time.
    async fn read_endings(&self, client: &Client, from: i64) -> Result<i64, tokio_postgres::Error> {
        // One statement, so one snapshot: an end is in it, or its transaction is not older than the oldest one that
        // runs. Numbers from the next one on are of another server that the rows were copied from: they are read once,
        // and then not again.
        let sql = "select s.oldest, e.sid, e.ends_at from ( \
                       select pg_snapshot_xmin(now)::text::bigint as oldest, pg_snapshot_xmax(now)::text::bigint as next \
                       from pg_current_snapshot() as now \
                   ) s left join vestibule.ended e on e.tx >= $1 and (e.tx < s.next or $1 = 0) and e.ends_at > $2";
        let latest = self.local.latest();
        let mut oldest = from;
        for row in client.query(sql, &[&from, &moment(latest)]).await? {
            oldest = row.try_get(0)?;
            let (sid, until): (Option<&[u8]>, Option<SystemTime>) = (row.try_get(1)?, row.try_get(2)?);
            if let (Some(sid), Some(until)) = (sid.and_then(|sid| sid.try_into().ok()), until) {
                self.local.note_end(Sid(sid), timestamp(until));
            }
        }
        Ok(oldest)
    }

    /// Removes what is past its time, in this process and in the database. True if there is more.
    async fn sweep(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let latest = self.local.latest();
        self.local.ended.sweep(latest);
        let row = client.query_one("select vestibule.sweep($1, $2)", &[&moment(latest), &SWEPT_AT_ONCE]).await?;
        Ok(row.try_get::<_, i64>(0)? >= SWEPT_AT_ONCE)
    }

    /// Tells calls and the log why there is no connection.
    fn note_lost(&mut self, lost: &Lost) {
        let reason = lost.to_string();
        self.local.note_reachable(false);
        // Once it was ready, calls find out themselves whether it answers.
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
async fn receive(mut messages: Messages, local: &Local) -> Lost {
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(notification)) => handle(notification.payload(), local),
            Ok(_) => {}
            Err(error) => return Lost::Database(error),
        }
    }
    Lost::Closed
}

/// Handles `settled SID` or `ended SID UNTIL`, as the functions of the schema notify it.
fn handle(payload: &str, local: &Local) {
    let mut words = payload.split(' ');
    let kind = words.next();
    let sid = words.next().and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(|n| Sid(n.to_be_bytes()));
    let until = words.next().and_then(|millis| millis.parse().ok()).map(Timestamp::from_millis);
    match (kind, sid, until) {
        (Some("settled"), Some(sid), _) => local.waiters.wake(sid),
        (Some("ended"), Some(sid), Some(until)) => local.note_end(sid, until),
        // A kind of a later version.
        _ => {}
    }
}
