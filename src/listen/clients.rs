//! How many connections each client has, over all workers: counted at accept and at close.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;

use crate::{client::ClientKey, telemetry::Metrics};

/// The number of connections of each client that has any; so there are never more entries than connections.
pub(super) struct ClientConnections {
    /// Connections that one client may have.
    max_per_client: u32,
    /// Networks of load balancers: all visitors behind one come from its address.
    uncounted: Vec<IpNet>,
    open: Mutex<HashMap<ClientKey, NonZeroU32>>,
    metrics: Arc<Metrics>,
}

/// One counted connection of a client, until it is dropped.
pub(super) struct ClientSlot {
    clients: Arc<ClientConnections>,
    key: ClientKey,
}

/// The client has as many connections as it may have.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct TooManyConnections;

impl ClientConnections {
    pub(super) fn new(max_per_client: u32, uncounted: Vec<IpNet>, metrics: Arc<Metrics>) -> Self {
        Self { max_per_client, uncounted, open: Mutex::default(), metrics }
    }

    /// Counts a connection from `address`. `None`: connections from there are not counted.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Option<ClientSlot>, TooManyConnections> {
        let address = address.to_canonical();
        if self.uncounted.iter().any(|net| net.contains(&address)) {
            return Ok(None);
        }
        let key = ClientKey::of(address);
        if !self.add(key) {
            self.metrics.connections_refused.inc();
            return Err(TooManyConnections);
        }
        Ok(Some(ClientSlot { clients: Arc::clone(self), key }))
    }

    fn add(&self, key: ClientKey) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&key).copied();
        let more = count.map_or(Some(NonZeroU32::MIN), |count| count.checked_add(1));
        let Some(more) = more.filter(|more| more.get() <= self.max_per_client) else { return false };
        open.insert(key, more);
        true
    }

    fn remove(&self, key: ClientKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&key).and_then(|count| NonZeroU32::new(count.get() - 1)) {
            Some(fewer) => drop(open.insert(key, fewer)),
            None => drop(open.remove(&key)),
        }
    }
}

impl Drop for ClientSlot {
    fn drop(&mut self) {
        self.clients.remove(self.key);
    }
}

impl std::fmt::Debug for ClientSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSlot").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(max_per_client: u32, uncounted: &str) -> Arc<ClientConnections> {
        Arc::new(ClientConnections::new(max_per_client, vec![uncounted.parse().unwrap()], Arc::new(Metrics::new())))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_over_its_limit_is_refused_and_other_clients_are_not() {
        let clients = clients(2, "10.0.0.0/8");
        let first = clients.admit(address("192.0.2.7")).unwrap();
        let _second = clients.admit(address("::ffff:192.0.2.7")).unwrap();
        assert_eq!(clients.admit(address("192.0.2.7")).err(), Some(TooManyConnections));
        assert_eq!(clients.metrics.connections_refused.get(), 1);
        let _other = clients.admit(address("192.0.2.8")).unwrap();
        drop(first);
        assert!(clients.admit(address("192.0.2.7")).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_64_count_as_one_client() {
        let clients = clients(1, "10.0.0.0/8");
        let _one = clients.admit(address("2001:db8:1:2::1")).unwrap();
        assert!(clients.admit(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(clients.admit(address("2001:db8:1:3::1")).is_ok());
    }

    #[test]
    fn connections_from_an_uncounted_network_are_never_refused() {
        let clients = clients(1, "10.0.0.0/8");
        let slots: Vec<_> = (0..5).map(|_| clients.admit(address("::ffff:10.1.2.3")).unwrap()).collect();
        assert!(slots.iter().all(Option::is_none));
    }

    #[test]
    fn a_client_without_connections_has_no_entry() {
        let clients = clients(3, "10.0.0.0/8");
        let slots: Vec<_> = (0..200).map(|n| clients.admit(IpAddr::from([192, 0, 2, n / 2])).unwrap()).collect();
        assert_eq!(clients.open.lock().unwrap().len(), 100);
        drop(slots);
        assert!(clients.open.lock().unwrap().is_empty());
    }
}
