//! The addresses of a target's host name: resolved by the system (DNS, hosts file), and again while the target is used.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{net::lookup_host, time::Instant};

/// How often a name in use is resolved again. The system's resolver does not tell the TTL of its answers, so this is
/// shorter than the TTLs that are meant for changes; a resolver that caches (systemd-resolved, nscd) obeys the TTL.
const INTERVAL: Duration = Duration::from_secs(5);

/// An address is gone once this many answers in a row are without it. A name with many addresses may be answered with
/// other ones each time (Consul answers three at random), and connections to the others are still good.
const ANSWERS_WITHOUT: u32 = 3;

/// The shortest time between two resolutions that failed connections cause.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Addresses of one answer that are used; further ones are left out.
const MOST_ADDRESSES: usize = 64;

/// The addresses of one host name, shared by all threads.
#[derive(Debug)]
pub(super) struct Addresses {
    host: String,
    port: u16,
    origin: Instant,
    /// When the name is to be resolved next, in milliseconds since `origin`.
    due: AtomicU64,
    /// How often an address went away.
    losses: AtomicU64,
    known: ArcSwap<Vec<KnownAddress>>,
    /// Whether the latest resolution failed.
    is_failing: AtomicBool,
}

/// An address that is not gone.
#[derive(Clone, Copy, Debug)]
struct KnownAddress {
    address: SocketAddr,
    /// Answers in a row without it; 0 if the newest has it.
    missed: u32,
}

/// The address that a connection leads to, and the latest loss for which it was checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectedAddress {
    address: SocketAddr,
    losses: u64,
}

impl Addresses {
    pub(super) fn new(host: &str, port: u16) -> Arc<Self> {
        Arc::new(Self {
            host: host.to_owned(),
            port,
            origin: Instant::now(),
            due: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            known: ArcSwap::default(),
            is_failing: AtomicBool::new(false),
        })
    }

    /// The addresses to connect to, the resolver's first choice first. Resolves the name if that was never done.
    pub(super) async fn current(&self) -> io::Result<Vec<SocketAddr>> {
        let known = self.newest();
        if known.is_empty() { self.resolve().await } else { Ok(known) }
    }

    /// The addresses that are new since `tried`, after none of those accepted a connection.
    pub(super) async fn others_than(&self, tried: &[SocketAddr]) -> Vec<SocketAddr> {
        let now = self.millis(Instant::now());
        let resolved = self.due.load(Ordering::Relaxed).saturating_sub(millis(INTERVAL));
        let addresses = if now.saturating_sub(resolved) < millis(AFTER_FAILURE) {
            self.newest()
        } else {
            self.resolve().await.unwrap_or_default()
        };
        addresses.into_iter().filter(|address| !tried.contains(address)).collect()
    }

