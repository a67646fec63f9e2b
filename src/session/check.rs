//! What a session's tokens are worth at a moment: pure functions of sealed times and now.

use std::time::Duration;

use super::{AccessGrant, RefreshGrant, Settings};
use crate::{clock::Timestamp, store::Sid};

/// An access token that arrives already expired (a skewed clock) is used, and not refreshed again, for this long.
pub(super) const EXPIRED_ON_ARRIVAL: Duration = Duration::from_secs(5);

/// What an access token is worth now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Good, and not to be refreshed yet.
    Live,
    /// Good, inside its margin: to be refreshed ahead.
    Due,
    /// Past its expiry.
    Expired,
}

pub(super) fn standing(grant: &AccessGrant, now: Timestamp) -> Standing {
    if now < grant.due_at {
        Standing::Live
    } else if now < grant.expires_at {
        Standing::Due
    } else {
        Standing::Expired
    }
}

/// Expiry − margin × (1 + j), margin = min(`refresh_ahead`, life / 5); j in 0…0.25 is stable for a `sid`, so that sessions issued together do not refresh together. A
/// session in use is refreshed after half of `idle` at the latest, which seals a new time: else a short `idle` would end it in the middle of its use.
pub(super) fn due_at(
    sid: Sid,
    received_at: Timestamp,
    expires_at: Timestamp,
    life: Duration,
    settings: &Settings,
) -> Timestamp {
    let refresh_ahead = settings.refresh_ahead;
    let margin = refresh_ahead.min(life / 5);
    let jitter = f64::from(u16::from_be_bytes([sid.0[14], sid.0[15]])) / f64::from(u16::MAX) / 4.0;
    expires_at.minus(margin.mul_f64(1.0 + jitter)).min(received_at.plus(settings.idle / 2))
}

/// True where the session is past `absolute` since its login.
pub(super) fn is_past_absolute(logged_in_at: Timestamp, now: Timestamp, settings: &Settings) -> bool {
    now.since(logged_in_at) >= settings.absolute
}

/// True where the session has lived, or gone without a refresh, for too long by what its access token says.
pub(super) fn is_over_by_access(grant: &AccessGrant, now: Timestamp, settings: &Settings) -> bool {
    // A raw token does not tell when it was received; its refresh token does.
    grant
        .login
        .as_ref()
        .is_some_and(|login| is_past_absolute(login.at, now, settings) || now.since(grant.received_at) >= settings.idle)
}

/// True where the refresh token has been idle, or the session has lived, for too long.
pub(super) fn is_over(grant: &RefreshGrant, now: Timestamp, settings: &Settings) -> bool {
    is_past_absolute(grant.login.at, now, settings) || now.since(grant.issued_at) >= settings.idle
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: Duration = Duration::from_secs(60);

    fn settings() -> Settings {
        crate::session::test_settings("https://app.example")
    }

    fn sid(end: [u8; 2]) -> Sid {
        let mut sid = [0; 16];
        sid[14..].copy_from_slice(&end);
        Sid(sid)
    }

    #[test]
    fn the_margin_is_a_fifth_of_a_short_life_and_a_minute_of_a_long_one() {
        let ahead = |life: u64| {
            let expires = Timestamp::from_secs(100_000);
            expires
                .since(due_at(sid([0, 0]), Timestamp::default(), expires, Duration::from_secs(life), &settings()))
                .as_secs()
        };
        assert_eq!([20, 45, 300, 86_400].map(ahead), [4, 9, 60, 60]);
    }

    #[test]
    fn a_session_in_use_is_refreshed_before_it_would_have_idled() {
        let (received, expires) = (Timestamp::from_secs(0), Timestamp::from_secs(86_400));
        let short = Settings { idle: Duration::from_secs(900), ..settings() };
        assert_eq!(
            due_at(sid([0, 0]), received, expires, Duration::from_secs(86_400), &short),
            Timestamp::from_secs(450)
        );
    }

    #[test]
    fn the_jitter_makes_the_margin_at_most_a_quarter_longer() {
        let expires = Timestamp::from_secs(100_000);
        let ahead = |end| {
            expires.since(due_at(sid(end), Timestamp::default(), expires, Duration::from_secs(3600), &settings()))
        };
        assert_eq!(ahead([0, 0]), AHEAD);
        assert_eq!(ahead([255, 255]), Duration::from_secs(75));
        assert_eq!(ahead([10, 3]), ahead([10, 3]));
    }
}
