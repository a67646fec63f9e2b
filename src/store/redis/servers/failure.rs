//! What a failure means for a call: whether it certainly did not run, and which server to ask instead.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::address::Host;
use crate::store::contract::StoreError;

/// Why a call got no answer.
#[derive(Clone, Debug)]
pub(in crate::store::redis) enum CallFailure {
    /// The call was not sent: there is no connection.
    NotSent(Arc<str>),
    /// The call did not run: the key's slot is on another node of the Cluster.
    Moved(Host),
    /// The call did not run: the key is being migrated to another node of the Cluster. Only this call may be sent
    /// there, after ASKING.
    Ask(Host),
    /// The call did not run: this server cannot run it now (a replica, a server that is loading its data, a Cluster
    /// that is down).
    Refused(Arc<str>),
    /// The call did not run: the server does not have the script.
    NoScript,
    /// The call changed nothing: the server is at its memory limit.
    Full,
    /// The call may have run.
    Unknown(Arc<str>),
}

impl CallFailure {
    /// The meaning of `error`, which `from` answered or which occurred on the connection to it.
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
                Self::Unavailable("the server is a node of a Cluster: the url must begin with redis-cluster".to_owned())
            }
            CallFailure::NoScript => Self::Unavailable("the server does not store scripts".to_owned()),
        }
    }
}

/// A description of `error` for logs. The server's message is left out: it may contain the arguments of the call.
pub(in crate::store::redis) fn description(error: &RedisError) -> String {
    if error.is_connection_dropped() {
        return "the connection broke".to_owned();
    }
    error.code().unwrap_or_else(|| error.category()).to_owned()
}

fn redirected(error: &RedisError, from: &Host) -> Option<Host> {
    let (address, _) = error.redirect_node()?;
    // Redis sends IPv6 addresses without brackets. An empty name or "?" means the host that was asked.
    let (name, port) = address.rsplit_once(':')?;
    let name = if name.is_empty() || name == "?" { &from.name } else { name };
    Some(Host { name: name.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}