    /// Resolves the name again in the background, if that is due.
    pub(super) fn refresh_if_due(self: &Arc<Self>, now: Instant) {
        let (now, due) = (self.millis(now), self.due.load(Ordering::Relaxed));
        if now < due {
            return;
        }
        let next = now + millis(INTERVAL);
        if self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let this = Arc::clone(self);
            // Not awaited: it ends with the resolver's answer, or with the runtime.
            tokio::spawn(async move { drop(this.resolve().await) });
        }
    }

    /// Notes the address of a new connection.
    pub(super) fn connected(&self, address: SocketAddr) -> ConnectedAddress {
        ConnectedAddress { address, losses: self.losses.load(Ordering::Relaxed) }
    }

    /// Whether the address of a connection is not gone.
    pub(super) fn has(&self, connected: &mut ConnectedAddress) -> bool {
        let losses = self.losses.load(Ordering::Relaxed);
        if connected.losses == losses {
            return true;
        }
        connected.losses = losses;
        self.known.load().iter().any(|known| known.address == connected.address)
    }

    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let answer = lookup_host((self.host.as_str(), self.port)).await.map(|found| {
            let mut addresses = Vec::new();
            for address in found {
                if addresses.len() < MOST_ADDRESSES && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            addresses
        });
        self.due.store(self.millis(Instant::now()) + millis(INTERVAL), Ordering::Relaxed);
        let answer = answer.and_then(|addresses| {
            if addresses.is_empty() { Err(io::ErrorKind::AddrNotAvailable.into()) } else { Ok(addresses) }
        });
        match answer {
            Ok(addresses) => {
                self.is_failing.store(false, Ordering::Relaxed);
                self.update(&addresses);
                Ok(addresses)
            }
            Err(error) => {
                // Said once. The addresses of the last answer stay in use: a resolver that is down must not stop a
                // backend that runs.
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(host = self.host, %error, "the host name of a target cannot be resolved");
                }
                let known = self.newest();
                if known.is_empty() { Err(error) } else { Ok(known) }
            }
        }
    }

    /// Takes over an answer of the resolver.
    fn update(&self, answer: &[SocketAddr]) {
        let known = self.known.load();
        let mut next: Vec<_> = answer.iter().map(|&address| KnownAddress { address, missed: 0 }).collect();
        let mut has_lost = false;
        for old in known.iter().filter(|old| !answer.contains(&old.address)) {
            let missed = old.missed + 1;
            if missed < ANSWERS_WITHOUT {
                next.push(KnownAddress { missed, ..*old });
            } else {
                has_lost = true;
                tracing::info!(host = self.host, address = %old.address, "an address of a target's host name is gone");
            }
        }
        self.known.store(Arc::new(next));
        if has_lost {
            self.losses.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The addresses of the newest answer.
    fn newest(&self) -> Vec<SocketAddr> {
        self.known.load().iter().filter(|known| known.missed == 0).map(|known| known.address).collect()
    }

    fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.origin))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    #[tokio::test]
    async fn a_connection_to_an_address_that_three_answers_are_without_is_no_longer_good() {
        let name = Addresses::new("app.internal", 80);
        name.update(&[address(1), address(2)]);
        let (mut one, mut two) = (name.connected(address(1)), name.connected(address(2)));
        for _ in 0..2 {
            name.update(&[address(2), address(3)]);
            assert!(name.has(&mut one) && name.has(&mut two));
            assert_eq!(name.current().await.unwrap(), [address(2), address(3)], "new connections follow at once");
        }
        name.update(&[address(2), address(3)]);
        assert!(!name.has(&mut one));
        assert!(name.has(&mut two));
    }

    #[tokio::test]
    async fn an_address_that_only_some_answers_have_stays() {
        let name = Addresses::new("app.internal", 80);
        name.update(&[address(1)]);
        let mut one = name.connected(address(1));
        for round in 0..30 {
            name.update(&[address(if round % 3 == 2 { 1 } else { 2 })]);
            assert!(name.has(&mut one), "{round}");
        }
    }

    #[tokio::test]
    async fn a_name_that_can_no_longer_be_resolved_keeps_its_addresses() {
        let name = Addresses::new("nothing.invalid", 80);
        assert!(name.current().await.is_err());
        name.update(&[address(1)]);
        let mut one = name.connected(address(1));
        for _ in 0..5 {
            assert_eq!(name.resolve().await.unwrap(), [address(1)]);
        }
        assert!(name.has(&mut one));
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_in_use_is_resolved_again_every_five_seconds() {
        let name = Addresses::new("localhost", 80);
        name.resolve().await.unwrap();
        let before = Arc::strong_count(&name);
        name.refresh_if_due(Instant::now() + INTERVAL - Duration::from_millis(1));
        assert_eq!(Arc::strong_count(&name), before, "not due");
        name.refresh_if_due(Instant::now() + INTERVAL);
        assert_eq!(Arc::strong_count(&name), before + 1, "a task resolves it");
        name.refresh_if_due(Instant::now() + INTERVAL);
        assert_eq!(Arc::strong_count(&name), before + 1, "one task at a time");
    }
}
