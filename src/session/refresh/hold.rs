//! The hold of one refresh token after failed calls: the time until the authority is asked for it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{backoff::Backoff, clock::Timestamp, secret::Random, session::check::SETTLING};

/// The waits before a refresh token is sent again: 1, 2, 4 … 30 s, each with jitter.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
/// Calls in a row that were not sent after which the next one waits too, so that one instance without a route to the
/// authority does not try all the time.
const UNSENT_WITHOUT_WAIT: u32 = 2;
/// The longest hold by a `Retry-After`: a session whose authority asks for more is tried again after an hour.
const LONGEST: Duration = Duration::from_secs(3600);
/// A hold is remembered this much longer than it lasts: a failure within this time counts as one more in a row.
pub(super) const REMEMBERED: Duration = Duration::from_secs(60);

/// Why a call gave no tokens; refusals are no [`CallFailure`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CallFailure {
    /// The answer has no tokens and is no refusal (5xx, not readable).
    BadAnswer,
    /// The call was sent and not answered: the refresh token may be spent.
    Unanswered,
    /// The call was not sent: the next one needs no wait.
    Unsent,
    /// The answer has the access token of before, which has ended. It concerns this session alone.
    EndedToken,
    /// 429, with the wait in its `Retry-After`, of which an hour counts. It concerns this session alone.
    TooMany(Option<Duration>),
}

/// The hold of one refresh token. Times are of the store's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Hold {
    /// The refresh token is not sent before.
    pub(super) until: Timestamp,
    /// When the call failed.
    pub(super) set_at: Timestamp,
    /// Failed calls in a row, this one included.
    pub(super) failures: u32,
    /// Whether it concerns this session alone: then no success of another session ends the hold.
    pub(super) is_own: bool,
}

impl Hold {
    /// The hold after a failed call; `previous` is that of the failures in a row before it.
    pub(super) fn after(previous: Option<Self>, failure: CallFailure, now: Timestamp, random: &Random) -> Self {
        let before = previous.map_or(0, |hold| hold.failures);
        let backoff = BACKOFF.wait(before, random);
        let wait = match failure {
            CallFailure::BadAnswer | CallFailure::Unanswered => backoff,
            CallFailure::EndedToken => backoff.max(SETTLING),
            CallFailure::Unsent if before < UNSENT_WITHOUT_WAIT => Duration::ZERO,
            CallFailure::Unsent => BACKOFF.wait(0, random),
            CallFailure::TooMany(stated) => stated.filter(|wait| !wait.is_zero()).unwrap_or(backoff).min(LONGEST),
        };
        Self {
            until: now.plus(wait),
            set_at: now,
            failures: before.saturating_add(1),
            is_own: matches!(failure, CallFailure::TooMany(_) | CallFailure::EndedToken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn waits(failure: CallFailure, random: &Random) -> [u128; 7] {
        let mut hold = None;
        [(); 7].map(|()| hold.insert(Hold::after(hold, failure, at(0), random)).until.since(at(0)).as_millis())
    }

    #[test]
    fn a_token_whose_calls_fail_waits_1_2_4_up_to_30_seconds_less_a_quarter_at_most() {
        for failure in [CallFailure::BadAnswer, CallFailure::Unanswered, CallFailure::TooMany(None)] {
            let longest = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
            assert_eq!(waits(failure, &Random::repeated(255)), longest, "{failure:?}");
            assert_eq!(waits(failure, &Random::repeated(0)), longest.map(|wait| wait * 3 / 4), "{failure:?}");
        }
    }

    #[test]
    fn a_429_waits_for_its_retry_after_and_an_hour_at_most() {
        let wait = CallFailure::TooMany(Some(Duration::from_secs(17)));
        assert_eq!(waits(wait, &Random::system()), [17_000; 7]);
        assert_eq!(waits(CallFailure::TooMany(Some(Duration::MAX)), &Random::system()), [3_600_000; 7]);
        assert_eq!(waits(CallFailure::TooMany(Some(Duration::ZERO)), &Random::repeated(255))[0], 1000);
    }

    #[test]
    fn after_an_answer_with_an_ended_token_the_next_is_asked_for_after_five_seconds_at_the_earliest() {
        let waits = waits(CallFailure::EndedToken, &Random::repeated(255));
        assert_eq!(waits, [5000, 5000, 5000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn after_a_call_that_was_not_sent_the_next_is_made_at_once_and_the_third_in_a_row_after_a_second() {
        assert_eq!(waits(CallFailure::Unsent, &Random::repeated(255)), [0, 0, 1000, 1000, 1000, 1000, 1000]);
    }
}
