//! Opens or verifies a request's token cookies. Opened cookies are cached, so that a live session costs one look-up.

use std::{borrow::Cow, sync::Arc, time::Duration};

use super::{
    check,
    claims::Sources,
    cookies::{Candidates, CookieChanges, FoundCookies, TokenCookie, TokenParts},
    digest::unsealed_sid,
    grant::{AccessGrant, IssuedAccess, RefreshGrant, TokenTimes, bearer},
    opened::{Opened, OpenedAccess, OpenedRefresh},
    sealed::{self, SealedAccess, SealedRefresh},
    shared::Shared,
    state::SessionState,
};
use crate::{
    authority::{self, AccessClaims, VerifyError},
    client::ClientKey,
    clock::Timestamp,
    seal::{KeyRing, OpenError, Purpose},
    secret::AccessToken,
    store::{Generation, Sid},
};

/// Most octets of the values that are joined from copies of the parts of one sealed cookie.
const MOST_SEALED_OCTETS: usize = 256 * 1024;
/// The same for an unsealed cookie, whose values are parsed as JSON.
const MOST_UNSEALED_OCTETS: usize = 64 * 1024;
/// Characters of the shortest signature: the 32 octets of HS256 (RFC 7518 section 3.2).
const SHORTEST_SIGNATURE: usize = 43;
/// Most tokens of one request whose signature proves wrong; no further one is verified.
const MOST_FORGED: usize = 4;

/// The result of reading one of our cookies.
pub(super) enum Reading<T> {
    /// The cookie is absent, or sealed with a key that is not configured.
    Absent,
    /// The cookie opened, or its signature was verified.
    Opened(T),
    /// An unsealed token past its expiry. Its signature was not checked.
    Expired,
    /// The signature is not checked for this long, because the client has sent too many forged tokens.
    Unchecked(Duration),
    /// The cookie is ours and does not open. These changes delete it.
    Broken(CookieChanges),
}

/// The unsealed access token that was received with a session's refresh token, as sealed with that.
#[derive(Clone, Copy)]
pub(super) struct IssuedUnsealed<'r> {
    pub(super) refresh: &'r RefreshGrant,
    pub(super) access: IssuedAccess,
}

impl IssuedUnsealed<'_> {
    fn is(&self, token: &str) -> bool {
        self.access.is(token)
    }

    /// Whether the access token was read with this refresh token before: then it has its times and claims.
    fn is_known_to(&self, grant: &AccessGrant) -> bool {
        (grant.received_at, grant.expires_at) == (self.refresh.issued_at, self.access.expires_at)
    }
}

/// Why an unsealed token is not accepted.
#[derive(Clone, Copy)]
enum Refused {
    /// It is no token of the authority.
    Malformed,
    /// Its signature is wrong.
    Forged,
    /// See [`Reading::Expired`].
    Expired,
    /// See [`Reading::Unchecked`].
    Unchecked(Duration),
    /// The authority's keys are not available.
    WithoutKeys,
}

impl Refused {
    fn is_broken(self) -> bool {
        matches!(self, Self::Malformed | Self::Forged)
    }
}

