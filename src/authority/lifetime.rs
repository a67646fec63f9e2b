//! The lifetime of a token by our clock, also if the authority's clock differs or its numbers cannot be.
//!
//! An authority states a lifetime in `expires_in` and in the claims `iat` and `exp`. What is written there is not
//! always what the standards say: [`stated`] and [`date`] take an epoch, milliseconds, a date or a text for what they
//! are, and ignore what is none of these.

use std::time::Duration;

use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::Timestamp,
    oidc::{self, Claims},
    secret::{AccessToken, IdToken},
};

/// The lifetime of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// Expiry by our clock; in the past if the token arrived expired.
    pub expires_at: Timestamp,
    /// Its whole lifetime, at most 400 days.
    pub total: Duration,
}

/// A value that states no lifetime, for the log: it is ignored.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[error("`{0}` is no lifetime and no time that can be")]
pub(super) struct NoLife(pub(super) Value);

/// The lifetime of an ID token received at `received`, from its claims.
pub fn id_token_lifetime(token: &IdToken, received: Timestamp) -> Lifetime {
    of_claims(&oidc::claims_as_received(token.expose()).unwrap_or_default(), None, received)
}

/// The lifetime that `expires_in` states at `received`; zero for a time that has just passed. `None`: it is absent.
///
/// A number, or a number as text, is in seconds. Over 10 years it is a time: an epoch in seconds, else in milliseconds,
/// if that is within a day ago and 10 years ahead; else it is in milliseconds. A text may also be a date of RFC 3339,
/// or a duration like `15m`. Zero, a negative number, and anything else is no lifetime.
pub(super) fn stated(value: &Value, received: Timestamp) -> Result<Option<Duration>, NoLife> {
    let life = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64().and_then(|number| of_number(number, received)),
        Value::String(text) => of_text(text.trim(), received),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    life.map(|life| Some(life.min(LONGEST))).ok_or_else(|| NoLife(value.clone()))
}

/// The claims `iat` and `exp` that are no time, for the log.
pub(super) fn claims_without_meaning(claims: &Claims) -> Option<NoLife> {
    ["exp", "iat"].iter().find_map(|name| {
        let value = claims.get(*name).filter(|value| !value.is_null())?;
        date(value).is_none().then(|| NoLife(value.clone()))
    })
}

fn of_number(number: f64, received: Timestamp) -> Option<Duration> {
    if number.is_nan() || number <= 0.0 {
        return None;
    }
    if number <= TEN_YEARS.as_secs_f64() {
        return Some(Duration::from_secs_f64(number));
    }
    let until = |millis: f64| life_until(timestamp(millis)?, received);
    until(number * 1000.0)
        .or_else(|| until(number))
        .or_else(|| (number <= TEN_YEARS.as_secs_f64() * 1000.0).then(|| Duration::from_secs_f64(number / 1000.0)))
}

fn of_text(text: &str, received: Timestamp) -> Option<Duration> {
    if let Ok(number) = text.parse() {
        return of_number(number, received);
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        let time = Timestamp::from_millis(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?);
        return (time >= received.minus(A_DAY)).then(|| time.since(received));
    }
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let millis = match unit.to_ascii_lowercase().as_str() {
        "ms" => 1.0,
        "s" | "sec" => 1000.0,
        "m" | "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        "w" => 604_800_000.0,
        _ => return None,
    };
    let millis = number.trim().parse::<f64>().ok()? * millis;
    (millis > 0.0 && millis.is_finite()).then(|| Duration::from_secs_f64((millis / 1000.0).min(LONGEST.as_secs_f64())))
}

/// The time from receipt to a moment within a day ago and 10 years ahead.
fn life_until(moment: Timestamp, received: Timestamp) -> Option<Duration> {
    (received.minus(A_DAY)..=received.plus(TEN_YEARS)).contains(&moment).then(|| moment.since(received))
}

/// The moment so many milliseconds after the Unix epoch; `None` past the year 9999.
fn timestamp(millis: f64) -> Option<Timestamp> {
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    (0.0..YEAR_10000_MILLIS).contains(&millis).then(|| Timestamp::from_millis(millis as i64))
}

