//! The challenge: a sealed value that proves that the browser which tries a code is the one that requested it. Browsers
//! get it as a cookie, apps as a field of the answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    address::Address,
    code::CodeBinding,
    endpoints::{ChannelSetup, Otps},
    settings::{CodePurpose, LONGEST_LIFETIME},
};
use crate::{
    channel::Channel,
    clock::Timestamp,
    endpoint::Call,
    seal::{self, MacKey, OpenError},
    session::CookieChanges,
    store::Sid,
};

/// The content of a challenge. Its JSON names are short because browsers send the cookie with every request while the
/// code is valid.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Challenge {
    /// Identifies the browser: 128 random bits.
    #[serde(rename = "h")]
    pub(super) handle: String,
    #[serde(rename = "c")]
    pub(super) channel: Channel,
    /// [`Address::recipient`], not the canonical form.
    #[serde(rename = "a")]
    pub(super) address: String,
    #[serde(rename = "p")]
    pub(super) purpose: CodePurpose,
    #[serde(rename = "m")]
    pub(super) made: Timestamp,
    /// The end of the code, by the store's clock: another instance may judge it.
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

/// A challenge that was unsealed, for an address that is still allowed.
pub(super) struct OpenedChallenge {
    pub(super) challenge: Challenge,
    pub(super) address: Address,
    /// Derived from the session key that sealed the challenge. The code was stored under this key, so it can be
    /// verified after a key rotation too.
    pub(super) key: MacKey,
}

/// The challenge of a request, if it has a valid one.
#[derive(Default)]
pub(super) struct PresentedChallenge {
    /// The challenge, if it is valid for this channel, session and time.
    pub(super) opened: Option<OpenedChallenge>,
    /// Deletes a challenge cookie that cannot be unsealed.
    pub(super) cleared: CookieChanges,
}

impl OpenedChallenge {
    pub(super) fn binding<'h>(&'h self, setup: &ChannelSetup, sid: Option<Sid>) -> CodeBinding<'h> {
        CodeBinding {
            channel: setup.channel,
            address: self.address.canonical(),
            purpose: setup.purpose,
            handle: &self.challenge.handle,
            sid,
        }
    }
}

impl Otps {
    /// The challenge in the body, else in the cookie. If there are two valid cookies with different handles, both are
    /// ignored: another host of the same domain may have set one of them.
    pub(super) fn presented_challenge(
        &self,
        call: &Call,
        setup: &ChannelSetup,
        in_body: Option<&str>,
        sid: Option<Sid>,
    ) -> PresentedChallenge {
        let now = self.store_time();
        if let Some(text) = in_body {
            let opened =
                self.open(text.as_bytes(), setup).ok().flatten().filter(|opened| opened.is_valid_for(setup, sid, now));
            return PresentedChallenge { opened, ..PresentedChallenge::default() };
        }
        let challenges = self.sessions.challenges();
        let values = challenges.find(&call.headers, setup.channel);
        let opened: Vec<_> = values.iter().map(|value| self.open(value, setup)).collect();
        let has_broken = opened.iter().any(|opened| matches!(opened, Err(OpenError::Broken)));
        let mut good =
            opened.into_iter().filter_map(|opened| opened.ok()?.filter(|opened| opened.is_valid_for(setup, sid, now)));
        let first = good.next();
        let is_unambiguous =
            first.as_ref().is_none_or(|first| good.all(|h| h.challenge.handle == first.challenge.handle));
        let cleared =
            if first.is_none() && has_broken { challenges.clear(setup.channel) } else { CookieChanges::default() };
        PresentedChallenge { opened: first.filter(|_| is_unambiguous), cleared }
    }

    /// The time of the store's clock.
    pub(super) fn store_time(&self) -> Timestamp {
        self.store.health.time_at(self.clock.now())
    }

    pub(super) fn seal_challenge(&self, challenge: &Challenge) -> String {
        let plain = serde_json::to_vec(challenge).expect("texts and numbers can be written as JSON");
        self.ring.seal(seal::Purpose::Challenge, &plain, |_| 1)
    }

    /// The cookie change that sets a sealed challenge; it lasts as long as the code, at least 1 s.
    pub(super) fn challenge_cookie(&self, setup: &ChannelSetup, sealed: &str) -> CookieChanges {
        let span = self.settings.lifetime.min(LONGEST_LIFETIME).max(Duration::from_secs(1));
        self.sessions.challenges().keep(setup.channel, sealed, span)
    }

    /// Opens a sealed challenge. `Ok(None)`: of another channel, or for an address that is no longer allowed, such as
    /// one in a country that was removed from `countries`.
    fn open(&self, text: &[u8], setup: &ChannelSetup) -> Result<Option<OpenedChallenge>, OpenError> {
        let plain = self.ring.open(seal::Purpose::Challenge, text, 1)?;
        let key = self.ring.mac_key_of(text)?;
        let challenge: Challenge = serde_json::from_slice(&plain).map_err(|_| OpenError::Broken)?;
        if challenge.channel != setup.channel {
            return Ok(None);
        }
        let address = Address::parse(setup.channel, &challenge.address, &self.settings.addresses);
        Ok(address.map(|address| OpenedChallenge { challenge, address, key }))
    }
}

impl OpenedChallenge {
    fn is_valid_for(&self, setup: &ChannelSetup, sid: Option<Sid>, now: Timestamp) -> bool {
        let challenge = &self.challenge;
        challenge.purpose == setup.purpose
            && challenge.expires > now
            && challenge.sid == sid.map(|sid| Uuid::from_bytes(sid.0))
    }
}
