//! One target of an upstream: its id, its addresses, and whether it is ejected after failures.

use std::{
    net::IpAddr,
    path::Path,
    sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

use rustls::pki_types::ServerName;

use super::settings::Target;
use crate::clock::Timestamp;

/// Failures in a row that eject a target: one can be caused by a restart, three mean an outage.
const FAILURES: u32 = 3;

/// How long a target stays ejected. During an outage one request in this time is tried on it in vain; a recovered
/// target gets requests again after at most this time.
const EJECTION: Duration = Duration::from_secs(10);

/// Targets are told apart by number, so that after a reload no idle connection is used for another target at the same
/// place in the list.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// One target with its health, shared by all threads.
#[derive(Debug)]
pub struct TargetState {
    pub(super) id: u64,
    pub(super) target: Target,
    /// The host, if it is an address: then nothing is resolved.
    pub(super) address: Option<IpAddr>,
    /// The name that the certificate must have.
    pub(super) server_name: Option<ServerName<'static>>,
    base_url: String,
    failures: AtomicU32,
    /// The end of the ejection, in milliseconds since the Unix epoch.
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

    /// The target's origin, without a slash at the end. For a Unix socket `http://localhost`, reached through
    /// [`TargetState::unix_path`].
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The path of the socket, if the target is a Unix socket.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.target {
            Target::Unix(path) => Some(path),
            Target::Http { .. } | Target::Https { .. } => None,
        }
    }

    /// Notes that the target answered, with any status.
    pub fn succeeded(&self) {
        // Read first: a store on every request would move the cache line between cores.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes that the target took no connection, or closed it before it answered. The third failure in a row ejects the
    /// target; after that each further failure does, until it answers again.
    pub fn failed(&self, now: Timestamp) {
        let before = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(1)));
        if before.unwrap_or(0).saturating_add(1) >= FAILURES {
            self.ejected_until.fetch_max(now.plus(EJECTION).as_millis(), Ordering::Relaxed);
        }
    }

    /// Whether the target is ejected at `now`.
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
    fn three_failures_in_a_row_eject_for_ten_seconds_and_an_answer_resets_the_count() {
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
