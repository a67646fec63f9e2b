//! The challenge: what the browser that asked for a code shows when it brings the digits. Sealed; a cookie for browsers, a text for apps.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Line, Otps, Purpose, address::Address, code::Bound};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::Call,
    seal::{self, MacKey, OpenError},
    session::CookieChanges,
    store::Sid,
};

/// A challenge. Short names: it travels with each request as long as the code lives.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Challenge {
    /// 128 random bits: what the browser is called.
    #[serde(rename = "h")]
    pub(super) handle: String,
    #[serde(rename = "c")]
    pub(super) channel: Channel,
    /// As it was sent to.
    #[serde(rename = "a")]
    pub(super) address: String,
    #[serde(rename = "p")]
    pub(super) purpose: Purpose,
    #[serde(rename = "m")]
    pub(super) made: Timestamp,
    #[serde(rename = "x")]
    pub(super) expires: Timestamp,
    #[serde(rename = "s", skip_serializing_if = "Option::is_none", default)]
    pub(super) sid: Option<Uuid>,
    #[serde(rename = "r", skip_serializing_if = "Option::is_none", default)]
    pub(super) return_to: Option<String>,
    #[serde(rename = "d", skip_serializing_if = "Option::is_none", default)]
    pub(super) device_id: Option<Uuid>,
    #[serde(rename = "n", skip_serializing_if = "Option::is_none", default)]
    pub(super) device_name: Option<String>,
}

/// A challenge that is good here and now.
pub(super) struct Held {
    pub(super) challenge: Challenge,
    pub(super) address: Address,
    /// Of the key that sealed it: codes are found, and compared, under the key that was the first when they were sent.
    pub(super) key: MacKey,
}

/// What a request showed.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) held: Option<Held>,
    /// Deletes a cookie that is ours and does not open.
    pub(super) spoiled: CookieChanges,
}

impl Held {
    /// What its code is bound to.
    pub(super) fn bound<'h>(&'h self, line: &Line, sid: Option<Sid>) -> Bound<'h> {
        Bound {
            channel: line.channel,
            address: self.address.canonical(),
            purpose: line.purpose,
            handle: &self.challenge.handle,
            sid,
        }
    }
}

impl Otps {
    /// The challenge that a request shows: that of its body, else that of its cookie. Of two cookies (a neighbouring host may have set one) with different handles none counts.
    pub(super) fn shown(&self, call: &Call, line: &Line, in_body: Option<&str>, sid: Option<Sid>) -> Shown {
        let now = self.clock.now();
        if let Some(text) = in_body {
            let held = self.open(text.as_bytes(), line).ok().flatten().filter(|held| held.is_good(line, sid, now));
            return Shown { held, ..Shown::default() };
        }
        let challenges = self.sessions.challenges();
        let values = challenges.find(&call.headers, line.channel);
        let opened: Vec<_> = values.iter().map(|value| self.open(value, line)).collect();
        let is_spoiled = opened.iter().any(|opened| matches!(opened, Err(OpenError::Broken)));
        let mut good = opened.into_iter().filter_map(|opened| opened.ok()?.filter(|held| held.is_good(line, sid, now)));
        let first = good.next();
        let is_alone = first.as_ref().is_none_or(|first| good.all(|h| h.challenge.handle == first.challenge.handle));
        let spoiled =
            if first.is_none() && is_spoiled { challenges.clear(line.channel) } else { CookieChanges::default() };
        Shown { held: first.filter(|_| is_alone), spoiled }
    }

    /// A challenge as it travels.
    pub(super) fn seal_challenge(&self, challenge: &Challenge) -> String {
        let plain = serde_json::to_vec(challenge).expect("texts and numbers can be written as JSON");
        self.ring.seal(seal::Purpose::Challenge, &plain, |_| 1)
    }

    /// Sets the cookie of a challenge.
    pub(super) fn keep(&self, line: &Line, sealed: &str) -> CookieChanges {
        let span = self.settings.lifetime.min(super::LONGEST_LIFETIME).max(Duration::from_secs(1));
        self.sessions.challenges().keep(line.channel, sealed, span)
    }

    /// `Ok(None)` where it opens and says nothing of use, such as an address of a country that was taken off the list since.
    fn open(&self, text: &[u8], line: &Line) -> Result<Option<Held>, OpenError> {
        let plain = self.ring.open(seal::Purpose::Challenge, text, 1)?;
        let key = self.ring.mac_key_of(text)?;
        let challenge: Challenge = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
        if challenge.channel != line.channel {
            return Ok(None);
        }
        let address = Address::parse(line.channel, &challenge.address, &self.settings.addresses);
        Ok(address.map(|address| Held { challenge, address, key }))
    }
}

impl Held {
    fn is_good(&self, line: &Line, sid: Option<Sid>, now: Timestamp) -> bool {
        let challenge = &self.challenge;
        challenge.purpose == line.purpose
            && challenge.expires > now
            && challenge.sid == sid.map(|sid| Uuid::from_bytes(sid.0))
    }
}
