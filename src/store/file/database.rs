//! The redb database in the file: one table per kind of record.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use redb::{DatabaseError, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableHandle as _};

use super::{
    encoding::{self, RecordTable},
    queue::Changes,
};
use crate::store::{contract::OpenStoreError, memory::records::Record};

/// redb's page cache in bytes. It can be small: the file is read once, when it is opened.
const CACHE: usize = 8 << 20;

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// The open file. After a failed write it is closed until the next write, because redb must be opened again after a
/// failure.
pub(super) struct Database {
    path: PathBuf,
    open: Option<redb::Database>,
}

/// Opens or creates the file at `path`, and reads all records in it.
pub(super) fn open(path: &Path) -> Result<(Database, Vec<Record<'static>>), OpenStoreError> {
    let unusable = |why: String| OpenStoreError(format!("{}: {why}", path.display()));
    let file = create(path).map_err(|error| unusable(error.to_string()))?;
    let opened = catching_panics(|| {
        let database = attach(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                "another process has it open; a file is for one instance, several need `kind = \"redis\"` or \"postgres\""
                    .to_owned()
            }
            error => format!("it is damaged, or no store of vestibule ({error})"),
        })?;
        let records = read(&database)?;
        Ok((database, records))
    });
    let (database, records) = opened.map_err(unusable)?;
    Ok((Database { path: path.to_owned(), open: Some(database) }, records))
}

impl Database {
    /// Writes all `changes` in one transaction. They survive a crash once this has returned `Ok`.
    pub(super) fn write(&mut self, changes: &Changes) -> Result<(), String> {
        let written = catching_panics(|| {
            let database = if let Some(database) = self.open.take() {
                database
            } else {
                // Opened without creating it: a new file would lack the older records.
                let file = OpenOptions::new().read(true).write(true).open(&self.path);
                attach(file.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?
            };
            commit(&database, changes).map_err(|error| error.to_string())?;
            Ok(database)
        });
        written.map(|database| self.open = Some(database)).map_err(|why| format!("{}: {why}", self.path.display()))
    }
}

/// Opens or creates the file with mode 0600. After creation the folder is synced too: otherwise a crash could lose the
/// directory entry.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

fn attach(file: File) -> Result<redb::Database, DatabaseError> {
    redb::Builder::new().set_cache_size(CACHE).create_file(file)
}

fn read(database: &redb::Database) -> Result<Vec<Record<'static>>, String> {
    let damaged = |error: redb::Error| format!("it is damaged ({error})");
    let transaction = database.begin_read().map_err(|error| damaged(error.into()))?;
    let mut records = Vec::new();
    for handle in transaction.list_tables().map_err(|error| damaged(error.into()))? {
        let table = RecordTable::named(handle.name()).ok_or("another version of vestibule wrote it")?;
        let opened = transaction.open_table(definition(table)).map_err(|error| damaged(error.into()))?;
        for entry in opened.iter().map_err(|error| damaged(error.into()))? {
            let (key, value) = entry.map_err(|error| damaged(error.into()))?;
            let record = encoding::record(table, key.value(), value.value());
            records.push(record.ok_or("it is damaged (a record that cannot be read)")?);
        }
    }
    Ok(records)
}

fn commit(database: &redb::Database, changes: &Changes) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    for table in RecordTable::ALL {
        // The changes are sorted by table, and by key within a table.
        let mut of_table = changes.iter().filter(|(key, _)| RecordTable::of(key) == table).peekable();
        if of_table.peek().is_none() {
            continue;
        }
        let mut table = transaction.open_table(definition(table))?;
        for (key, value) in of_table {
            let key = encoding::key(key);
            match value {
                Some(value) => drop(table.insert(&key[..], &value[..])?),
                None => drop(table.remove(&key[..])?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn definition(table: RecordTable) -> Definition {
    Definition::new(table.name())
}

/// Turns a panic into an error: redb may panic on a damaged file.
fn catching_panics<T>(open: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err("it is damaged".to_owned()))
}
