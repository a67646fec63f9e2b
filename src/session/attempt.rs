//! The cookies of login attempts in flight: one each, sealed, ten minutes, the newest five kept.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{CookieChanges, Inner, Reach, cookies::ATTEMPT_LIFETIME, grant::digest_of};
use crate::{
    clock::Timestamp,
    seal::{OpenError, Purpose},
    store::StoreError,
};

/// Twenty tabs may open a login at once; each cookie travels with every request until its login ends, so only so many are kept.
pub const MOST_ATTEMPTS: usize = 5;

/// Login attempts, as cookies.
pub struct Attempts<'s> {
    inner: &'s Inner,
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    made: Timestamp,
    reach_is_cross_site: bool,
    attempt: T,
}

impl<'s> Attempts<'s> {
    pub(super) fn new(inner: &'s Inner) -> Self {
        Self { inner }
    }

    /// Keeps `attempt` in a cookie; beyond the newest five the request's oldest are deleted.
    pub fn keep<T: Serialize>(&self, headers: &HeaderMap, id: &str, attempt: &T, reach: Reach) -> CookieChanges {
        let now = self.inner.now();
        let sealed = Sealed { made: now, reach_is_cross_site: reach == Reach::CrossSite, attempt };
        let Ok(plain) = serde_json::to_vec(&sealed) else {
            tracing::error!("a login attempt cannot be written down");
            return CookieChanges::default();
        };
        let text = self.inner.ring.seal(Purpose::Attempt(id), &plain, |_| 1);
        let mut older = self.found(headers.get_all(header::COOKIE).iter());
        older.sort_unstable_by_key(|(made, ..)| std::cmp::Reverse(*made));
        let evicted =
            older.into_iter().skip(MOST_ATTEMPTS - 1).map(|(_, id, reach)| self.inner.jar.clear_attempt(id, reach));
        evicted.fold(self.inner.jar.set_attempt(id, &text, reach), CookieChanges::and)
    }

    /// Takes the attempt `id` out of the request: once. `None` where it is absent, broken, past its ten minutes, or taken before. The cookie goes in any case.
    pub async fn take<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        id: &str,
    ) -> Result<(Option<T>, CookieChanges), StoreError> {
        let found = self.inner.jar.find(headers.get_all(header::COOKIE).iter());
        let now = self.inner.now();
        let opened = found
            .attempts
            .iter()
            .filter(|(found, _)| *found == id)
            .find_map(|(id, value)| self.open::<T>(id, value).ok())
            .filter(|sealed| now.since(sealed.made) < Duration::from_secs(ATTEMPT_LIFETIME));
        let Some(sealed) = opened else { return Ok((None, CookieChanges::default())) };
        let cleared = self.inner.jar.clear_attempt(id, reach_of(sealed.reach_is_cross_site));
        let until = sealed.made.plus(Duration::from_secs(ATTEMPT_LIFETIME));
        let first = self.inner.store.one_time.take(digest_of(&[b"attempt", id.as_bytes()]), until, now).await?;
        Ok((first.then_some(sealed.attempt), cleared))
    }

    /// Deletes those that came with these cookies: after a logout nobody ends what was begun before it.
    pub(super) fn clear<'c>(&self, cookies: impl Iterator<Item = &'c HeaderValue>) -> CookieChanges {
        let cleared = self.found(cookies).into_iter().map(|(_, id, reach)| self.inner.jar.clear_attempt(id, reach));
        cleared.fold(CookieChanges::default(), CookieChanges::and)
    }

    /// Takes something that may be used once, such as an ID token, until `until`.
    pub async fn take_once(&self, what: &[&[u8]], until: Timestamp) -> Result<bool, StoreError> {
        self.inner.store.one_time.take(digest_of(what), until, self.inner.now()).await
    }

    /// Seals a nonce for an app's own sign-in at `provider`, so that the gateway can tell later that it was its own.
    pub fn seal_nonce(&self, provider: &str) -> String {
        let plain = serde_json::json!([self.inner.now(), provider, self.inner.random.token::<16>()]).to_string();
        self.inner.ring.seal(Purpose::Nonce, plain.as_bytes(), |_| 1)
    }

    /// True where `nonce` was made by [`Attempts::seal_nonce`] for `provider` within the last ten minutes.
    pub fn is_own_nonce(&self, provider: &str, nonce: &str) -> bool {
        let opened = self.inner.ring.open(Purpose::Nonce, nonce.as_bytes(), 1);
        let Ok(plain) = opened else { return false };
        serde_json::from_slice::<(Timestamp, String, String)>(&plain).is_ok_and(|(made, of, _)| {
            of == provider && self.inner.now().since(made) < Duration::from_secs(ATTEMPT_LIFETIME)
        })
    }

    /// Those that are ours to delete: when they were made, their ids, and how their cookies were set.
    fn found<'c>(&self, cookies: impl Iterator<Item = &'c HeaderValue>) -> Vec<(Timestamp, &'c str, Reach)> {
        let attempts = self.inner.jar.find(cookies).attempts.into_iter();
        attempts
            .filter_map(|(id, value)| match self.open::<serde::de::IgnoredAny>(id, value) {
                Ok(sealed) => Some((sealed.made, id, reach_of(sealed.reach_is_cross_site))),
                Err(OpenError::Broken) => Some((Timestamp::default(), id, Reach::Lax)),
                Err(OpenError::UnknownKey) => None,
            })
            .collect()
    }

    fn open<T: DeserializeOwned>(&self, id: &str, value: &[u8]) -> Result<Sealed<T>, OpenError> {
        let plain = self.inner.ring.open(Purpose::Attempt(id), value, 1)?;
        serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)
    }
}

fn reach_of(cross_site: bool) -> Reach {
    if cross_site { Reach::CrossSite } else { Reach::Lax }
}
