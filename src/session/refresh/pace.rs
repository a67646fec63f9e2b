//! How often the authority is asked during its outage: once a second in all, and for each refresh token after a wait
//! that doubles while its calls stay unanswered. These waits have jitter, so that the instances of a fleet do not ask
//! at the same moment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{backoff::Backoff, clock::Timestamp, secret::Random, store::Digest};

/// Shortest time between two calls to an authority in an outage, over all refresh tokens.
const PACE: Duration = Duration::from_secs(1);
/// The waits before a refresh token is sent again after a call without an answer: it may be spent.
const BACKOFF: Backoff = Backoff::new(PACE, Duration::from_secs(30));
/// Refresh tokens whose waits are remembered. Beyond this number only [`PACE`] applies.
const MOST_TOKENS: usize = 100_000;

/// Delays refreshes during an outage of the authority: from a failed call that was sent until a successful one.
#[derive(Debug, Default)]
pub(crate) struct AuthorityPace {
    outage: Mutex<Outage>,
}

#[derive(Debug, Default)]
struct Outage {
    /// When the authority was last asked since the outage began; `None`: there is no outage.
    last_asked: Option<Timestamp>,
    tokens: HashMap<Digest, TokenWait>,
}

/// The wait of one refresh token.
#[derive(Clone, Copy, Debug)]
struct TokenWait {
    until: Timestamp,
    /// Number of calls in a row that were not answered.
    unanswered: u32,
}

/// Why a call gave no tokens; refusals are no [`CallFailure`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CallFailure {
    /// The answer has no tokens and is no refusal (5xx, 429, not readable).
    BadAnswer,
    /// The call was sent and not answered: the refresh token may be spent.
    Unanswered,
    /// The call was not sent: the next one needs no wait.
    Unsent,
}

impl AuthorityPace {
    /// Time until the authority may be asked for `rt`. Zero: it may be asked now, and during an outage the call counts.
    pub(super) fn wait(&self, rt: Digest, now: Timestamp) -> Duration {
        let mut outage = self.outage();
        let of_token = outage.tokens.get(&rt).map_or(Duration::ZERO, |token| token.until.since(now));
        let of_authority = outage.last_asked.map_or(Duration::ZERO, |asked| asked.plus(PACE).since(now));
        let wait = of_token.max(of_authority);
        if wait.is_zero() && outage.last_asked.is_some() {
            outage.last_asked = Some(now);
        }
        wait
    }

    /// Records a failed call and returns the wait before the next one.
    pub(super) fn failed(&self, rt: Digest, failure: CallFailure, now: Timestamp, random: &Random) -> Duration {
        let mut outage = self.outage();
        let unanswered = outage.tokens.get(&rt).map_or(0, |token| token.unanswered);
        let (wait, unanswered) = match failure {
            CallFailure::Unsent => return PACE,
            // `Retry-After` is not used: after the authority's recovery the next try must come within two seconds.
            CallFailure::BadAnswer => (PACE, 0),
            CallFailure::Unanswered => (BACKOFF.wait(unanswered, random), unanswered.saturating_add(1)),
        };
        outage.last_asked = Some(now);
        if outage.tokens.len() >= MOST_TOKENS {
            outage.tokens.retain(|_, token| token.until > now);
        }
        if outage.tokens.len() < MOST_TOKENS {
            outage.tokens.insert(rt, TokenWait { until: now.plus(wait), unanswered });
        }
        wait
    }

    /// Records a successful refresh: the outage is over for all refresh tokens.
    pub(super) fn refreshed(&self) {
        *self.outage() = Outage::default();
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RT: Digest = Digest([1; 32]);
    const OTHER: Digest = Digest([2; 32]);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_token_whose_calls_stay_unanswered_waits_1_2_4_up_to_30_seconds_less_a_quarter_at_most() {
        for (random, expected) in [
            (Random::repeated(255), [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]),
            (Random::repeated(0), [750, 1500, 3000, 6000, 12_000, 22_500, 22_500]),
        ] {
            let pace = AuthorityPace::default();
            let waits = [(); 7].map(|()| pace.failed(RT, CallFailure::Unanswered, at(0), &random).as_millis());
            assert_eq!(waits, expected);
        }
    }

    #[test]
    fn an_authority_in_an_outage_is_asked_once_a_second_for_all_refresh_tokens() {
        let pace = AuthorityPace::default();
        assert_eq!(pace.wait(RT, at(0)), Duration::ZERO);
        pace.failed(RT, CallFailure::BadAnswer, at(0), &Random::system());
        assert_eq!(pace.wait(OTHER, at(400)), Duration::from_millis(600));
        assert_eq!(pace.wait(OTHER, at(1000)), Duration::ZERO);
        assert_eq!(pace.wait(RT, at(1000)), Duration::from_secs(1));
        pace.refreshed();
        assert_eq!(pace.wait(RT, at(1001)), Duration::ZERO);
    }

    #[test]
    fn after_a_call_that_was_not_sent_the_next_is_made_at_once() {
        let pace = AuthorityPace::default();
        pace.failed(RT, CallFailure::Unsent, at(0), &Random::system());
        assert_eq!(pace.wait(RT, at(0)), Duration::ZERO);
    }
}
