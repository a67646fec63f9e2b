//! What a server's refusal or silence means for the call: whether it certainly did not run, and who to ask instead.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::address::Host;
use crate::store::StoreError;

/// Why a call brought no answer.
#[derive(Clone, Debug)]
pub(in crate::store::redis) enum Fault {
    /// It was not sent: there is no connection.
    NotSent(Arc<str>),
    /// It did not run: another node has the key, for good.
    Moved(Host),
    /// It did not run: another node has the key just now.
    Ask(Host),
    /// It did not run: this server may not, or not yet; who may has to be found out again.
    Stale(Arc<str>),
    /// It did not run: the server does not know the script.
    NoScript,
    /// It changed nothing: the server is at its memory limit.
    Full,
    /// It may have run, or not.
    Unsure(Arc<str>),
}

impl Fault {
    /// What `error`, which `from` sent or which came up on the way there, means.
    pub(in crate::store::redis) fn of(error: &RedisError, from: &Host) -> Self {
        let reason = || format!("{from}: {}", spoken(error)).into();
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => {
                redirected(error, from).map_or_else(|| Self::Stale(reason()), Self::Moved)
            }
            ErrorKind::Server(ServerErrorKind::Ask) => {
                redirected(error, from).map_or_else(|| Self::Stale(reason()), Self::Ask)
            }
            ErrorKind::Server(ServerErrorKind::NoScript) => Self::NoScript,
            ErrorKind::Server(
                ServerErrorKind::ReadOnly
                | ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain,
            ) => Self::Stale(reason()),
            _ if error.code() == Some("OOM") => Self::Full,
            _ => Self::Unsure(reason()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::NotSent(reason) | Fault::Stale(reason) | Fault::Unsure(reason) => {
                Self::Unavailable(reason.to_string())
            }
            Fault::Moved(_) | Fault::Ask(_) => {
                Self::Unavailable("it is a Cluster: its url has to begin with redis-cluster".to_owned())
            }
            Fault::NoScript => Self::Unavailable("it forgets scripts".to_owned()),
        }
    }
}

/// What can be said of `error` to a person. A server's own words are left out: they may repeat what it was sent.
pub(in crate::store::redis) fn spoken(error: &RedisError) -> String {
    if error.is_connection_dropped() {
        return "the connection broke".to_owned();
    }
    error.code().unwrap_or_else(|| error.category()).to_owned()
}

fn redirected(error: &RedisError, from: &Host) -> Option<Host> {
    let (address, _) = error.redirect_node()?;
    // IPv6 addresses come without brackets, and no name at all means the one that was asked.
    let (name, port) = address.rsplit_once(':')?;
    let name = if name.is_empty() || name == "?" { &from.name } else { name };
    Some(Host { name: name.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
}
