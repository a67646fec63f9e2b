//! How long an access token lives, by our clock: whatever the authority's clock says, and however absurd its figures are.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    oidc::{self, Claims},
    secret::AccessToken,
};

/// The life of an access token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// When it was received.
    pub received: Timestamp,
    /// When it is over, by our clock; not before `received` minus what it was late, so possibly in the past.
    pub expires_at: Timestamp,
    /// How long it lives in all.
    pub life: Duration,
}

/// The life of a token: `exp − iat` where it is a JWT, else `expires_in`, else from receipt to `exp`, else an hour.
///
/// Its end is counted from receipt where the authority said how long it lives from then (though never longer than the token itself says): that
/// needs no agreement of clocks. Where the clocks do agree, `exp` is not outlived: it has whole seconds, and so may come a little earlier. Else `exp`
/// is taken at its word, unless `iat` lies in our future: then the authority's clock is ahead, and the life is counted from receipt.
pub fn life(access_token: &AccessToken, expires_in: Option<Duration>, received: Timestamp) -> Life {
    let claims = oidc::claims_as_received(access_token.expose()).unwrap_or_default();
    let (issued, expires) = (date(&claims, "iat"), date(&claims, "exp"));
    let stated = issued.zip(expires).filter(|(issued, expires)| expires > issued).map(|(i, e)| e.since(i));
    let life = stated.or(expires_in).or(expires.map(|expires| expires.since(received))).unwrap_or(UNKNOWN).min(LONGEST);
    let clock_ahead = issued.is_some_and(|issued| issued > received);
    let span = expires_in.map(|span| stated.map_or(span, |stated| span.min(stated)).min(LONGEST));
    let expires_at = match (span.map(|span| received.plus(span)), expires) {
        (Some(end), Some(expires)) if end.since(expires).max(expires.since(end)) <= SAME_CLOCK => end.min(expires),
        (Some(end), _) => end,
        (None, Some(_)) if clock_ahead => received.plus(life),
        (None, Some(expires)) => expires.min(received.plus(LONGEST)),
        (None, None) => received.plus(life),
    };
    Life { received, expires_at, life }
}

/// Ends that are no further apart were written by the same clock.
const SAME_CLOCK: Duration = Duration::from_secs(5);
/// Where nothing is said.
const UNKNOWN: Duration = Duration::from_secs(3600);
/// 400 days: no cookie lives longer, so no token in one does.
const LONGEST: Duration = Duration::from_secs(400 * 86400);

/// A NumericDate; one beyond any calendar is the nearest that can be said.
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
        let life = life(&token, expires_in.map(Duration::from_secs), Timestamp::from_secs(NOW));
        (life.expires_at.as_secs() - NOW, life.life.as_secs())
    }

    #[test]
    fn the_first_of_the_figures_that_is_there_counts() {
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
    fn a_clock_that_is_off_does_not_shorten_or_lengthen_a_life_that_is_known() {
        for skew in [-3600, -300, 300, 3600] {
            let claims = json!({"iat": NOW + skew, "exp": NOW + skew + 900});
            assert_eq!(of(&claims, Some(900)), (900, 900), "{skew}");
        }
        assert_eq!(of(&json!({"iat": NOW + 300, "exp": NOW + 1200}), None), (900, 900), "ahead of ours");
        assert_eq!(of(&json!({"iat": NOW - 300, "exp": NOW + 600}), None), (600, 900), "behind, or simply older");
        assert_eq!(of(&json!({"iat": NOW - 1000, "exp": NOW - 100}), None), (-100, 900), "arrived expired");
    }

    #[test]
    fn absurd_figures_are_cut() {
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
    fn an_opaque_token_has_no_claims() {
        for text in ["opaque", "a.b.c", "..", "a.b.c.d"] {
            let life = life(&AccessToken::new(text), None, Timestamp::from_secs(NOW));
            assert_eq!(life.life, UNKNOWN, "{text}");
        }
    }
}