impl Shared {
    /// Reads `sb_rt`.
    pub(super) fn read_refresh(&self, found: &FoundCookies<'_>, now: Timestamp) -> Reading<OpenedRefresh> {
        self.read(&found.refresh, TokenCookie::Refresh, |value, parts| {
            if let Some(opened) = self.opened.refresh.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Refresh, value, parts)?;
            let sealed: SealedRefresh = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open());
            let state = self.state_of(grant.login.sid, now);
            self.record_shown(&state, grant.generation, now);
            let opened = OpenedRefresh { grant, state };
            self.opened.refresh.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads a sealed `sb_at`.
    pub(super) fn read_access(&self, found: &FoundCookies<'_>, now: Timestamp) -> Reading<OpenedAccess> {
        self.read(&found.access, TokenCookie::Access, |value, parts| {
            if let Some(opened) = self.opened.access.get(value) {
                return Ok(opened);
            }
            let plain = self.ring.open(Purpose::Access, value, parts)?;
            let sealed: SealedAccess = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
            let grant = Arc::new(sealed.open(&self.settings).ok_or(OpenError::Broken)?);
            let sid = grant.login.as_ref().ok_or(OpenError::Broken)?.sid;
            let state = self.state_of(sid, now);
            self.record_shown(&state, grant.generation, now);
            let opened = OpenedAccess { grant, is_whole: true, state };
            self.opened.access.insert(value.into(), opened.clone());
            Ok(opened)
        })
    }

    /// Reads an unsealed `sb_at`: a JWT, whose signature is verified once. It belongs to the session of `sb_rt`;
    /// without an `sb_rt` it is a session without a login. Of two cookies of this name the genuine one counts; if both
    /// are genuine and of different people, neither.
    pub(super) async fn read_unsealed_access(
        &self,
        found: &FoundCookies<'_>,
        issued: Option<IssuedUnsealed<'_>>,
        client: ClientKey,
        now: Timestamp,
    ) -> Reading<OpenedAccess> {
        let parts = &found.access;
        if let Some(whole) = parts.single() {
            return match self.read_one_unsealed(whole, issued, client, now).await {
                Ok(opened) => Reading::Opened(opened),
                Err(refused) => self.unsealed_reading(refused, parts),
            };
        }
        // An unsealed value does not declare the number of its parts, but each except the last has the full length.
        let longest_part = self.jar.longest_part();
        let candidates = parts.candidates(|first| if first.len() == longest_part { parts.without_gap() } else { 1 });
        let whole = candidates.whole.iter().copied().map(Cow::Borrowed);
        let joined =
            parts.joined(&candidates, MOST_UNSEALED_OCTETS).map(|joined| Cow::Owned(joined.unwrap_or_default().0));
        // Those that were read before need no verification. They are first, so that forged ones do not hide them.
        let (known, others): (Vec<_>, Vec<_>) = whole
            .chain(joined)
            .map(|value| (has_form_of_jws(&value), value))
            .partition(|(has_form, value)| *has_form && self.opened.access.contains_key(&**value));
        let mut may_delete = !candidates.has_too_many_copies;
        let (mut best, mut refusal): (Option<OpenedAccess>, _) = (None, None);
        let mut forged = 0;
        for (has_form, value) in known.into_iter().chain(others) {
            if forged == MOST_FORGED {
                may_delete = false;
                break;
            }
            let read = if has_form {
                self.read_one_unsealed(&value, issued, client, now).await
            } else {
                Err(Refused::Malformed)
            };
            match (read, &best) {
                (Ok(one), Some(other)) if !one.same_person(other) => return Reading::Absent,
                (Ok(one), None) => best = Some(one),
                (Ok(_), Some(_)) => {}
                (Err(refused), _) => {
                    forged += usize::from(matches!(refused, Refused::Forged));
                    // A cookie that may turn out to be genuine later is not deleted together with a broken one.
                    if refusal.is_none_or(Refused::is_broken) {
                        refusal = Some(refused);
                    }
                }
            }
        }
        match (best, refusal) {
            (Some(opened), _) => Reading::Opened(opened),
            (None, Some(refused)) if may_delete || matches!(refused, Refused::Unchecked(_)) => {
                self.unsealed_reading(refused, parts)
            }
            (None, _) => Reading::Absent,
        }
    }

    fn unsealed_reading(&self, refused: Refused, parts: &TokenParts<'_>) -> Reading<OpenedAccess> {
        match refused {
            Refused::Malformed | Refused::Forged => {
                self.metrics.cookies_cleared.inc();
                Reading::Broken(self.jar.clear(TokenCookie::Access, parts.extent()))
            }
            Refused::Expired => Reading::Expired,
            Refused::Unchecked(wait) => Reading::Unchecked(wait),
            Refused::WithoutKeys => Reading::Absent,
        }
    }

    async fn read_one_unsealed(
        &self,
        value: &[u8],
        issued: Option<IssuedUnsealed<'_>>,
        client: ClientKey,
        now: Timestamp,
    ) -> Result<OpenedAccess, Refused> {
        // What was decided at receipt replaces what was read from the token alone, and is for requests that have the
        // refresh token.
        let is_known = |opened: &OpenedAccess| {
            let issued = issued.filter(|issued| issued.is(opened.grant.token.expose()));
            let is_current = issued.is_none_or(|issued| issued.is_known_to(&opened.grant));
            is_current && opened.is_whole == issued.is_some()
        };
        if let Some(opened) = self.opened.access.get(value).filter(is_known) {
            return Ok(opened);
        }
        let text = std::str::from_utf8(value).map_err(|_| Refused::Malformed)?;
        if self.forged_tokens.knows(value) {
            return Err(Refused::Forged);
        }
        let issued = issued.filter(|issued| issued.is(text));
        // The times of a token that was received here were decided at receipt, by our clock.
        let leeway = issued.is_none().then_some(self.settings.leeway);
        let claims = match self.authority.read_access_token(text, leeway) {
            Ok(unverified) => {
                if let Some(wait) = self.forged_tokens.wait(client, now) {
                    return Err(Refused::Unchecked(wait));
                }
                unverified.verify().await
            }
            Err(error) => Err(error),
        };
        let claims = claims.map_err(|error| match error {
            // Without the keys the gateway cannot judge the cookie: it neither accepts nor deletes it.
            VerifyError::Unavailable(_) => Refused::WithoutKeys,
            VerifyError::Expired => Refused::Expired,
            VerifyError::Invalid => Refused::Malformed,
            VerifyError::Forged => {
                self.forged_tokens.count(client, value, now);
                Refused::Forged
            }
        })?;
        let token = AccessToken::new(text);
        let bearer = bearer(&token).ok_or(Refused::Malformed)?;
        let claims = AccessClaims { claims, verified: true };
        let (claims, roles) = match issued.map(|issued| issued.refresh) {
            Some(RefreshGrant { identity, answered, .. }) => {
                self.claims_and_roles(Sources { identity, access: Some(&claims), answered })
            }
            None => self.claims_and_roles_without_answers(&claims),
        };
        let provider_sub = issued.and_then(|issued| issued.refresh.identity.get("sub").cloned());
        let (times, due_at, life) = if let Some(IssuedUnsealed { refresh, access }) = issued {
            let IssuedAccess { expires_at, arrived_expired, .. } = access;
            let times = TokenTimes { received_at: refresh.issued_at, expires_at, arrived_expired };
            let life = Duration::from_millis(access.life);
            (times, check::due_at(refresh.login.sid, times, life, &self.settings), life)
        } else {
            let lifetime = authority::lifetime(&token, None, now);
            let due_at = lifetime.expires_at.minus(self.settings.refresh_ahead.min(lifetime.total / 5));
            // Without a refresh token the access token is accepted as long as its verification accepts it.
            let expires_at = lifetime.expires_at.plus(self.settings.leeway);
            (TokenTimes { received_at: now, expires_at, arrived_expired: false }, due_at, lifetime.total)
        };
        let grant = Arc::new(AccessGrant {
            due_at,
            login: None,
            generation: 0,
            token,
            bearer,
            received_at: times.received_at,
            expires_at: times.expires_at,
            arrived_expired: times.arrived_expired,
            life,
            claims,
            provider_sub,
            roles,
            id: None,
        });
        let state = self.state_of(unsealed_sid(&grant.token), now);
        let opened = OpenedAccess { grant, is_whole: issued.is_some(), state };
        self.opened.access.insert(value.into(), opened.clone());
        Ok(opened)
    }

    /// Opens a sealed token cookie. If its name occurs several times, the value that opens counts; if values of
    /// different sessions open, none counts.
    fn read<T: Opened>(
        &self,
        parts: &TokenParts<'_>,
        token: TokenCookie,
        open: impl Fn(&[u8], usize) -> Result<T, OpenError>,
    ) -> Reading<T> {
        if parts.is_absent() {
            return Reading::Absent;
        }
        // The key id is compared first, so that cookies of another deployment cost no look-up.
        if let Some(value) = parts.single()
            && self.ring.parts_of(value) == Ok(1)
            && let Ok(opened) = open(value, 1)
        {
            return Reading::Opened(opened);
        }
        // A first part without a number, or with a key that is not in the ring, is refused by `open`.
        let candidates = parts.candidates(|first| self.ring.parts_of(first).unwrap_or(1));
        let mut opened: Option<T> = None;
        let mut broken = false;
        for result in tried(&self.ring, parts, &candidates, &open) {
            match (result, &opened) {
                (Ok(one), None) => opened = Some(one),
                (Ok(one), Some(other)) if one.same_session(other) => {}
                // Another host of the site may have set one of them: neither is accepted, neither is deleted.
                (Ok(_), Some(_)) => return Reading::Absent,
                (Err(OpenError::Broken), _) => broken = true,
                (Err(OpenError::UnknownKey), _) => {
                    self.metrics.cookies_ignored.inc();
                }
            }
        }
        match opened {
            Some(opened) => Reading::Opened(opened),
            None if broken && !candidates.has_too_many_copies => {
                self.metrics.cookies_cleared.inc();
                Reading::Broken(self.jar.clear(token, parts.extent()))
            }
            None => Reading::Absent,
        }
    }

    /// The state of the session. A new state begins as ended if the store has its end.
    fn state_of(&self, sid: Sid, now: Timestamp) -> Arc<SessionState> {
        self.states.find_or_create(sid, || self.store.refreshes.has_ended(sid, now))
    }

    /// Records that a request has `generation`, and acknowledges it to the store the first time.
    fn record_shown(&self, state: &Arc<SessionState>, generation: Generation, now: Timestamp) {
        if generation > 0 && state.mark_shown(generation, now) {
            self.acknowledge(state.sid, generation, now);
        }
    }
}

/// Tries each value that the copies of a sealed cookie form, once. Of one that its form rules out nothing is looked up
/// or decrypted, so that `open` is called for few values of a head of short ones.
fn tried<'p, T: 'p>(
    ring: &'p KeyRing,
    parts: &'p TokenParts<'_>,
    candidates: &'p Candidates<'_>,
    open: &'p impl Fn(&[u8], usize) -> Result<T, OpenError>,
) -> impl Iterator<Item = Result<T, OpenError>> + 'p {
    let open = move |value: &[u8], count| {
        ring.check_form(value, count, sealed::SHORTEST)?;
        open(value, count)
    };
    let whole = candidates.whole.iter().map(move |whole| open(whole, 1));
    let joined = parts.joined(candidates, MOST_SEALED_OCTETS).map(move |joined| {
        let (value, count) = joined.ok_or(OpenError::Broken)?;
        open(&value, count)
    });
    whole.chain(joined)
}

