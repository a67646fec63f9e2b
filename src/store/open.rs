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

/// Opens the store without waiting for anything but a file; what it has to do beside its calls runs on `runtime`.
pub fn open(settings: &Settings, runtime: &Handle) -> Result<Store, OpenError> {
    match settings {
        Settings::Memory => Ok(MemoryStore::shared()),
        Settings::File { path } => FileStore::open(path),
        Settings::Redis { url } => RedisStore::open(url, runtime),
        Settings::Postgres { url } => PostgresStore::open(url, runtime),
    }
}
