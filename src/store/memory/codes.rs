//! One-time codes in memory.

use std::collections::HashMap;

use bytes::Bytes;

use super::super::{Again, Digest, NewCode, Opened, StoreError, Tried};
use crate::{clock::Timestamp, secret::ct_eq};

/// Addresses that codes were sent to lately; past that no more are, because forgetting one would forget its tries.
const MOST_ADDRESSES: usize = 200_000;

/// By address.
#[derive(Default)]
pub(super) struct Codes(HashMap<Digest, Address>);

#[derive(Default)]
struct Address {
    sent_at: Timestamp,
    cool_until: Timestamp,
    /// The newest claim's number, of any of its codes.
    claims: u64,
    codes: HashMap<Digest, Code>,
}

struct Code {
    mac: Digest,
    sealed: Bytes,
    expires: Timestamp,
    tries: u32,
    sent_again: u32,
    /// The newest claim's number; it stays when that runs out.
    claim: u64,
    claimed_until: Option<Timestamp>,
    is_exhausted: bool,
}

impl Code {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires > now && !self.is_exhausted
    }

    fn is_claimed(&self, now: Timestamp) -> bool {
        self.claimed_until.is_some_and(|until| until > now)
    }
}

impl Codes {
    pub(super) fn open(
        &mut self,
        code: NewCode,
        cooldown: std::time::Duration,
        most_live: usize,
        now: Timestamp,
    ) -> Result<Opened, StoreError> {
        if self.0.len() >= MOST_ADDRESSES && !self.0.contains_key(&code.address) {
            return Err(StoreError::Full);
        }
        let address = self.0.entry(code.address).or_default();
        address.codes.retain(|_, code| code.is_live(now) || code.is_claimed(now));
        if address.cool_until > now && address.sent_at.plus(cooldown) > now {
            return Ok(Opened::TooSoon(address.sent_at.plus(cooldown)));
        }
        let others = address.codes.iter().filter(|(browser, other)| **browser != code.browser && other.is_live(now));
        let others = others.map(|(_, other)| other.expires);
        if others.clone().count() >= most_live {
            return Ok(Opened::TooSoon(others.min().unwrap_or(now)));
        }
        address.sent_at = now;
        address.cool_until = now.plus(cooldown);
        let fresh = Code {
            mac: code.mac,
            sealed: code.sealed,
            expires: code.expires,
            tries: 0,
            sent_again: 0,
            claim: 0,
            claimed_until: None,
            is_exhausted: false,
        };
        address.codes.insert(code.browser, fresh);
        Ok(Opened::Stored)
    }

    pub(super) fn again(&mut self, address: Digest, browser: Digest, most: u32, now: Timestamp) -> Again {
        let Some(code) = self.live(address, browser, now) else { return Again::None };
        if code.sent_again >= most {
            return Again::TooOften(code.expires);
        }
        code.sent_again += 1;
        Again::Code { sealed: code.sealed.clone(), expires: code.expires }
    }

    pub(super) fn try_code(
        &mut self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> Tried {
        let Some(held) = self.0.get_mut(&address) else { return Tried::Gone };
        let Some(code) = held.codes.get_mut(&browser).filter(|code| code.is_live(now)) else { return Tried::Gone };
        if code.tries >= most_tries || code.is_claimed(now) {
            return Tried::Gone;
        }
        code.tries += 1;
        if ct_eq(&code.mac.0, &mac.0) {
            // Above that of any code before it, also of one that was forgotten since.
            held.claims = (held.claims + 1).max(now.as_millis().unsigned_abs());
            code.claim = held.claims;
            code.claimed_until = Some(claim_until);
            return Tried::Right(code.claim);
        }
        code.is_exhausted = code.tries >= most_tries;
        Tried::Wrong
    }

    pub(super) fn settle(&mut self, address: Digest, browser: Digest, claim: u64, spent: bool) -> bool {
        let Some(held) = self.0.get_mut(&address) else { return false };
        let Some(code) = held.codes.get_mut(&browser).filter(|c| c.claim == claim && c.claimed_until.is_some()) else {
            return false;
        };
        if spent {
            held.codes.remove(&browser);
        } else {
            code.claimed_until = None;
            code.tries = code.tries.saturating_sub(1);
        }
        true
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.0.retain(|_, address| {
            address.codes.retain(|_, code| code.is_live(now) || code.is_claimed(now));
            address.cool_until > now || !address.codes.is_empty()
        });
    }

    fn live(&mut self, address: Digest, browser: Digest, now: Timestamp) -> Option<&mut Code> {
        self.0.get_mut(&address)?.codes.get_mut(&browser).filter(|code| code.is_live(now))
    }
}
