//! How many connections each client has, over all workers: looked at when one is accepted and when it is closed.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

use ipnet::IpNet;

use crate::{client::ClientKey, telemetry::Metrics};

/// The connections of each client that has any, so there are no more clients than connections.
pub(super) struct Clients {
    most: u32,
    /// Everybody behind a load balancer comes from its address.
    uncounted: Vec<IpNet>,
    open: Mutex<HashMap<ClientKey, NonZeroU32>>,
    metrics: Arc<Metrics>,
}

/// A connection's place among its client's; dropping it gives it back.
pub(super) struct Place {
    clients: Arc<Clients>,
    network: ClientKey,
}

/// The client has as many connections as it may.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct TooMany;

impl Clients {
    pub(super) fn new(most: u32, uncounted: Vec<IpNet>, metrics: Arc<Metrics>) -> Self {
        Self { most, uncounted, open: Mutex::default(), metrics }
    }

    /// Takes a place for a connection from `address`; `None` where it is not counted.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Option<Place>, TooMany> {
        let address = address.to_canonical();
        if self.uncounted.iter().any(|net| net.contains(&address)) {
            return Ok(None);
        }
        let network = ClientKey::of(address);
        if !self.take(network) {
            self.metrics.connections_refused.inc();
            return Err(TooMany);
        }
        Ok(Some(Place { clients: Arc::clone(self), network }))
    }

    fn take(&self, network: ClientKey) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&network).copied();
        let more = count.map_or(Some(NonZeroU32::MIN), |count| count.checked_add(1));
        let Some(more) = more.filter(|more| more.get() <= self.most) else { return false };
        open.insert(network, more);
        true
    }

    fn give_back(&self, network: ClientKey) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&network).and_then(|count| NonZeroU32::new(count.get() - 1)) {
            Some(fewer) => drop(open.insert(network, fewer)),
            None => drop(open.remove(&network)),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.clients.give_back(self.network);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clients(most: u32, uncounted: &str) -> Arc<Clients> {
        Arc::new(Clients::new(most, vec![uncounted.parse().unwrap()], Arc::new(Metrics::new())))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_as_many_as_it_may_and_others_theirs() {
        let clients = clients(2, "10.0.0.0/8");
        let first = clients.admit(address("192.0.2.7")).unwrap();
        let _second = clients.admit(address("::ffff:192.0.2.7")).unwrap();
        assert_eq!(clients.admit(address("192.0.2.7")).err(), Some(TooMany));
        assert_eq!(clients.metrics.connections_refused.get(), 1);
        let _other = clients.admit(address("192.0.2.8")).unwrap();
        drop(first);
        assert!(clients.admit(address("192.0.2.7")).is_ok());
    }

    #[test]
    fn a_subscriber_of_ipv6_is_one_client() {
        let clients = clients(1, "10.0.0.0/8");
        let _one = clients.admit(address("2001:db8:1:2::1")).unwrap();
        assert!(clients.admit(address("2001:db8:1:2:ffff::1")).is_err());
        assert!(clients.admit(address("2001:db8:1:3::1")).is_ok());
    }

    #[test]
    fn a_load_balancer_is_nobody() {
        let clients = clients(1, "10.0.0.0/8");
        let places: Vec<_> = (0..5).map(|_| clients.admit(address("::ffff:10.1.2.3")).unwrap()).collect();
        assert!(places.iter().all(Option::is_none));
    }

    #[test]
    fn nothing_is_kept_of_clients_that_have_gone() {
        let clients = clients(3, "10.0.0.0/8");
        let places: Vec<_> = (0..200).map(|n| clients.admit(IpAddr::from([192, 0, 2, n / 2])).unwrap()).collect();
        assert_eq!(clients.open.lock().unwrap().len(), 100);
        drop(places);
        assert!(clients.open.lock().unwrap().is_empty());
    }
}
