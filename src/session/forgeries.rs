//! Forged access tokens: how many of one client's this instance checks the signature of. Only `seal = false` lets a visitor bring one.
//!
//! In memory, not in the store: the count must cost less than the check that it saves. A client that is full keeps its cookies, for behind one address there may be
//! others whose tokens are good, and those that were verified before are not asked about.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{client::ClientKey, clock::Timestamp};

/// So many of a client's may be wrong at once.
const AT_ONCE: u32 = 100;
/// And one more each.
const EACH: Duration = Duration::from_secs(1);
/// Clients in each half of the memory.
const MOST: usize = 16 << 10;

/// How many forged tokens each client has shown lately.
#[derive(Default)]
pub(super) struct Forgeries {
    clients: Mutex<Clients>,
}

/// When all of a client's will be forgiven. Once `recent` is full it becomes `older`, whose clients are forgotten.
#[derive(Default)]
struct Clients {
    recent: HashMap<ClientKey, Timestamp>,
    older: HashMap<ClientKey, Timestamp>,
}

impl Forgeries {
    /// How long nothing of `client` is checked; `None` where it may be.
    pub(super) fn wait(&self, client: ClientKey, now: Timestamp) -> Option<Duration> {
        let wait = self.clients().owed(client, now).saturating_sub(EACH * (AT_ONCE - 1));
        (!wait.is_zero()).then_some(wait)
    }

    /// `client` has shown a forged one.
    pub(super) fn count(&self, client: ClientKey, now: Timestamp) {
        let mut clients = self.clients();
        let network = client;
        let forgiven = now.plus(clients.owed(network, now) + EACH);
        if clients.recent.len() >= MOST && !clients.recent.contains_key(&network) {
            clients.older = mem::take(&mut clients.recent);
        }
        clients.recent.insert(network, forgiven);
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clients {
    /// The time until all is forgiven: never more than for as many as count at once, so that a clock set back bars nobody for long.
    fn owed(&self, network: ClientKey, now: Timestamp) -> Duration {
        let forgiven = self.recent.get(&network).or_else(|| self.older.get(&network));
        forgiven.map_or(Duration::ZERO, |at| at.since(now)).min(EACH * AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn client(text: &str) -> ClientKey {
        ClientKey::of(text.parse().unwrap())
    }

    #[test]
    fn a_client_has_a_hundred_and_then_one_each_second() {
        let forgeries = Forgeries::default();
        let (full, other) = (client("192.0.2.7"), client("192.0.2.8"));
        for _ in 0..AT_ONCE {
            assert_eq!(forgeries.wait(full, NOW), None);
            forgeries.count(full, NOW);
        }
        assert_eq!(forgeries.wait(full, NOW), Some(EACH));
        assert_eq!(forgeries.wait(client("::ffff:192.0.2.7"), NOW), Some(EACH), "the same client");
        assert_eq!(forgeries.wait(other, NOW), None);
        let mut checked = 0;
        for tenth in 0..600 {
            let now = NOW.plus(Duration::from_millis(100 * tenth));
            if forgeries.wait(full, now).is_none() {
                checked += 1;
                forgeries.count(full, now);
            }
        }
        assert_eq!(checked, 59);
        assert_eq!(forgeries.wait(full, NOW.plus(Duration::from_secs(200))), None);
    }

    #[test]
    fn an_ipv6_subscriber_is_one_client() {
        let forgeries = Forgeries::default();
        for host in 0..u16::try_from(AT_ONCE).unwrap() {
            forgeries.count(ClientKey::of(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into()), NOW);
        }
        assert!(forgeries.wait(client("2001:db8:0:1:ffff::"), NOW).is_some());
        assert!(forgeries.wait(client("2001:db8:0:2::"), NOW).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_bars_nobody_for_long() {
        let forgeries = Forgeries::default();
        forgeries.count(client("192.0.2.7"), NOW.plus(Duration::from_secs(86400)));
        assert!(forgeries.wait(client("192.0.2.7"), NOW).is_some_and(|wait| wait <= EACH));
    }

    #[test]
    fn there_is_an_end_to_the_clients_that_are_remembered_and_the_latest_are() {
        let forgeries = Forgeries::default();
        let subscriber = |n: u32| ClientKey::of(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 64).into());
        for n in 0..200_000 {
            forgeries.count(subscriber(n), NOW);
            // One that goes on is never forgotten.
            forgeries.count(subscriber(u32::MAX), NOW);
        }
        let clients = forgeries.clients();
        assert!(clients.recent.len() <= MOST && clients.older.len() <= MOST);
        drop(clients);
        assert!(forgeries.wait(subscriber(u32::MAX), NOW).is_some());
        assert_eq!(forgeries.clients().owed(subscriber(199_999), NOW), EACH);
        assert_eq!(forgeries.clients().owed(subscriber(0), NOW), Duration::ZERO);
    }
}