/// The lifetime of a token received at `received`: `exp − iat` if it is a JWT, else `expires_in`, else the time from
/// receipt to `exp`, else one hour.
///
/// It is counted from receipt, which does not depend on the authority's clock, if the token is new at receipt: `iat` is
/// in our future, or `expires_in` gives it its whole lifetime, or the token itself states none. Otherwise it may be
/// older, and `exp` counts. If both ends differ by at most 5 s, the clocks agree and the earlier one counts, because
/// `exp` has whole seconds.
pub fn lifetime(access_token: &AccessToken, expires_in: Option<Duration>, received: Timestamp) -> Lifetime {
    of_claims(&oidc::claims_as_received(access_token.expose()).unwrap_or_default(), expires_in, received)
}

/// Whether the token itself names its end: then it has no new one when it is issued again.
pub fn names_its_end(access_token: &AccessToken) -> bool {
    oidc::claims_as_received(access_token.expose()).is_some_and(|claims| claims.get("exp").and_then(date).is_some())
}

fn of_claims(claims: &Claims, expires_in: Option<Duration>, received: Timestamp) -> Lifetime {
    let (issued, expires) = (claims.get("iat").and_then(date), claims.get("exp").and_then(date));
    let stated = issued.zip(expires).filter(|(issued, expires)| expires > issued).map(|(i, e)| e.since(i));
    let total =
        stated.or(expires_in).or(expires.map(|expires| expires.since(received))).unwrap_or(DEFAULT).min(LONGEST);
    let clock_ahead = issued.is_some_and(|issued| issued > received);
    let is_new = clock_ahead
        || expires_in.is_some_and(|span| stated.is_none_or(|stated| span.saturating_add(SAME_CLOCK) >= stated));
    let end = received.plus(total);
    let expires_at = match expires {
        None => end,
        Some(expires) if is_new && end.since(expires).max(expires.since(end)) > SAME_CLOCK => end,
        Some(expires) if is_new => end.min(expires),
        Some(expires) => expires.min(received.plus(LONGEST)),
    };
    Lifetime { expires_at, total }
}

/// Two ends that differ by no more than this are of clocks that agree.
const SAME_CLOCK: Duration = Duration::from_secs(5);
/// The lifetime of a token for which neither claims nor `expires_in` state one.
const DEFAULT: Duration = Duration::from_secs(3600);
/// 400 days: browsers keep no cookie longer, and the token is sealed in one.
const LONGEST: Duration = Duration::from_secs(400 * 86400);

const TEN_YEARS: Duration = Duration::from_secs(3650 * 86400);
const A_DAY: Duration = Duration::from_secs(86400);
/// The start of the year 10000, in milliseconds since the Unix epoch.
const YEAR_10000_MILLIS: f64 = 253_402_300_800_000.0;

