//! Whether a session's tokens are fresh, due or expired, and whether the session has ended by age. Pure functions of
//! sealed times and the current time.

use std::time::Duration;

use super::{
    grant::{AccessGrant, RefreshGrant, TokenTimes},
    settings::Settings,
};
use crate::{
    authority::{self, Lifetime},
    clock::Timestamp,
    secret::IdToken,
    store::Sid,
};

/// A token that arrives expired or nearly so, because the authority's clock differs, is sent for this time after its
/// receipt, and not refreshed within it.
pub(super) const SETTLING: Duration = Duration::from_secs(5);
/// A token with no more time left at receipt arrives nearly expired, even if that is its whole lifetime.
const LEAST_USE: Duration = Duration::from_secs(1);

/// How fresh an access token is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Freshness {
    /// Valid, and not to be refreshed yet.
    Fresh,
    /// Valid, and to be refreshed ahead of its expiry.
    Due,
    /// Past its expiry.
    Expired,
}

pub(super) fn freshness(grant: &AccessGrant, now: Timestamp) -> Freshness {
    by_times(grant.due_at, grant.expires_at, now)
}

/// How fresh the ID token is, for a request that is to carry it. A refresh that brought none is not made again for its
/// sake: then the access token alone decides.
pub(super) fn id_freshness(grant: &RefreshGrant, now: Timestamp, settings: &Settings) -> Freshness {
    let Some(times) = grant.id.as_ref().map(|id| id.times) else { return Freshness::Fresh };
    let (due_at, expires_at) = (due_at(grant.login.sid, times, Duration::MAX, settings), times.expires_at);
    if grant.issued_at >= due_at { Freshness::Fresh } else { by_times(due_at, expires_at, now) }
}

/// The same without a refresh token: nothing can be refreshed, so it is fresh until it ends, as the access token is.
pub(super) fn lone_id_freshness(access: &AccessGrant, now: Timestamp) -> Freshness {
    let has_ended = access.id.as_ref().is_some_and(|id| id.times.expires_at <= now);
    if has_ended { Freshness::Expired } else { Freshness::Fresh }
}

