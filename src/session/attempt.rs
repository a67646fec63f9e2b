//! Login attempts, each in a separate sealed cookie that is valid for 10 minutes. A browser has the newest five at
//! most.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    cookies::{ATTEMPT_LIFETIME, CookieChanges, Reach},
    digest::digest_of,
    shared::Shared,
};
use crate::{
    client::ClientKey,
    clock::Timestamp,
    seal::{OpenError, Purpose},
    secret::Secret,
    store::{Digest, Owner, StoreError},
};

/// Most login attempts in a browser. Each cookie is sent with every request until its login ends, and many tabs may
/// open a login at once.
pub const MOST_ATTEMPTS: usize = 5;

/// Attempts of one client's network that are remembered as used. Beyond this the oldest is forgotten: it could be used
/// again with its cookie, and its code is void at the provider.
const MOST_USED_ATTEMPTS: u32 = 100;
/// ID tokens and nonces of one client's network that are remembered as used.
const MOST_USED_TOKENS: u32 = 1000;
/// No sealed attempt has fewer octets.
const SHORTEST: usize = r#"{"made":0,"attempt":0}"#.len();
/// Most cookies of attempts that do not open that one answer deletes: a deletion is longer than such a cookie.
const MOST_BROKEN: usize = 20;

/// The cookies of login attempts.
pub struct Attempts<'s> {
    shared: &'s Shared,
}

/// An attempt whose cookie came with a request.
pub struct FoundAttempt<T> {
    /// What was sealed.
    pub attempt: T,
    /// The value of the cookie: only this browser has it.
    pub cookie: Secret,
    /// Deletes the cookie.
    pub deletion: CookieChanges,
    /// The attempt cannot be taken from this time of the store's clock on.
    ends: Timestamp,
    id: String,
}

impl<T> FoundAttempt<T> {
    /// The key that is taken.
    fn mark(&self) -> Digest {
        digest_of(&[b"attempt", self.id.as_bytes()])
    }
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    /// By the store's clock.
    made: Timestamp,
    /// Left out where it is false: each request carries the cookie.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    reach_is_cross_site: bool,
    attempt: T,
}