/// A NumericDate (RFC 7519 section 2), as a number or as text; in milliseconds if it were past the year 9999 in
/// seconds. Also a date of RFC 3339. `None`: zero, a negative number, or no time at all.
fn date(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => {
            if let Ok(time) = OffsetDateTime::parse(text.trim(), &Rfc3339) {
                return Some(Timestamp::from_secs(time.unix_timestamp()));
            }
            text.trim().parse().ok()?
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(number)
        .filter(|number| *number > 0.0)
        .and_then(|number| timestamp(number * 1000.0).or_else(|| timestamp(number)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::oidc::fake::b64;

    const NOW: i64 = 1_800_000_000;

    fn of(claims: &Value, expires_in: Option<u64>) -> (i64, u64) {
        let token = AccessToken::new(format!("e30.{}.x", b64(claims.to_string().as_bytes())));
        let lifetime = lifetime(&token, expires_in.map(Duration::from_secs), Timestamp::from_secs(NOW));
        (lifetime.expires_at.as_secs() - NOW, lifetime.total.as_secs())
    }

    #[test]
    fn the_lifetime_is_from_the_claims_else_from_expires_in_else_one_hour() {
        for (claims, expires_in, expected) in [
            (json!({"iat": NOW, "exp": NOW + 900}), Some(900), (900, 900)),
            (json!({"iat": NOW, "exp": NOW + 900}), None, (900, 900)),
            (json!({"exp": NOW + 900}), Some(600), (600, 600)),
            (json!({"exp": NOW + 900}), None, (900, 900)),
            (json!({}), Some(600), (600, 600)),
            (json!({}), None, (3600, 3600)),
            (json!({"iat": NOW, "exp": "soon"}), None, (3600, 3600)),
            (json!({"iat": 5, "exp": "soon"}), Some(70), (70, 70)),
            (json!({"iat": NOW + 900, "exp": NOW}), Some(60), (60, 60)),
            (json!({"iat": NOW, "exp": NOW + 20}), Some(3600), (20, 20)),
            (json!({"iat": NOW - 1, "exp": NOW + 899}), Some(900), (899, 900)),
            (json!({"iat": NOW, "exp": NOW + 3600}), Some(60), (3600, 3600)),
            (json!({"iat": NOW, "exp": NOW + 3600}), Some(3599), (3600, 3600)),
            (json!({"iat": NOW - 3540, "exp": NOW + 60}), Some(60), (60, 3600)),
            (json!({"iat": NOW - 100, "exp": NOW + 3500}), Some(60), (3500, 3600)),
            (json!({"iat": NOW - 7200, "exp": NOW - 3600}), Some(60), (-3600, 3600)),
        ] {
            assert_eq!(of(&claims, expires_in), expected, "{claims} {expires_in:?}");
        }
    }

    #[test]
    fn a_wrong_clock_does_not_change_a_lifetime_that_the_authority_states() {
        for skew in [-3600, -300, 300, 3600] {
            let claims = json!({"iat": NOW + skew, "exp": NOW + skew + 900});
            assert_eq!(of(&claims, Some(900)), (900, 900), "{skew}");
        }
        assert_eq!(of(&json!({"iat": NOW + 300, "exp": NOW + 1200}), None), (900, 900), "ahead of ours");
        assert_eq!(of(&json!({"iat": NOW - 300, "exp": NOW + 600}), None), (600, 900), "behind, or simply older");
        assert_eq!(of(&json!({"iat": NOW - 1000, "exp": NOW - 100}), None), (-100, 900), "arrived expired");
    }

    #[test]
    fn no_lifetime_is_over_400_days() {
        let longest = LONGEST.as_secs();
        let end = i64::try_from(longest).unwrap();
        assert_eq!(of(&json!({"iat": NOW, "exp": 253_402_300_799_i64}), None), (end, longest));
        assert_eq!(of(&json!({"exp": 253_402_300_799_i64}), None), (end, longest));
        assert_eq!(of(&json!({}), Some(u64::MAX)), (end, longest));
        assert_eq!(stated(&json!(9 * 365 * 86_400), at_now()), Ok(Some(LONGEST)));
        assert_eq!(stated(&json!("9999-12-31T23:59:59Z"), at_now()), Ok(Some(LONGEST)));
        assert_eq!(stated(&json!("100000d"), at_now()), Ok(Some(LONGEST)));
    }

    #[test]
    fn claims_that_are_no_time_are_ignored_and_named_for_the_log() {
        for wrong in
            [json!(1e300), json!(u64::MAX), json!(-5), json!(0), json!("soon"), json!("NaN"), json!([]), json!(true)]
        {
            let claims = json!({"iat": NOW, "exp": wrong});
            assert_eq!(of(&claims, None), (3600, 3600), "{wrong}");
            assert_eq!(of(&claims, Some(60)), (60, 60), "{wrong}");
            let claims = claims.as_object().unwrap();
            assert_eq!(claims_without_meaning(claims), Some(NoLife(wrong)));
        }
        let claims = json!({"iat": "x", "exp": NOW + 60});
        assert_eq!(of(&claims, None), (60, 60));
        assert!(claims_without_meaning(claims.as_object().unwrap()).is_some());
        for fine in [json!({}), json!({"exp": null}), json!({"exp": NOW, "iat": NOW})] {
            assert_eq!(claims_without_meaning(fine.as_object().unwrap()), None);
        }
    }

    #[test]
    fn claims_are_read_as_text_fractions_milliseconds_and_dates_too() {
        for (claims, expected) in [
            (json!({"iat": NOW.to_string(), "exp": (NOW + 900).to_string()}), (900, 900)),
            (json!({"iat": NOW * 1000, "exp": (NOW + 900) * 1000}), (900, 900)),
            (json!({"exp": (NOW + 900) * 1000}), (900, 900)),
            (json!({"exp": ((NOW + 900) * 1000).to_string()}), (900, 900)),
            (json!({"exp": "2027-01-15T08:15:00Z"}), (900, 900)),
        ] {
            assert_eq!(of(&claims, None), expected, "{claims}");
        }
        let odd = b64(format!(r#"{{"iat":{NOW},"exp":{},"n":1e999,"t":"\ud800"}}"#, NOW + 900).as_bytes());
        let life = lifetime(&AccessToken::new(format!("e30.{odd}.x")), None, at_now());
        assert_eq!(life.total, Duration::from_secs(900), "an odd claim does not spoil the others");
        let token = AccessToken::new(format!("e30.{}.x", b64(br#"{"iat":1800000000.25,"exp":1800000900.75}"#)));
        let life = lifetime(&token, None, at_now());
        assert_eq!(
            (life.total, life.expires_at),
            (Duration::from_millis(900_500), Timestamp::from_millis(NOW * 1000 + 900_500))
        );
    }

    #[test]
    fn a_token_that_ends_before_it_begins_lives_by_expires_in_else_until_its_end() {
        assert_eq!(of(&json!({"iat": NOW + 900, "exp": NOW + 300}), Some(60)), (60, 60));
        assert_eq!(of(&json!({"iat": NOW - 900, "exp": NOW - 1000}), None), (-1000, 0));
        assert_eq!(of(&json!({"exp": NOW}), None), (0, 0), "arrives expired");
    }

    fn at_now() -> Timestamp {
        Timestamp::from_secs(NOW)
    }

    #[test]
    fn expires_in_is_a_number_a_time_a_date_or_a_duration() {
        let millis = |millis| Ok(Some(Duration::from_millis(millis)));
        for (value, expected) in [
            (json!(900), millis(900_000)),
            (json!(1.5), millis(1500)),
            (json!(1e3), millis(1_000_000)),
            (json!("900"), millis(900_000)),
            (json!(" 9e2 "), millis(900_000)),
            (json!(NOW + 900), millis(900_000)),
            (json!((NOW + 900).to_string()), millis(900_000)),
            (json!((NOW + 900) * 1000 + 5), millis(900_005)),
            (json!(NOW - 60), millis(0)),
            (json!((NOW - 86_400) * 1000), millis(0)),
            (json!(2_592_000_000_u64), millis(2_592_000_000)),
            (json!("2027-01-15T08:15:00Z"), millis(900_000)),
            (json!("2027-01-15T17:15:00.250+09:00"), millis(900_250)),
            (json!("2027-01-15T07:59:00Z"), millis(0)),
            (json!("15m"), millis(900_000)),
            (json!("15 min"), millis(900_000)),
            (json!("900s"), millis(900_000)),
            (json!("1.5H"), millis(5_400_000)),
            (json!("500ms"), millis(500)),
            (json!("1w"), millis(604_800_000)),
            (json!(null), Ok(None)),
        ] {
            assert_eq!(stated(&value, at_now()), expected, "{value}");
        }
    }

    #[test]
    fn what_is_no_life_is_refused() {
        for value in [
            json!(0),
            json!(-1),
            json!(-3600.5),
            json!(1e300),
            json!("0"),
            json!("-60"),
            json!(""),
            json!("soon"),
            json!("NaN"),
            json!("inf"),
            json!("-inf"),
            json!("infinity"),
            json!("1e400"),
            json!("0m"),
            json!("-15m"),
            json!("infm"),
            json!("m"),
            json!("15 years"),
            json!("2026-12-01"),
            json!("2020-01-01T00:00:00Z"),
            json!("0x10"),
            json!(true),
            json!([900]),
            json!({"seconds": 900}),
            json!(1e12 + 0.5),
        ] {
            assert_eq!(stated(&value, at_now()), Err(NoLife(value)));
        }
    }

    #[test]
    fn an_opaque_token_without_expires_in_has_a_lifetime_of_one_hour() {
        for text in ["opaque", "a.b.c", "..", "a.b.c.d"] {
            let lifetime = lifetime(&AccessToken::new(text), None, Timestamp::from_secs(NOW));
            assert_eq!(lifetime.total, DEFAULT, "{text}");
        }
    }
}
