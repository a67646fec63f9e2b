//! The device of a session: an id that the gateway makes at the first login, and a name read from the User-Agent; and which devices have logged in before.

use std::time::Duration;

use http::{HeaderMap, header};
use uuid::Uuid;

use super::{Sessions, grant::digest_of};
use crate::store::{Digest, StoreError};

/// As long as a browser keeps the cookie.
const REMEMBERED: Duration = Duration::from_secs(super::cookies::LONGEST_LIFETIME);
/// Longer than a store takes to answer, whatever the clocks of a fleet say.
const ASKED: Duration = Duration::from_secs(10);
/// Who asks goes first for longer than the mark that asking leaves.
const ASKING: Duration = Duration::from_secs(60);

impl Sessions {
    /// Keeps in mind that somebody has logged in on this device. Where that fails it stays a stranger until the next login.
    pub(crate) async fn remember_device(&self, id: Uuid) {
        let now = self.inner.now();
        if let Err(error) = self.inner.store.one_time.take(known(id), now.plus(REMEMBERED), now).await {
            tracing::warn!(%error, "a device that logged in was not remembered");
        }
    }

    /// Whether somebody has logged in on the device that a request names. No proof of who is there: scripts can read the cookie, and others can copy it. False where the store does not say.
    pub(crate) async fn knows_device(&self, headers: &HeaderMap) -> bool {
        let Some(id) = self.device_id(headers) else { return false };
        self.has_logged_in(id).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether a device has logged in before is not known");
            false
        })
    }

    /// The store tells what it remembers by taking it alone. One request at a time may ask about a device, else another would find the mark of the first and think it remembered.
    async fn has_logged_in(&self, id: Uuid) -> Result<bool, StoreError> {
        let (one_time, now) = (&self.inner.store.one_time, self.inner.now());
        let asking = digest_of(&[b"asking for device", id.as_bytes()]);
        if !one_time.take(asking, now.plus(ASKING), now).await? {
            return Ok(false);
        }
        let is_known = !one_time.take(known(id), now.plus(ASKED), now).await?;
        if !is_known {
            one_time.give_back(known(id), now).await?;
        }
        one_time.give_back(asking, now).await?;
        Ok(is_known)
    }
}

fn known(id: Uuid) -> Digest {
    digest_of(&[b"known device", id.as_bytes()])
}

/// A device name for people, e.g. `Chrome on Windows`, from the User-Agent; `Unknown device` where it says nothing known.
pub fn name(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let first =
        |table: &[(&str, &'static str)]| table.iter().find(|(sign, _)| agent.contains(sign)).map(|(_, name)| *name);
    match (first(BROWSERS), first(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => system.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

/// A device id that an app or a cookie brings along: taken if it is a UUID.
pub fn parse_id(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

// Order matters: each browser also names those it descends from.
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
    fn only_a_uuid_is_taken_as_a_device_id() {
        assert!(parse_id("7b0e7c0e-3a53-4c8b-9d0e-0a4b7a2f8c11").is_some());
        assert!(parse_id("7b0e7c0e3a534c8b9d0e0a4b7a2f8c11").is_none());
        assert!(parse_id("root").is_none());
    }
}