/// Whether it has the form of a signed token: three parts in base64url, of which the last is a signature.
fn has_form_of_jws(value: &[u8]) -> bool {
    let is_base64url = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_filled = !header.is_empty() && !claims.is_empty() && signature.len() >= SHORTEST_SIGNATURE;
    is_filled && [header, claims, signature].into_iter().flatten().all(is_base64url)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use http::{HeaderMap, header};

    use super::*;
    use crate::session::{cookies::Jar, test_settings};

    /// What `open` is called with, for the access tokens in a `Cookie` header; it always fails.
    fn opened(ring: &KeyRing, cookies: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        let jar = Jar::new(&test_settings("https://app.example"));
        let found = jar.find(headers.get_all(header::COOKIE).iter());
        let candidates = found.access.candidates(|first| ring.parts_of(first).unwrap_or(1));
        let calls = RefCell::new(Vec::new());
        let open = |value: &[u8], _| {
            calls.borrow_mut().push(String::from_utf8(value.to_vec()).unwrap());
            Err::<(), _>(OpenError::Broken)
        };
        assert!(tried(ring, &found.access, &candidates, &open).all(|result| result.is_err()));
        calls.into_inner()
    }

    fn ring() -> (KeyRing, String) {
        let keys = test_settings("https://app.example").keys;
        (KeyRing::new(&keys, crate::secret::Random::system()), keys[0].id())
    }

    #[test]
    fn of_thousands_of_copies_that_nothing_can_open_none_is_tried_beside_the_good_one() {
        let (ring, id) = ring();
        let good = ring.seal(Purpose::Access, &[b'x'; sealed::SHORTEST], |_| 1);
        let body = &good[id.len() + 3..];
        for copy in [
            "x".to_owned(),
            String::new(),
            id.clone(),
            format!("{id}.1."),
            format!("{id}.1.{}", &body[..43]),
            format!("{id}.01.{body}"),
            format!("{id}.1.{body}="),
            format!("{id}.1.{}", body.replacen(&body[4..5], "+", 1)),
            format!("00000000.1.{body}"),
            format!("{id}.60."),
        ] {
            let planted = format!("sb_at={copy}; ").repeat(3000);
            assert_eq!(opened(&ring, &format!("{planted}sb_at={good}")), [good.as_str()], "{copy}");
            assert_eq!(opened(&ring, &format!("sb_at={good}; {planted}")), [good.as_str()], "{copy}");
        }
    }

    #[test]
    fn each_copy_that_could_open_is_tried_once_and_few_fit_into_a_head() {
        let (ring, id) = ring();
        let shortest = ring.seal(Purpose::Access, &[b'x'; sealed::SHORTEST], |_| 1).len();
        let copies = 31_000 / (shortest + "sb_at=; ".len());
        assert!(copies < 130, "{copies}");
        let copy = |number: usize| format!("{id}.1.{number:0width$}", width = shortest - id.len() - 3);
        let cookies = (0..copies).map(|number| format!("sb_at={}", copy(number))).collect::<Vec<_>>().join("; ");
        assert_eq!(opened(&ring, &cookies), (0..copies).map(copy).collect::<Vec<_>>());
    }

    #[test]
    fn of_the_choices_of_planted_parts_64_are_tried_at_most() {
        let (ring, id) = ring();
        let part = "A".repeat(400);
        let firsts = ["A", "B", "C", "D"].map(|copy| format!("sb_at={id}.5.{copy}AAA; ")).concat();
        let numbered = [1, 2, 3, 4].map(|number| format!("sb_at.{number}={part}; ").repeat(4)).concat();
        assert_eq!(opened(&ring, &format!("{firsts}{numbered}")).len(), 64);
        assert_eq!(opened(&ring, &format!("{firsts}{numbered}sb_at.1={part}")), Vec::<String>::new());
    }

    #[test]
    fn only_three_parts_with_a_signature_are_read_as_a_signed_token() {
        let signature = "A".repeat(43);
        assert!(has_form_of_jws(format!("e30.e30.{signature}").as_bytes()));
        for other in ["", "x", "..", "e30.e30.", "e30.e30.x"] {
            assert!(!has_form_of_jws(other.as_bytes()), "{other}");
        }
        for other in [".e30.", "e30..", "e30.e30", "e30.e30.e30.", "e3=.e30.", "e30.e30.+"] {
            assert!(!has_form_of_jws(format!("{other}{signature}").as_bytes()), "{other}");
        }
    }
}
