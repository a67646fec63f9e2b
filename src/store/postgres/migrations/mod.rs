//! The schema, in numbered steps. Every instance brings it up to date when it connects. One instance at a time does a
//! step, and each step is done completely or not at all.
//!
//! A step that has been released is never changed. While a fleet is updated, instances of two versions share the
//! schema: a step keeps what the version before it calls. What no version calls any more is removed one release later.

use tokio_postgres::{Client, Error, Transaction};

/// The steps in their order; the first is number 1.
const MIGRATIONS: [(&str, &str); 6] = [
    ("sessions", include_str!("0001_sessions.sql")),
    ("taken", include_str!("0002_taken.sql")),
    ("codes", include_str!("0003_codes.sql")),
    ("counters", include_str!("0004_counters.sql")),
    ("families", include_str!("0005_families.sql")),
    ("upkeep", include_str!("0006_upkeep.sql")),
];

/// The number of the advisory lock that is held for a step: "vestibul" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"vestibul");

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("the schema is at version {found}, and this program knows only those up to {known}")]
    Newer { found: i32, known: i32 },
    #[error(transparent)]
    Database(#[from] Error),
}

/// Brings the schema up to date.
pub(super) async fn migrate(client: &mut Client) -> Result<(), MigrateError> {
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    loop {
        let step = client.transaction().await?;
        // Held to the end of the transaction: a lock of the session would outlast it behind a PgBouncer.
        step.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let found = version(&step).await?;
        if found > known {
            return Err(MigrateError::Newer { found, known });
        }
        let Some((name, sql)) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found)) else {
            return Ok(());
        };
        step.batch_execute(sql).await?;
        let number = found + 1;
        let done = "insert into vestibule.migrations (number, name) values ($1, $2)";
        step.execute(done, &[&number, name]).await?;
        step.commit().await?;
        tracing::info!(number, name, "the store's schema was brought one step further");
    }
}

/// The number of the last step that was done. Asked under the lock, in a statement of its own, so it sees what the last
/// holder did.
async fn version(step: &Transaction<'_>) -> Result<i32, Error> {
    // Not "create schema if not exists": that needs the right to create one even if it exists.
    let row = step.query_one("select to_regnamespace('vestibule') is null", &[]).await?;
    if row.try_get(0)? {
        step.batch_execute("create schema vestibule").await?;
    }
    let row = step.query_one("select to_regclass('vestibule.migrations') is null", &[]).await?;
    if row.try_get(0)? {
        let table = "create table vestibule.migrations \
                     (number integer primary key, name text not null, done_at timestamptz not null default now())";
        step.batch_execute(table).await?;
    }
    step.query_one("select coalesce(max(number), 0) from vestibule.migrations", &[]).await?.try_get(0)
}
