//! From `[store]` to a store. One that cannot be reached does not keep the gateway from starting: it is asked again until it can.

use tokio::runtime::Handle;

use super::{MemoryStore, PostgresStore, RedisStore, Settings, Store, file::FileStore};

/// Why a store can never be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its address makes no sense, or its file cannot be opened.
    #[error("the store cannot be opened: {0}")]
    Unusable(String),
}

/// Whether `open` could make sense of the settings: addresses and the files that they name are read, and nothing is connected to. The reason never
/// repeats a password.
pub fn judge(settings: &Settings) -> Result<(), OpenError> {
    match settings {
        Settings::File { path } if path.is_dir() => {
            Err(OpenError::Unusable(format!("{}: it is a folder", path.display())))
        }
        Settings::Memory | Settings::File { .. } => Ok(()),
        Settings::Redis { url } => RedisStore::judge(url),
        Settings::Postgres { url } => PostgresStore::judge(url),
    }
}

/// Opens the store without waiting for anything but a file; what it has to do beside its calls runs on `runtime`.
pub fn open(settings: &Settings, runtime: &Handle) -> Result<Store, OpenError> {
    match settings {
        Settings::Memory => Ok(MemoryStore::shared()),
        Settings::File { path } => FileStore::open(path),
        Settings::Redis { url } => RedisStore::open(url, runtime),
        Settings::Postgres { url } => PostgresStore::open(url, runtime),
    }
}
