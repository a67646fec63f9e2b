//! One target of an upstream: its id, its addresses, and whether it is ejected after failures.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustls::pki_types::ServerName;

use super::settings::Target;
use crate::{backoff::Suspension, clock::Timestamp, scheme::Scheme, secret::Random};

/// Failures in a row that eject a target: one can be caused by a restart, three mean an outage.
const FAILURES: u32 = 3;

/// The longest time a target stays ejected; it is shortened by up to a quarter at random. During an outage one request
/// in this time is tried on the target in vain; a recovered target gets requests again after at most this time.
const EJECTION: Duration = Duration::from_secs(10);

/// Targets are identified by number, so that after a reload no idle connection is used for another target at the same
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
    ejection: Suspension,
}

impl TargetState {
    pub(super) fn new(target: Target) -> Self {
        let (address, server_name, base_url) = match &target {
            Target::Http { host, port } => (host.parse().ok(), None, base_url(Scheme::Http, host, *port)),
            Target::Https { host, port } => (
                host.parse().ok(),
                ServerName::try_from(host.as_str()).ok().map(|name| name.to_owned()),
                base_url(Scheme::Https, host, *port),
            ),
            Target::Unix(_) => (None, None, "http://localhost".to_owned()),
        };
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            target,
            address,
            server_name,
            base_url,
            ejection: Suspension::new(FAILURES, EJECTION),
        }
    }

    /// The target's origin, without a slash at the end. For a Unix socket `http://localhost`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Records that the target answered, with any status.
    pub fn succeeded(&self) {
        self.ejection.succeeded();
    }

    /// Records that the target accepted no connection, or closed it before it answered. The third failure in a row
    /// ejects the target; after that each further failure does, until it answers again.
    pub fn failed(&self, now: Timestamp, random: &Random) {
        self.ejection.failed(now, random);
    }

    /// Whether the target is ejected at `now`.
    pub fn is_ejected(&self, now: Timestamp) -> bool {
        self.ejection.is_suspended(now)
    }

    pub(super) fn ejected_until(&self) -> Timestamp {
        self.ejection.until()
    }
}

fn base_url(scheme: Scheme, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_eject_for_ten_seconds_and_an_answer_resets_the_count() {
        let target = TargetState::new(Target::Http { host: "::1".into(), port: 1 });
        assert_eq!(target.base_url(), "http://[::1]:1");
        let (now, random) = (Timestamp::from_secs(1000), Random::repeated(255));
        target.failed(now, &random);
        target.failed(now, &random);
        target.succeeded();
        target.failed(now, &random);
        target.failed(now, &random);
        assert!(!target.is_ejected(now));
        target.failed(now, &random);
        assert!(target.is_ejected(now));
        let later = now.plus(EJECTION);
        assert!(!target.is_ejected(later));
        target.failed(later, &random);
        assert!(target.is_ejected(later), "one more failure after an ejection is enough");
    }
}
