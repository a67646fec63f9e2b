//! The lifetime of an access token by our clock, also if the authority's clock differs or its numbers are out of range.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    oidc::{self, Claims},
    secret::AccessToken,
};

/// The lifetime of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetime {
    /// Expiry by our clock; in the past if the token arrived expired.
    pub expires_at: Timestamp,
    /// Its whole lifetime, at most 400 days.
    pub total: Duration,
}

/// The lifetime of a token received at `received`: `exp − iat` if it is a JWT, else `expires_in`, else the time from
/// receipt to `exp`, else one hour.
///
/// If the authority sent `expires_in`, the token expires that long after receipt, and not later than `exp − iat` after
/// it: this does not depend on the authority's clock. If that end and `exp` differ by at most 5 s, the clocks agree and
/// the earlier one counts, because `exp` has whole seconds. Without `expires_in`, `exp` counts, unless `iat` is in our
/// future: then the authority's clock is ahead of ours, and the lifetime is counted from receipt.
pub fn lifetime(access_token: &AccessToken, expires_in: Option<Duration>, received: Timestamp) -> Lifetime {
    let claims = oidc::claims_as_received(access_token.expose()).unwrap_or_default();
    let (issued, expires) = (date(&claims, "iat"), date(&claims, "exp"));
    let stated = issued.zip(expires).filter(|(issued, expires)| expires > issued).map(|(i, e)| e.since(i));
    let total =
        stated.or(expires_in).or(expires.map(|expires| expires.since(received))).unwrap_or(DEFAULT).min(LONGEST);
    let clock_ahead = issued.is_some_and(|issued| issued > received);
    let span = expires_in.map(|span| stated.map_or(span, |stated| span.min(stated)).min(LONGEST));
    let expires_at = match (span.map(|span| received.plus(span)), expires) {
        (Some(end), Some(expires)) if end.since(expires).max(expires.since(end)) <= SAME_CLOCK => end.min(expires),
        (Some(end), _) => end,
        (None, Some(_)) if clock_ahead => received.plus(total),
        (None, Some(expires)) => expires.min(received.plus(LONGEST)),
        (None, None) => received.plus(total),
    };
    Lifetime { expires_at, total }
}

/// Two ends that differ by no more than this are of clocks that agree.
const SAME_CLOCK: Duration = Duration::from_secs(5);
/// The lifetime of a token for which neither claims nor `expires_in` state one.
const DEFAULT: Duration = Duration::from_secs(3600);
/// 400 days: browsers keep no cookie longer, and the token is sealed in one.
const LONGEST: Duration = Duration::from_secs(400 * 86400);

/// A NumericDate (RFC 7519 section 2). One that is out of range is set to the nearest bound.
fn date(claims: &Claims, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    oidc::numeric_date(value).or_else(|| match value.as_f64()? {
        seconds if seconds < 0.0 => Some(Timestamp::default()),
        _ => Some(Timestamp::from_secs(i64::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
            (json!({"iat": NOW + 900, "exp": NOW}), Some(60), (60, 60)),
            (json!({"iat": NOW, "exp": NOW + 20}), Some(3600), (20, 20)),
            (json!({"iat": NOW - 1, "exp": NOW + 899}), Some(900), (899, 900)),
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
    fn numbers_out_of_range_give_400_days_at_most() {
        let longest = LONGEST.as_secs();
        let end = i64::try_from(longest).unwrap();
        assert_eq!(of(&json!({"exp": 1e300}), None), (end, longest));
        assert_eq!(of(&json!({"iat": NOW, "exp": u64::MAX}), None), (end, longest));
        assert_eq!(of(&json!({"iat": -1e300, "exp": 1e300}), None), (end, longest));
        assert_eq!(of(&json!({"exp": -5}), None), (-NOW, 0));
        assert_eq!(of(&json!({}), Some(u64::MAX)), (end, longest));
        assert_eq!(of(&json!({"exp": NOW}), Some(0)), (0, 0));
    }

    #[test]
    fn an_opaque_token_without_expires_in_has_a_lifetime_of_one_hour() {
        for text in ["opaque", "a.b.c", "..", "a.b.c.d"] {
            let lifetime = lifetime(&AccessToken::new(text), None, Timestamp::from_secs(NOW));
            assert_eq!(lifetime.total, DEFAULT, "{text}");
        }
    }
}
