//! Limits on wrong guesses: per client for all endpoints that check a secret, and per account for passwords.
//!
//! A guess is counted before the check, so that parallel guesses are counted too, and given back unless it was wrong.

use super::{
    counts::{CountError, Counts, Rate},
    spelling,
};
use crate::{
    client::ClientKey,
    clock::{Clock, Timestamp},
    seal::MacKey,
    store::{Quota, Store},
};

/// Clients of one IPv6 /48 that may each use up their limit of wrong guesses within a window.
const CLIENTS_OF_A_SITE: u32 = 16;

/// `[limits] failures_…`, validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GuessLimits {
    /// Wrong guesses of one client, at all endpoints together.
    pub per_client: Rate,
    /// Wrong passwords for one account, of all clients together.
    pub per_account: Rate,
}

/// A guess that counts as wrong until it is given back.
#[must_use = "a guess that was not wrong must be given back with `Guesses::give_back`"]
#[derive(Debug)]
pub struct Guess {
    quotas: Vec<Quota>,
    /// The time of the count; giving it back concerns the window of this time.
    at: Timestamp,
}

/// The counts of wrong guesses, shared by all instances.
pub struct Guesses {
    limits: GuessLimits,
    counts: Counts,
    clock: Clock,
}

impl Guesses {
    /// Counts in `store`, under digests keyed with `key`.
    pub fn new(limits: GuessLimits, store: &Store, key: MacKey, clock: Clock) -> Self {
        Self { limits, counts: Counts::new(store, key), clock }
    }

    /// Counts a guess of a client as wrong. The clients of an IPv6 /48, which one site may have alone, share a limit of
    /// [`CLIENTS_OF_A_SITE`] clients.
    pub async fn of_client(&self, client: ClientKey) -> Result<Guess, CountError> {
        let limit = self.limits.per_client;
        let mut quotas = vec![self.counts.quota(&[b"failures", b"client", client.bytes()], limit)];
        if let ClientKey::V6(_) = client {
            let of_site = Rate { most: limit.most.saturating_mul(CLIENTS_OF_A_SITE), ..limit };
            quotas.push(self.counts.quota(&[b"failures", b"site", client.network()], of_site));
        }
        self.count(quotas).await
    }

    /// Counts a guess at the password of an account as wrong. All [spellings](spelling) of its name count together.
    pub async fn at_account(&self, name: &str) -> Result<Guess, CountError> {
        let name = spelling::folded(name);
        let quota = self.counts.quota(&[b"failures", b"account", name.as_bytes()], self.limits.per_account);
        self.count(vec![quota]).await
    }

    /// Undoes the count of a guess that was not wrong or was not checked.
    pub async fn give_back(&self, guess: Guess) {
        self.counts.give_back(guess.quotas, guess.at, self.clock.now()).await;
    }

    async fn count(&self, quotas: Vec<Quota>) -> Result<Guess, CountError> {
        let at = self.clock.now();
        self.counts.spend(quotas.clone(), at).await?;
        Ok(Guess { quotas, at })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        seal::{KeyRing, SealKey},
        secret::Random,
        store::MemoryStore,
    };

    fn guesses(clock: &Clock) -> Guesses {
        let key = SealKey([7; 32].into());
        let hour = |most| Rate { most, window: Duration::from_secs(3600) };
        let limits = GuessLimits { per_client: hour(3), per_account: hour(2) };
        let key = KeyRing::new(&[key], Random::system()).mac_key();
        Guesses::new(limits, &MemoryStore::shared(), key, clock.clone())
    }

    fn client(text: &str) -> ClientKey {
        ClientKey::of(text.parse().unwrap())
    }

    #[tokio::test]
    async fn a_client_is_refused_after_its_limit_of_wrong_guesses_until_the_window_has_passed() {
        let clock = Clock::movable();
        let guesses = guesses(&clock);
        for address in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
            let _wrong = guesses.of_client(client(address)).await.unwrap();
        }
        let Err(CountError::TooMany(wait)) = guesses.of_client(client("2001:db8::4")).await else {
            panic!("a fourth guess is counted");
        };
        let _other = guesses.of_client(client("2001:db8:0:1::1")).await.unwrap();
        clock.advance(wait);
        let _later = guesses.of_client(client("2001:db8::1")).await.unwrap();
    }

    #[tokio::test]
    async fn the_clients_of_an_ipv6_48_share_the_limit_of_16() {
        let guesses = guesses(&Clock::movable());
        for number in 0..48 {
            let _wrong = guesses.of_client(client(&format!("2001:db8:7:{number}::1"))).await.unwrap();
        }
        let refused = guesses.of_client(client("2001:db8:7:ffff::1")).await;
        assert!(matches!(refused, Err(CountError::TooMany(_))));
        let _other = guesses.of_client(client("2001:db8:8:1::1")).await.unwrap();
        let _other = guesses.of_client(client("192.0.2.7")).await.unwrap();
    }

    #[tokio::test]
    async fn guesses_that_are_given_back_do_not_count() {
        let guesses = guesses(&Clock::movable());
        for _ in 0..10 {
            let guess = guesses.of_client(client("192.0.2.7")).await.unwrap();
            guesses.give_back(guess).await;
        }
    }

    #[tokio::test]
    async fn a_guess_given_back_in_a_later_window_does_not_lower_that_windows_count() {
        let clock = Clock::movable();
        let guesses = guesses(&clock);
        let slow = guesses.of_client(client("192.0.2.7")).await.unwrap();
        clock.advance(Duration::from_secs(3600));
        for _ in 0..2 {
            let _wrong = guesses.of_client(client("192.0.2.7")).await.unwrap();
        }
        assert!(matches!(guesses.of_client(client("192.0.2.7")).await, Err(CountError::TooMany(_))));
        guesses.give_back(slow).await;
        assert!(matches!(guesses.of_client(client("192.0.2.7")).await, Err(CountError::TooMany(_))));
    }

    #[tokio::test]
    async fn an_account_is_the_same_however_its_name_is_written() {
        let guesses = guesses(&Clock::movable());
        for name in ["Mina@Example.test", " m\u{131}na\u{ff20}example\u{3002}test. "] {
            let _wrong = guesses.at_account(name).await.unwrap();
        }
        assert!(matches!(guesses.at_account("mina@example.test").await, Err(CountError::TooMany(_))));
        let _other = guesses.at_account("jun@example.test").await.unwrap();
    }
}
