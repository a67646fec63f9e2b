//! The schema, in numbered migrations. Every instance updates it when it connects. One instance at a time runs a
//! migration, each in one transaction.
//!
//! A released migration is never changed. During an update, instances of two versions share the schema: a migration
//! keeps what the previous version calls. What that version called is removed one release later at the earliest.

use tokio_postgres::{Client, Error, Transaction};

/// Name and SQL of each migration; the first is number 1.
const MIGRATIONS: [(&str, &str); 9] = [
    ("sessions", include_str!("0001_sessions.sql")),
    ("taken", include_str!("0002_taken.sql")),
    ("codes", include_str!("0003_codes.sql")),
    ("counters", include_str!("0004_counters.sql")),
    ("families", include_str!("0005_families.sql")),
    ("upkeep", include_str!("0006_upkeep.sql")),
    ("leases", include_str!("0007_leases.sql")),
    ("deposits", include_str!("0008_deposits.sql")),
    ("notes", include_str!("0009_notes.sql")),
];

/// The number of the advisory lock under which a migration runs: "vestibul" in ASCII.
const LOCK: i64 = i64::from_be_bytes(*b"vestibul");

/// Why the schema could not be updated.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    #[error("the schema has version {found}, and this program supports versions up to {known} only")]
    Newer { found: i32, known: i32 },
    #[error(transparent)]
    Database(#[from] Error),
}

/// Runs the migrations that are missing.
pub(super) async fn migrate(client: &mut Client) -> Result<(), MigrateError> {
    let known = i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX);
    loop {
        let transaction = client.transaction().await?;
        // A transaction lock: behind PgBouncer a session lock would outlive this client.
        transaction.execute("select pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let found = version(&transaction).await?;
        if found > known {
            return Err(MigrateError::Newer { found, known });
        }
        let Some((name, sql)) = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found)) else {
            return Ok(());
        };
        transaction.batch_execute(sql).await?;
        let number = found + 1;
        let record = "insert into vestibule.migrations (number, name) values ($1, $2)";
        transaction.execute(record, &[&number, name]).await?;
        transaction.commit().await?;
        tracing::info!(number, name, "the store's schema was updated");
    }
}

/// The number of the last migration. It is read under the lock and in a separate statement, so it includes the
/// migration of the previous holder.
async fn version(transaction: &Transaction<'_>) -> Result<i32, Error> {
    // Not "create schema if not exists": that requires the CREATE privilege even if the schema exists.
    let row = transaction.query_one("select to_regnamespace('vestibule') is null", &[]).await?;
    if row.try_get(0)? {
        transaction.batch_execute("create schema vestibule").await?;
    }
    let row = transaction.query_one("select to_regclass('vestibule.migrations') is null", &[]).await?;
    if row.try_get(0)? {
        let table = "create table vestibule.migrations \
                     (number integer primary key, name text not null, done_at timestamptz not null default now())";
        transaction.batch_execute(table).await?;
    }
    transaction.query_one("select coalesce(max(number), 0) from vestibule.migrations", &[]).await?.try_get(0)
}
