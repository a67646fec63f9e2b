//! From `[store]` to a store. One that cannot be reached does not keep the gateway from starting: it is asked again until it can.

use tokio::runtime::Handle;

use super::{MemoryStore, RedisStore, Settings, Store};

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
        Settings::File { .. } => Err(OpenError::Unusable("file".to_owned())),
        Settings::Redis { url } => RedisStore::open(url, runtime),
        Settings::Postgres { .. } => Err(OpenError::Unusable("postgres".to_owned())),
    }
}
