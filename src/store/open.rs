//! Opens the store that `[store]` configures. The gateway also starts while the store's server is unreachable:
//! connecting is retried until it succeeds.

use std::path::PathBuf;

use tokio::runtime::Handle;

use super::{
    contract::{OpenStoreError, Store},
    file::FileStore,
    memory::MemoryStore,
    postgres::PostgresStore,
    redis::RedisStore,
};
use crate::{
    clock::Clock,
    secret::{Random, Secret},
};

/// `[store]`, validated.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Settings {
    /// In this process: a restart loses everything.
    #[default]
    Memory,
    /// In a file on this machine: it survives a crash.
    File {
        /// The redb file; created if it is missing.
        path: PathBuf,
    },
    /// In Redis (or a server that speaks its protocol): one server, a server behind Sentinels, or a Cluster.
    Redis {
        /// `redis://`, `redis-sentinel://` or `redis-cluster://`, or one of these with `rediss` for TLS; may contain a
        /// password.
        url: Secret,
    },
    /// In `PostgreSQL`.
    Postgres {
        /// `postgres://` or `postgresql://`; may contain a password.
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

/// Whether [`open`] would accept the settings: addresses are parsed and the files that they name are read, without a
/// connection.
pub fn check(settings: &Settings) -> Result<(), OpenStoreError> {
    match settings {
        Settings::File { path } if path.is_dir() => Err(OpenStoreError(format!("{}: it is a folder", path.display()))),
        Settings::Memory | Settings::File { .. } => Ok(()),
        Settings::Redis { url } => RedisStore::check(url),
        Settings::Postgres { url } => PostgresStore::check(url),
    }
}

/// Opens the store. Only a file is opened before this returns; tasks on `runtime` connect to servers. `clock` is the
/// one that callers pass the time of.
pub fn open(settings: &Settings, runtime: &Handle, random: &Random, clock: &Clock) -> Result<Store, OpenStoreError> {
    match settings {
        Settings::Memory => Ok(MemoryStore::shared()),
        Settings::File { path } => FileStore::open(path),
        Settings::Redis { url } => RedisStore::open(url, runtime, random, clock.clone()),
        Settings::Postgres { url } => PostgresStore::open(url, runtime, random, clock.clone()),
    }
}
