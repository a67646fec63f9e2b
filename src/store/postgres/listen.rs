//! The connection that listens: what other instances settle and end, as they do it. It also does what is not for a call to do: the schema, and what is past its time.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::{
    sync::watch,
    time::{error::Elapsed, sleep, timeout},
};
use tokio_postgres::{AsyncMessage, Client};

use super::{
    Ready, Shared,
    address::{Address, Messages},
    migrations::{self, MigrateError},
    moment, reason,
};
use crate::{clock::Timestamp, store::Sid};

/// Between two tries to connect, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How long connecting may take, with all hosts' names and certificates.
const CONNECTING: Duration = Duration::from_secs(5);
/// How long the schema's steps may take, waiting for other instances included.
const MIGRATING: Duration = Duration::from_secs(120);
/// How long reading all that has ended may take.
const CATCHING_UP: Duration = Duration::from_secs(30);
/// Between two looks at what has ended, in case a notification did not come; and how long one may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks between two sweeps.
const SWEEP_EVERY: u32 = 60;
/// Rows that one sweep may take from a table; where there are more it goes on at the next look.
const SWEPT_AT_ONCE: i64 = 5000;

/// Why the connection came to its end.
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

/// Listens, and connects again for as long as it is let.
pub(super) async fn keep_listening(address: Arc<Address>, shared: Arc<Shared>, ready: watch::Sender<Ready>) {
    let mut listener = Listener { address, shared, ready, pause: PAUSES.0, said: None };
    loop {
        let Err(lost) = listener.listen().await;
        listener.say(&lost);
        sleep(listener.pause).await;
        listener.pause = (listener.pause * 2).min(PAUSES.1);
    }
}

struct Listener {
    address: Arc<Address>,
    shared: Arc<Shared>,
    ready: watch::Sender<Ready>,
    pause: Duration,
    /// What was logged last: the same is not said each second.
    said: Option<String>,
}

impl Listener {
    async fn listen(&mut self) -> Result<Infallible, Lost> {
        let address = self.address.clone();
        let (client, messages) = timeout(CONNECTING, address.connect()).await??;
        let shared = self.shared.clone();
        // The messages must be polled for the client to get answers.
        tokio::select! {
            lost = hear(messages, &shared) => Err(lost),
            served = self.serve(client) => served,
        }
    }

    async fn serve(&mut self, mut client: Client) -> Result<Infallible, Lost> {
        let migrated = timeout(MIGRATING, migrations::migrate(&mut client)).await?;
        match migrated {
            // Another instance is newer. The step it made leaves alone what this one, which got by before, calls.
            Err(MigrateError::Newer { .. }) if *self.ready.borrow() == Ready::Yes => {}
            other => other?,
        }
        // In this order: what ends in between is heard and read.
        timeout(LOOK_EVERY, client.batch_execute("set statement_timeout = '30s'; listen vestibule")).await??;
        let mut seen = timeout(CATCHING_UP, self.catch_up(&client, 0)).await??;
        // What settled while nobody listened was not heard: whoever waits looks again.
        self.shared.wakes.wake_all();
        self.ready.send_replace(Ready::Yes);
        self.shared.reached(true);
        if self.said.take().is_some() {
            tracing::info!("the store is there again");
        }
        self.pause = PAUSES.0;
        let mut until_sweep = 0;
        loop {
            sleep(LOOK_EVERY).await;
            seen = timeout(LOOK_EVERY, self.catch_up(&client, seen)).await??;
            if until_sweep > 0 {
                until_sweep -= 1;
            } else if !timeout(CATCHING_UP, self.sweep(&client)).await?? {
                until_sweep = SWEEP_EVERY;
            }
        }
    }

    /// Reads what has ended by transactions from number `from` on. Returns from where to go on: the oldest one that was still running as this was read.
    async fn catch_up(&self, client: &Client, from: i64) -> Result<i64, tokio_postgres::Error> {
        // One statement, so that all is of one snapshot: an ending is in it, or its transaction is not older than the oldest that runs. Numbers from the next one on are those of
        // another server, from which the rows were brought here: read once, they are not looked at again.
        let sql = "select s.oldest, e.sid, e.ends_at from ( \
                       select pg_snapshot_xmin(now)::text::bigint as oldest, pg_snapshot_xmax(now)::text::bigint as next \
                       from pg_current_snapshot() as now \
                   ) s left join vestibule.ended e on e.tx >= $1 and (e.tx < s.next or $1 = 0) and e.ends_at > $2";
        let latest = self.shared.latest();
        let mut oldest = from;
        for row in client.query(sql, &[&from, &moment(latest)]).await? {
            oldest = row.try_get(0)?;
            let (sid, until): (Option<&[u8]>, Option<std::time::SystemTime>) = (row.try_get(1)?, row.try_get(2)?);
            if let (Some(sid), Some(until)) = (sid.and_then(|sid| sid.try_into().ok()), until) {
                let since = until.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                self.shared.ended(Sid(sid), Timestamp::default().plus(since));
            }
        }
        Ok(oldest)
    }

    /// Lets go what is past its time, here and in the database. True where there is more.
    async fn sweep(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let latest = self.shared.latest();
        self.shared.endings.sweep(latest);
        let row = client.query_one("select vestibule.sweep($1, $2)", &[&moment(latest), &SWEPT_AT_ONCE]).await?;
        Ok(row.try_get::<_, i64>(0)? >= SWEPT_AT_ONCE)
    }

    /// Tells calls and the log why there is no connection.
    fn say(&mut self, lost: &Lost) {
        let reason = lost.to_string();
        self.shared.reached(false);
        // Where it was there before, calls find out for themselves whether it is there again.
        if *self.ready.borrow() != Ready::Yes {
            self.ready.send_replace(Ready::No(reason.clone()));
        }
        if self.said.as_ref() != Some(&reason) {
            tracing::error!(reason, "no connection to the store");
            self.said = Some(reason);
        }
    }
}

/// Takes note of what other instances say, until the connection ends.
async fn hear(mut messages: Messages, shared: &Shared) -> Lost {
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(said)) => shared.hear(said.payload()),
            Ok(_) => {}
            Err(error) => return Lost::Database(error),
        }
    }
    Lost::Closed
}

impl Shared {
    /// `settled SID` or `ended SID UNTIL`, as the functions of the schema say it.
    fn hear(&self, payload: &str) {
        let mut words = payload.split(' ');
        let what = words.next();
        let sid = words.next().and_then(|hex| u128::from_str_radix(hex, 16).ok()).map(|n| Sid(n.to_be_bytes()));
        let until = words.next().and_then(|millis| millis.parse().ok()).map(Timestamp::from_millis);
        match (what, sid, until) {
            (Some("settled"), Some(sid), _) => self.wakes.wake(sid),
            (Some("ended"), Some(sid), Some(until)) => self.ended(sid, until),
            // Of a version to come.
            _ => {}
        }
    }

    /// Remembers an ending in this process, tells the watchers and wakes those who wait.
    pub(super) fn ended(&self, sid: Sid, until: Timestamp) {
        self.endings.add(sid, until);
        self.wakes.wake(sid);
    }
}
