//! One target of an upstream: its id, its addresses, and its health.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::StatusCode;
use prometheus_client::metrics::counter::Counter;
use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::{
    addresses::Addresses,
    health::{Admission, Failure, Health, HealthGroup},
    settings::Target,
};
use crate::scheme::Scheme;

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
    /// The host's addresses, if it is a name.
    pub(super) addresses: Option<Arc<Addresses>>,
    /// The name that the certificate must have.
    pub(super) server_name: Option<ServerName<'static>>,
    base_url: String,
    /// `None` if the target is never ejected.
    health: Option<Health>,
    /// Answers of the process that broke off in their body, for `/metrics`.
    broken_bodies: Counter,
}

impl TargetState {
    pub(super) fn new(target: Target, health: Option<&Arc<HealthGroup>>, broken_bodies: Counter) -> Arc<Self> {
        let (host, server_name, base_url) = match &target {
            Target::Http { host, port } => (Some((host, *port)), None, base_url(Scheme::Http, host, *port)),
            Target::Https { host, port } => (
                Some((host, *port)),
                ServerName::try_from(host.as_str()).ok().map(|name| name.to_owned()),
                base_url(Scheme::Https, host, *port),
            ),
            Target::Unix(_) => (None, None, "http://localhost".to_owned()),
        };
        let address = host.and_then(|(host, _)| host.parse().ok());
        let addresses = host.filter(|_| address.is_none()).map(|(host, port)| Addresses::new(host, port));
        let name = if let Target::Unix(path) = &target { format!("unix:{}", path.display()) } else { base_url.clone() };
        let health = health.map(|group| Health::new(Arc::clone(group), name));
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, target, address, addresses, server_name, base_url, health, broken_bodies })
    }

    /// The target's origin, without a slash at the end. For a Unix socket `http://localhost`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Whether the target is ejected.
    pub fn is_ejected(&self) -> bool {
        self.health.as_ref().is_some_and(Health::is_ejected)
    }

    /// Whether the target may get the next request in turn. If its ejection is over, one caller may try it.
    pub fn admits(&self, now: Instant) -> bool {
        self.admit(now) != Admission::No
    }

    fn admit(&self, now: Instant) -> Admission {
        self.health.as_ref().map_or(Admission::Yes, |health| health.admit(now))
    }

    /// Records that the target accepted no connection.
    pub(super) fn refused(&self, since: Instant) {
        if let Some(health) = &self.health {
            health.failed(Failure::Unsent, since, Instant::now());
        }
    }
}

/// One request that was sent to a target. Its outcome is counted once, for the target's health.
#[derive(Debug)]
pub struct SentRequest {
    target: Arc<TargetState>,
    sent: Instant,
    is_counted: bool,
}

impl SentRequest {
    /// A request to `target` at `sent`.
    pub fn new(target: Arc<TargetState>, sent: Instant) -> Self {
        Self { target, sent, is_counted: false }
    }

    /// Begins the next request to the same target.
    pub(super) fn begin(&mut self, sent: Instant) {
        self.sent = sent;
        self.is_counted = false;
    }

    /// Takes the request out of a connection that is closed.
    pub(super) fn take(&mut self) -> Self {
        let is_counted = std::mem::replace(&mut self.is_counted, true);
        Self { target: Arc::clone(&self.target), sent: self.sent, is_counted }
    }

    pub(super) fn target(&self) -> &Arc<TargetState> {
        &self.target
    }

    /// Records that the whole answer arrived, or as much of it as was wanted.
    pub fn succeeded(&mut self) {
        if let Some(health) = self.uncounted() {
            health.succeeded(self.sent, Instant::now());
        }
        self.is_counted = true;
    }

    /// Records that there was no answer, or none that can be used.
    pub fn failed(&mut self) {
        self.failed_by(Failure::Lost);
    }

    /// Records that the request was not sent, because the target accepted no connection.
    pub fn was_refused(&mut self) {
        self.failed_by(Failure::Unsent);
    }

    fn failed_by(&mut self, failure: Failure) {
        if let Some(health) = self.uncounted() {
            health.failed(failure, self.sent, Instant::now());
        }
        self.is_counted = true;
    }

    /// Whether its outcome is counted.
    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Records that the answer broke off in its body.
    pub(super) fn broke_off(&mut self) {
        self.target.broken_bodies.inc();
        self.failed();
    }

    /// Records a failure if the rule counts this status as one.
    pub fn answered(&mut self, status: StatusCode) {
        if self.target.health.as_ref().is_some_and(|health| health.is_failure(status)) {
            self.failed();
        }
    }

    fn uncounted(&self) -> Option<&Health> {
        self.target.health.as_ref().filter(|_| !self.is_counted)
    }
}

fn base_url(scheme: Scheme, host: &str, port: u16) -> String {
    if host.contains(':') { format!("{scheme}://[{host}]:{port}") } else { format!("{scheme}://{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_resolved_and_a_name_is() {
        let target =
            |host: &str| TargetState::new(Target::Http { host: host.into(), port: 1 }, None, Counter::default());
        let six = target("::1");
        assert_eq!(six.base_url(), "http://[::1]:1");
        assert!(six.addresses.is_none() && target("127.0.0.1").addresses.is_none());
        assert!(target("localhost").addresses.is_some());
    }
}
