//! What an error, or no answer, means for a call: whether it certainly did not run, and which server to ask instead.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::address::Host;
use crate::store::contract::StoreError;

/// Why a call brought no answer.
#[derive(Clone, Debug)]
pub(in crate::store::redis) enum CallFailure {
    /// It was not sent: there is no connection.
    NotSent(Arc<str>),
    /// It did not run: the key's slot is on another node of the Cluster.
    Moved(Host),
    /// It did not run: the key is being moved to another node of the Cluster, which may be asked for this call only.
    Ask(Host),
    /// It did not run: this server may not run it, or not yet (a replica, one that loads its data, a Cluster in
    /// trouble).
    Refused(Arc<str>),
    /// It did not run: the server does not know the script.
    NoScript,
    /// It changed nothing: the server is at its memory limit.
    Full,
    /// It may have run.
    Unknown(Arc<str>),
}

impl CallFailure {
    /// What `error` means, which `from` sent or which came up on the way to it.
    pub(super) fn of(error: &RedisError, from: &Host) -> Self {
        let reason = || format!("{from}: {}", description(error)).into();
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => {
                redirected(error, from).map_or_else(|| Self::Refused(reason()), Self::Moved)
            }
            ErrorKind::Server(ServerErrorKind::Ask) => {
                redirected(error, from).map_or_else(|| Self::Refused(reason()), Self::Ask)
            }
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::Refused(reason()),
            _ if error.code() == Some("OOM") => Self::Full,
            _ => Self::Unknown(reason()),
        }
    }
}

impl From<CallFailure> for StoreError {
    fn from(failure: CallFailure) -> Self {
        match failure {
            CallFailure::Full => Self::Full,
            CallFailure::NotSent(reason) | CallFailure::Refused(reason) | CallFailure::Unknown(reason) => {
                Self::Unavailable(reason.to_string())
            }
            CallFailure::Moved(_) | CallFailure::Ask(_) => {
                Self::Unavailable("it is a Cluster: its url has to begin with redis-cluster".to_owned())
            }
            CallFailure::NoScript => Self::Unavailable("it does not keep the scripts that it is sent".to_owned()),
        }
    }
}

/// What may be logged about `error`. The server's own message is left out: it may repeat what it was sent.
pub(in crate::store::redis) fn description(error: &RedisError) -> String {
    if error.is_connection_dropped() {
        return "the connection broke".to_owned();
    }
    error.code().unwrap_or_else(|| error.category()).to_owned()
}

fn redirected(error: &RedisError, from: &Host) -> Option<Host> {
    let (address, _) = error.redirect_node()?;
    // IPv6 addresses come without brackets; an empty name or "?" means the host that was asked.
    let (name, port) = address.rsplit_once(':')?;
    let name = if name.is_empty() || name == "?" { &from.name } else { name };
    Some(Host { name: name.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}