impl<'s> Attempts<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared }
    }

    /// Seals `attempt` into a cookie. Of all attempts those beyond the newest [`MOST_ATTEMPTS`] are deleted.
    pub fn keep<T: Serialize>(&self, headers: &HeaderMap, id: &str, attempt: &T, reach: Reach) -> CookieChanges {
        let sealed = Sealed { made: self.shared.store_time(), reach_is_cross_site: reach == Reach::CrossSite, attempt };
        let Ok(plain) = serde_json::to_vec(&sealed) else {
            tracing::error!("a login attempt could not be serialized; the login will fail at its callback");
            return CookieChanges::default();
        };
        let text = self.shared.ring.seal(Purpose::Attempt(id), &plain, |_| 1);
        let mut older = self.found(headers.get_all(header::COOKIE).iter());
        older.sort_unstable_by_key(|(made, ..)| std::cmp::Reverse(*made));
        let evicted =
            older.into_iter().skip(MOST_ATTEMPTS - 1).map(|(_, id, reach)| self.shared.jar.clear_attempt(id, reach));
        evicted.fold(self.shared.jar.set_attempt(id, &text, reach), CookieChanges::and)
    }

    /// The attempt `id` of the request; `None` if it is absent or does not open.
    pub fn find<T: DeserializeOwned>(&self, headers: &HeaderMap, id: &str) -> Option<FoundAttempt<T>> {
        let found = self.shared.jar.find(headers.get_all(header::COOKIE).iter());
        let mut of_id = found.attempts.iter().filter(|(found, _)| *found == id);
        let (sealed, value) = of_id.find_map(|(id, value)| Some((self.open::<T>(id, value).ok()?, *value)))?;
        Some(self.opened(id, value, sealed))
    }

    /// The newest attempt of the request that has not ended; `None` if it has none.
    pub fn newest<T: DeserializeOwned>(&self, headers: &HeaderMap) -> Option<FoundAttempt<T>> {
        let found = self.shared.jar.find(headers.get_all(header::COOKIE).iter());
        let opened = found.attempts.iter().filter_map(|(id, value)| {
            let sealed = self.open::<T>(id, value).ok()?;
            Some((sealed.made, self.opened(id, value, sealed)))
        });
        let now = self.shared.store_time();
        opened.max_by_key(|(made, _)| *made).map(|(_, newest)| newest).filter(|newest| newest.ends > now)
    }

    fn opened<T>(&self, id: &str, value: &[u8], sealed: Sealed<T>) -> FoundAttempt<T> {
        FoundAttempt {
            attempt: sealed.attempt,
            cookie: Secret::new(String::from_utf8_lossy(value)),
            deletion: self.shared.jar.clear_attempt(id, reach_of(sealed.reach_is_cross_site)),
            ends: sealed.made.plus(Duration::from_secs(ATTEMPT_LIFETIME)),
            id: id.to_owned(),
        }
    }

    /// Takes an attempt; each can be taken once. False if it was taken before, or is older than 10 minutes.
    pub async fn take<T>(&self, client: ClientKey, found: &FoundAttempt<T>) -> Result<bool, StoreError> {
        let left = found.ends.since(self.shared.store_time());
        if left.is_zero() {
            return Ok(false);
        }
        let owner = Owner { key: digest_of(&[b"attempts of", client.network()]), most: MOST_USED_ATTEMPTS };
        let now = self.shared.now();
        self.shared.store.one_time.take_of(owner, found.mark(), now.plus(left), now).await
    }

    /// Undoes [`Attempts::take`], after a callback that used nothing up. On a store error the attempt stays used.
    pub async fn give_back<T>(&self, found: &FoundAttempt<T>) {
        if let Err(error) = self.shared.store.one_time.give_back(found.mark(), self.shared.now()).await {
            tracing::warn!(%error, "a login attempt was not given back: its callback cannot be tried again");
        }
    }

    /// Deletes the attempts in these cookies, so that no login that began before a logout can complete after it.
    pub(super) fn clear<'c>(&self, cookies: impl Iterator<Item = &'c HeaderValue>) -> CookieChanges {
        let cleared = self.found(cookies).into_iter().map(|(_, id, reach)| self.shared.jar.clear_attempt(id, reach));
        cleared.fold(CookieChanges::default(), CookieChanges::and)
    }

    /// Marks a value as used, such as an ID token that may be used once. False if it was used before; the mark expires
    /// at `until`.
    pub async fn take_once(&self, client: ClientKey, what: &[&[u8]], until: Timestamp) -> Result<bool, StoreError> {
        let owner = Owner { key: digest_of(&[b"tokens of", client.network()]), most: MOST_USED_TOKENS };
        self.shared.store.one_time.take_of(owner, digest_of(what), until, self.shared.now()).await
    }

    /// A sealed nonce for an app's own sign-in at `provider`, which [`Attempts::is_own_nonce`] recognises later.
    pub fn seal_nonce(&self, provider: &str) -> String {
        let plain =
            serde_json::json!([self.shared.store_time(), provider, self.shared.random.token::<32>()]).to_string();
        self.shared.ring.seal(Purpose::Nonce, plain.as_bytes(), |_| 1)
    }

    /// True if `nonce` was made by [`Attempts::seal_nonce`] for `provider` within the last 10 minutes.
    pub fn is_own_nonce(&self, provider: &str, nonce: &str) -> bool {
        let opened = self.shared.ring.open(Purpose::Nonce, nonce.as_bytes(), 1);
        let Ok(plain) = opened else { return false };
        serde_json::from_slice::<(Timestamp, String, String)>(&plain).is_ok_and(|(made, of, _)| {
            of == provider && self.shared.store_time().since(made) < Duration::from_secs(ATTEMPT_LIFETIME)
        })
    }

    /// The attempts that may be deleted: the time of each, its id, and the reach of its cookie.
    fn found<'c>(&self, cookies: impl Iterator<Item = &'c HeaderValue>) -> Vec<(Timestamp, &'c str, Reach)> {
        let attempts = self.shared.jar.find(cookies).attempts.into_iter();
        let mut broken = 0;
        attempts
            .filter_map(|(id, value)| match self.open::<serde::de::IgnoredAny>(id, value) {
                Ok(sealed) => Some((sealed.made, id, reach_of(sealed.reach_is_cross_site))),
                Err(OpenError::Broken) => {
                    broken += 1;
                    (broken <= MOST_BROKEN).then_some((Timestamp::default(), id, Reach::Lax))
                }
                Err(OpenError::UnknownKey) => None,
            })
            .collect()
    }

    fn open<T: DeserializeOwned>(&self, id: &str, value: &[u8]) -> Result<Sealed<T>, OpenError> {
        // First, because a head may have hundreds of short ones.
        self.shared.ring.check_form(value, 1, SHORTEST)?;
        let plain = self.shared.ring.open(Purpose::Attempt(id), value, 1)?;
        serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)
    }
}

fn reach_of(cross_site: bool) -> Reach {
    if cross_site { Reach::CrossSite } else { Reach::Lax }
}