fn by_times(due_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Freshness {
    if now < due_at {
        Freshness::Fresh
    } else if now < expires_at {
        Freshness::Due
    } else {
        Freshness::Expired
    }
}

/// The times of an ID token received at `received`.
pub(super) fn id_times(token: &IdToken, received: Timestamp) -> TokenTimes {
    times_at_receipt(received, authority::id_token_lifetime(token, received))
}

/// The times of a token received at `received_at`. It arrives nearly expired if less than 5 s are left of it, and these
/// are at most half of its lifetime or 1 s. A short lifetime alone does not make it so.
pub(super) fn times_at_receipt(received_at: Timestamp, lifetime: Lifetime) -> TokenTimes {
    let Lifetime { expires_at, total } = lifetime;
    let left = expires_at.since(received_at);
    let arrived_expired = left < SETTLING && (left * 2 <= total || left <= LEAST_USE);
    let expires_at = if arrived_expired { received_at.plus(SETTLING) } else { expires_at };
    TokenTimes { received_at, expires_at, arrived_expired }
}

/// Whether an access token arrived expired or nearly so, and has just been received: it is not refreshed, whatever the
/// reason.
pub(super) fn is_settling(grant: &AccessGrant, now: Timestamp) -> bool {
    grant.arrived_expired && now < grant.received_at.plus(SETTLING)
}

/// The time from which a token is refreshed ahead: its expiry minus margin × (1 + j), where margin is the lesser of
/// `refresh_ahead` and a fifth of its lifetime, or of the time that was left at receipt. j lies in 0…0.25 and is
/// derived from the `sid`, so that sessions issued together are not refreshed together. At the latest after half of
/// `idle`: the refresh seals a new time, without which a short `idle` would end a session that is in use. A token that
/// arrived expired is due when it is no longer sent.
pub(super) fn due_at(sid: Sid, times: TokenTimes, life: Duration, settings: &Settings) -> Timestamp {
    let TokenTimes { received_at, expires_at, arrived_expired } = times;
    if arrived_expired {
        return expires_at;
    }
    let refresh_ahead = settings.refresh_ahead;
    let margin = refresh_ahead.min(life.min(expires_at.since(received_at)) / 5);
    let jitter = f64::from(u16::from_be_bytes([sid.0[14], sid.0[15]])) / f64::from(u16::MAX) / 4.0;
    let ahead = expires_at.minus(margin.mul_f64(1.0 + jitter));
    ahead.min(received_at.plus(settings.idle / 2))
}

/// True if the login is `absolute` ago or longer.
pub(super) fn is_past_absolute(logged_in_at: Timestamp, now: Timestamp, settings: &Settings) -> bool {
    now.since(logged_in_at) >= settings.absolute
}

/// True if the session has ended by age (`absolute`) or without a refresh (`idle`), judged by its access token.
pub(super) fn has_ended_by_access(grant: &AccessGrant, now: Timestamp, settings: &Settings) -> bool {
    // An unsealed token has neither login nor time of receipt; the refresh token has both.
    grant
        .login
        .as_ref()
        .is_some_and(|login| is_past_absolute(login.at, now, settings) || now.since(grant.received_at) >= settings.idle)
}

/// True if the session has ended by age (`absolute`) or without a refresh (`idle`), judged by its refresh token.
pub(super) fn has_ended_by_refresh(grant: &RefreshGrant, now: Timestamp, settings: &Settings) -> bool {
    is_past_absolute(grant.login.at, now, settings) || now.since(grant.issued_at) >= settings.idle
}

/// When a session ends if nothing uses it: `absolute` after its login, or before that when its refresh token is too old
/// (`idle`) or the browser drops its cookie (`refresh_token_lifetime`).
pub(super) fn end_of(grant: &RefreshGrant, settings: &Settings) -> Timestamp {
    let unused = settings.idle.min(settings.refresh_token_lifetime);
    grant.login.at.plus(settings.absolute).min(grant.issued_at.plus(unused))
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

    fn times(received_at: Timestamp, expires_at: Timestamp) -> TokenTimes {
        TokenTimes { received_at, expires_at, arrived_expired: false }
    }

    #[test]
    fn the_margin_is_a_fifth_of_a_short_lifetime_and_a_minute_of_a_long_one() {
        let ahead = |life: u64| {
            let expires = Timestamp::from_secs(100_000);
            let times = times(Timestamp::default(), expires);
            expires.since(due_at(sid([0, 0]), times, Duration::from_secs(life), &settings())).as_secs()
        };
        assert_eq!([20, 45, 300, 86_400].map(ahead), [4, 9, 60, 60]);
    }

    #[test]
    fn a_token_that_arrives_expired_or_nearly_so_is_sent_and_not_due_for_five_seconds() {
        let received = Timestamp::from_secs(100_000);
        let hour = Duration::from_secs(3600);
        let arrival = |left: i64, total| {
            let expires_at = Timestamp::from_millis(100_000_000 + left);
            let times = times_at_receipt(received, Lifetime { expires_at, total });
            let due = due_at(sid([255, 255]), times, total, &settings());
            (times.arrived_expired, times.expires_at.since(received), due.since(received))
        };
        let whole = Duration::from_secs(1);
        for (left, total) in
            [(-120_000, hour), (0, hour), (1999, hour), (4999, hour), (0, Duration::ZERO), (1000, whole)]
        {
            assert_eq!(arrival(left, total), (true, SETTLING, SETTLING), "{left}");
        }
        for (left, total) in [(5000, hour), (4000, Duration::from_secs(4)), (1200, Duration::from_secs(2))] {
            let (arrived_expired, end, due) = arrival(left, total);
            assert_eq!((arrived_expired, end.as_millis()), (false, u128::try_from(left).unwrap()));
            assert!(due < end, "a short lifetime has a margin like any other");
        }
    }

    #[test]
    fn the_margin_is_taken_from_the_time_left_at_receipt() {
        let received = Timestamp::from_secs(100_000);
        let due = |left: u64| {
            let times = times(received, received.plus(Duration::from_secs(left)));
            due_at(sid([0, 0]), times, Duration::from_secs(3600), &settings()).since(received).as_secs()
        };
        assert_eq!([10, 100, 3600].map(due), [8, 80, 3540]);
    }

    #[test]
    fn a_session_is_refreshed_after_half_of_idle_at_the_latest() {
        let times = times(Timestamp::from_secs(0), Timestamp::from_secs(86_400));
        let short = Settings { idle: Duration::from_secs(900), ..settings() };
        assert_eq!(due_at(sid([0, 0]), times, Duration::from_secs(86_400), &short), Timestamp::from_secs(450));
    }

    #[test]
    fn the_jitter_makes_the_margin_at_most_a_quarter_longer() {
        let expires = Timestamp::from_secs(100_000);
        let times = times(Timestamp::default(), expires);
        let ahead = |end| expires.since(due_at(sid(end), times, Duration::from_secs(3600), &settings()));
        assert_eq!(ahead([0, 0]), AHEAD);
        assert_eq!(ahead([255, 255]), Duration::from_secs(75));
        assert_eq!(ahead([10, 3]), ahead([10, 3]));
    }
}
