//! From `[store]` to a store. An unreachable one does not keep the gateway from starting: connecting is tried again
//! until it succeeds.

use std::path::PathBuf;

use tokio::runtime::Handle;

use super::{
    contract::{OpenStoreError, Store},
    file::FileStore,
    memory::MemoryStore,
    postgres::PostgresStore,
    redis::RedisStore,
};
use crate::secret::{Random, Secret};

/// `[store]`, validated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Settings {
    /// In this process: nothing survives a restart.
    #[default]
    Memory,
    /// In a file of this machine: it survives a crash.
    File {
        /// The file.
        path: PathBuf,
    },
    /// In Redis (or a server that speaks its protocol): one server, a server behind Sentinels, or a Cluster.
    Redis {
        /// Its address, which may hold a password.
        url: Secret,
    },
    /// In `PostgreSQL`.
    Postgres {
        /// Its address, which may hold a password.
        url: Secret,
    },
}

impl Settings {
    /// The value of `kind` in the configuration file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File { .. } => "file",
            Self::Redis { .. } => "redis",
            Self::Postgres { .. } => "postgres",
        }
    }
}

/// Whether [`open`] would accept the settings: addresses are parsed and the files that they name are read; nothing is
/// connected to.
pub fn check(settings: &Settings) -> Result<(), OpenStoreError> {
    match settings {
        Settings::File { path } if path.is_dir() => Err(OpenStoreError(format!("{}: it is a folder", path.display()))),
        Settings::Memory | Settings::File { .. } => Ok(()),
        Settings::Redis { url } => RedisStore::check(url),
        Settings::Postgres { url } => PostgresStore::check(url),
    }
}

/// Opens the store. It waits for nothing but a file; connections are made and kept by tasks on `runtime`.
pub fn open(settings: &Settings, runtime: &Handle, random: &Random) -> Result<Store, OpenStoreError> {
    match settings {
        Settings::Memory => Ok(MemoryStore::shared()),
        Settings::File { path } => FileStore::open(path),
        Settings::Redis { url } => RedisStore::open(url, runtime, random),
        Settings::Postgres { url } => PostgresStore::open(url, runtime, random),
    }
}
