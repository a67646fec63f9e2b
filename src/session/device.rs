//! The device of a session: an id that the gateway makes at the first login, a name read from the `User-Agent`, and
//! whether there was a login on the device before.

use std::time::Duration;

use http::{HeaderMap, header};
use uuid::Uuid;

use super::{cookies::LONGEST_LIFETIME, digest::digest_of, shared::Sessions};
use crate::{
    client::ClientKey,
    store::{Digest, Owner, StoreError},
};

/// How long a device counts as known after a login: as long as browsers keep its cookie.
const KNOWN_LIFETIME: Duration = Duration::from_secs(LONGEST_LIFETIME);
/// Known devices of one client's network. Beyond this the oldest counts as unknown until its next login.
const MOST_DEVICES: u32 = 10_000;
/// Lifetime of the mark that a look-up takes, if the mark is not given back: longer than the store takes to answer,
/// also if the clocks of the instances differ.
const PROBE_LIFETIME: Duration = Duration::from_secs(10);
/// How long a look-up prevents others of the same device: longer than [`PROBE_LIFETIME`].
const LOOK_UP_LIFETIME: Duration = Duration::from_secs(60);

impl Sessions {
    /// The device id in a request's device cookie; `None` if it is no UUID.
    pub fn device_id(&self, headers: &HeaderMap) -> Option<Uuid> {
        let value = self.shared.jar.find(headers.get_all(header::COOKIE).iter()).device?;
        parse_id(std::str::from_utf8(value).ok()?)
    }

    /// Records this device as known. On a store error it counts as unknown until the next login.
    pub(crate) async fn remember_device(&self, id: Uuid, client: ClientKey) {
        let now = self.shared.now();
        let owner = Owner { key: digest_of(&[b"devices of", client.network()]), most: MOST_DEVICES };
        if let Err(error) =
            self.shared.store.one_time.take_of(owner, known_mark(id), now.plus(KNOWN_LIFETIME), now).await
        {
            tracing::warn!(%error, "a device was not recorded as known; it counts as unknown until its next login");
        }
    }

    /// Whether there was a login on the device that the request's cookie names. This proves nothing about the person:
    /// scripts can read the cookie, and it can be copied. False on a store error.
    pub(crate) async fn knows_device(&self, headers: &HeaderMap) -> bool {
        let Some(id) = self.device_id(headers) else { return false };
        self.has_logged_in(id).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the store did not answer whether a device is known; it counts as unknown");
            false
        })
    }

    /// The store has no look-up, only [`take`](crate::store::OneTime::take): a device is known if its mark cannot be
    /// taken. Only one request at a time may try: a second one would find the mark of the first, and the device would
    /// count as known.
    async fn has_logged_in(&self, id: Uuid) -> Result<bool, StoreError> {
        let (one_time, now) = (&self.shared.store.one_time, self.shared.now());
        let look_up = digest_of(&[b"asking for device", id.as_bytes()]);
        if !one_time.take(look_up, now.plus(LOOK_UP_LIFETIME), now).await? {
            return Ok(false);
        }
        let is_known = !one_time.take(known_mark(id), now.plus(PROBE_LIFETIME), now).await?;
        if !is_known {
            one_time.give_back(known_mark(id), now).await?;
        }
        one_time.give_back(look_up, now).await?;
        Ok(is_known)
    }
}

fn known_mark(id: Uuid) -> Digest {
    digest_of(&[b"known device", id.as_bytes()])
}

/// A device name for people, for example `Chrome on Windows`, from the User-Agent; `Unknown device` if that names
/// neither a known browser nor a known system.
pub fn name(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let first =
        |table: &[(&str, &'static str)]| table.iter().find(|(token, _)| agent.contains(token)).map(|(_, name)| *name);
    match (first(BROWSERS), first(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => system.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// The device id from an app or a cookie; `None` if it is no hyphenated UUID.
pub fn parse_id(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

// The first match counts: a browser's User-Agent also names the browsers it is based on.
const BROWSERS: &[(&str, &str)] = &[
    ("KAKAOTALK", "KakaoTalk"),
    ("NAVER(", "NAVER app"),
    ("Edg", "Edge"),
    ("Whale/", "Whale"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
];

const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_browser_and_system() {
        let named = |agent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, agent.parse().unwrap());
            name(&headers)
        };
        assert_eq!(
            named("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0"),
            "Edge on Windows"
        );
        assert_eq!(
            named("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 Version/17.0 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(named("okhttp/4"), "Unknown device");
        assert_eq!(name(&HeaderMap::new()), "Unknown device");
    }

    #[test]
    fn a_device_id_that_is_no_hyphenated_uuid_is_ignored() {
        assert!(parse_id("7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11").is_some());
        assert!(parse_id("7b0e7c0e3a534c8b9d0e0a4b7a2f8c11").is_none());
        assert!(parse_id("root").is_none());
    }
}
