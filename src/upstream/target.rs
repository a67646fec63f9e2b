//! One target of an upstream: who it is to the pools, and whether it is being left alone for a while.

use std::{
    net::IpAddr,
    path::Path,
    sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use rustls::pki_types::ServerName;

use super::Target;
use crate::clock::Timestamp;

/// Failures in a row after which a target is left alone: one can be a restart's last connection, three are an outage.
const FAILURES: u32 = 3;

/// How long a failing target is left alone: long enough that an outage costs one visitor in 10 s a failover, short enough that a
/// recovered target is back before anyone looks.
const EJECTION: Duration = Duration::from_secs(10);

/// Told apart by number, so that no connection of a target outlives a reload into another target of the same place in the list.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// One target with what all threads know about its health.
#[derive(Debug)]
pub struct TargetState {
    pub(super) id: u64,
    pub(super) target: Target,
    /// The host where it is an address: no resolver is asked then.
    pub(super) address: Option<IpAddr>,
    /// Whom the certificate must name.
    pub(super) server_name: Option<ServerName<'static>>,
    base_url: String,
    failures: AtomicU32,
    /// Milliseconds since the epoch until which it is left alone.
    ejected_until: AtomicI64,
}

impl TargetState {
    pub(super) fn new(target: Target) -> Self {
        let (address, server_name, base_url) = match &target {
            Target::Http { host, port } => (host.parse().ok(), None, base_url("http", host, *port)),
            Target::Https { host, port } => (
                host.parse().ok(),
                ServerName::try_from(host.as_str()).ok().map(|name| name.to_owned()),
                base_url("https", host, *port),
            ),
            Target::Unix(_) => (None, None, "http://localhost".to_owned()),
        };
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            target,
            address,
            server_name,
            base_url,
            failures: AtomicU32::new(0),
            ejected_until: AtomicI64::new(0),
        }
    }

    /// The target's origin, without a slash at the end. For a Unix socket `http://localhost`, to be asked over [`TargetState::unix_path`].
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The socket's path, where the target is a Unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.target {
            Target::Unix(path) => Some(path),
            Target::Http { .. } | Target::Https { .. } => None,
        }
    }

    /// The target answered, whatever it said.
    pub fn succeeded(&self) {
        // Read first: a store on every request would move the cache line between all cores.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The target took no connection, or broke off before it answered. The third time in a row ejects it; after an
    /// ejection every further failure does until it answers again.
    pub fn failed(&self, now: Timestamp) {
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(1)));
        if before.unwrap_or(0).saturating_add(1) >= FAILURES {
            self.ejected_until.fetch_max(now.plus(EJECTION).as_millis(), Ordering::Relaxed);
        }
    }

    /// Whether it is left alone at `now`.
    pub fn is_ejected(&self, now: Timestamp) -> bool {
        self.ejected_until() > now.as_millis()
    }

    pub(super) fn ejected_until(&self) -> i64 {
        self.ejected_until.load(Ordering::Relaxed)
    }
}

fn base_url(scheme: &str, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_eject_for_ten_seconds_and_an_answer_forgives() {
        let target = TargetState::new(Target::Http { host: "::1".into(), port: 1 });
        assert_eq!(target.base_url(), "http://[::1]:1");
        let now = Timestamp::from_secs(1000);
        target.failed(now);
        target.failed(now);
        target.succeeded();
        target.failed(now);
        target.failed(now);
        assert!(!target.is_ejected(now));
        target.failed(now);
        assert!(target.is_ejected(now));
        let later = now.plus(EJECTION);
        assert!(!target.is_ejected(later));
        target.failed(later);
        assert!(target.is_ejected(later), "one more failure after an ejection is enough");
    }
}
