//! Limits how many forged access tokens of a client this instance verifies. A client can send one only with
//! `seal = false`.
//!
//! A token that was found forged is remembered: a sibling host of the site can set a cookie for ours, which the browser
//! then sends with every request, and that must cost the others of its network nothing.
//!
//! The budgets are in memory, not in the store: counting must cost less than the signature check that it saves. A
//! client without budget keeps its cookies, because others with genuine tokens may share its address; tokens that were
//! verified before are still accepted.

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::digest::digest_of;
use crate::{client::ClientKey, clock::Timestamp, store::Digest};

/// Forged tokens that are verified for one client at once.
const BUDGET: u32 = 100;
/// After this time the budget grows by one token.
const REFILL: Duration = Duration::from_secs(1);
/// Most clients in each of the two maps of [`Budgets`].
const MOST_CLIENTS: usize = 16 << 10;

/// Most forged tokens in each of the two sets of [`KnownForged`].
const MOST_KNOWN: usize = 16 << 10;

/// The budget of forged tokens of each client.
#[derive(Default)]
pub(super) struct ForgedTokens {
    budgets: Mutex<Budgets>,
    known: Mutex<KnownForged>,
}

/// Digests of tokens that were found forged. At [`MOST_KNOWN`] entries `recent` replaces `older`.
#[derive(Default)]
struct KnownForged {
    recent: HashSet<Digest>,
    older: HashSet<Digest>,
}

/// When each client's budget is full again. At [`MOST_CLIENTS`] entries `recent` replaces `older`, whose entries are
/// dropped.
#[derive(Default)]
struct Budgets {
    recent: HashMap<ClientKey, Timestamp>,
    older: HashMap<ClientKey, Timestamp>,
}

impl ForgedTokens {
    /// Time until a token of `client` is verified again; `None` if one may be verified now.
    pub(super) fn wait(&self, client: ClientKey, now: Timestamp) -> Option<Duration> {
        let wait = self.budgets().time_to_full(client, now).saturating_sub(REFILL * (BUDGET - 1));
        (!wait.is_zero()).then_some(wait)
    }

    /// Whether this token was found forged before: it needs no check, and does not count again.
    pub(super) fn knows(&self, token: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.recent.is_empty() && known.older.is_empty() {
            return false;
        }
        let token = digest_of(&[token]);
        known.recent.contains(&token) || known.older.contains(&token)
    }

    /// Counts a forged token of `client`.
    pub(super) fn count(&self, client: ClientKey, token: &[u8], now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.recent.len() >= MOST_KNOWN {
            known.older = mem::take(&mut known.recent);
        }
        known.recent.insert(digest_of(&[token]));
        drop(known);
        let mut budgets = self.budgets();
        let full_at = now.plus(budgets.time_to_full(client, now) + REFILL);
        if budgets.recent.len() >= MOST_CLIENTS && !budgets.recent.contains_key(&client) {
            budgets.older = mem::take(&mut budgets.recent);
        }
        budgets.recent.insert(client, full_at);
    }

    fn budgets(&self) -> std::sync::MutexGuard<'_, Budgets> {
        self.budgets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Budgets {
    /// Time until this client's budget is full again; capped, so that a clock that is set back cannot lock it out.
    fn time_to_full(&self, client: ClientKey, now: Timestamp) -> Duration {
        let full_at = self.recent.get(&client).or_else(|| self.older.get(&client));
        full_at.map_or(Duration::ZERO, |at| at.since(now)).min(REFILL * BUDGET)
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
    fn of_one_client_100_forged_tokens_are_verified_and_then_one_each_second() {
        let tokens = ForgedTokens::default();
        let (full, other) = (client("192.0.2.7"), client("192.0.2.8"));
        for _ in 0..BUDGET {
            assert_eq!(tokens.wait(full, NOW), None);
            tokens.count(full, b"forged", NOW);
        }
        assert_eq!(tokens.wait(full, NOW), Some(REFILL));
        assert_eq!(tokens.wait(client("::ffff:192.0.2.7"), NOW), Some(REFILL), "the same client");
        assert_eq!(tokens.wait(other, NOW), None);
        let mut checked = 0;
        for tenth in 0..600 {
            let now = NOW.plus(Duration::from_millis(100 * tenth));
            if tokens.wait(full, now).is_none() {
                checked += 1;
                tokens.count(full, b"forged", now);
            }
        }
        assert_eq!(checked, 59);
        assert_eq!(tokens.wait(full, NOW.plus(Duration::from_secs(200))), None);
    }

    #[test]
    fn the_addresses_of_one_ipv6_64_share_one_budget() {
        let tokens = ForgedTokens::default();
        for host in 0..u16::try_from(BUDGET).unwrap() {
            tokens.count(ClientKey::of(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, host).into()), b"forged", NOW);
        }
        assert!(tokens.wait(client("2001:db8:0:1:ffff::"), NOW).is_some());
        assert!(tokens.wait(client("2001:db8:0:2::"), NOW).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_no_client_out() {
        let tokens = ForgedTokens::default();
        tokens.count(client("192.0.2.7"), b"forged", NOW.plus(Duration::from_secs(86400)));
        assert!(tokens.wait(client("192.0.2.7"), NOW).is_some_and(|wait| wait <= REFILL));
    }

    #[test]
    fn the_number_of_clients_is_bounded_and_the_latest_ones_stay() {
        let tokens = ForgedTokens::default();
        let subscriber = |n: u32| ClientKey::of(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(n) << 64).into());
        for n in 0..200_000 {
            tokens.count(subscriber(n), &n.to_be_bytes(), NOW);
            // A client that continues is never dropped.
            tokens.count(subscriber(u32::MAX), b"forged", NOW);
        }
        let budgets = tokens.budgets();
        assert!(budgets.recent.len() <= MOST_CLIENTS && budgets.older.len() <= MOST_CLIENTS);
        drop(budgets);
        assert!(tokens.wait(subscriber(u32::MAX), NOW).is_some());
        assert_eq!(tokens.budgets().time_to_full(subscriber(199_999), NOW), REFILL);
        assert_eq!(tokens.budgets().time_to_full(subscriber(0), NOW), Duration::ZERO);
        let known = tokens.known.lock().unwrap();
        assert!(known.recent.len() <= MOST_KNOWN && known.older.len() <= MOST_KNOWN);
    }

    #[test]
    fn a_token_found_forged_is_known_afterwards() {
        let tokens = ForgedTokens::default();
        assert!(!tokens.knows(b"forged"));
        tokens.count(client("192.0.2.7"), b"forged", NOW);
        assert!(tokens.knows(b"forged") && !tokens.knows(b"another"));
    }
}
