//! One-time codes in memory.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use super::{
    journal::Journal,
    records::{AddressCodes, CodeRecord, Record, RecordKey},
};
use crate::{
    clock::Timestamp,
    secret::ct_eq,
    store::contract::{Digest, NewCode, Opened, Resent, StoreError, Tried},
};

/// Addresses with codes or a cool-down. Beyond this no code is opened for another address: removing an entry would
/// reset its count of tries.
const MOST_ADDRESSES: usize = 200_000;

/// The codes, by address.
#[derive(Default)]
pub(super) struct Codes(HashMap<Digest, AddressCodes>);

impl CodeRecord {
    fn is_live(&self, now: Timestamp) -> bool {
        self.expires > now && !self.is_exhausted
    }

    fn is_claimed(&self, now: Timestamp) -> bool {
        self.claimed_until.is_some_and(|until| until > now)
    }
}

impl AddressCodes {
    fn remove_dead(&mut self, now: Timestamp) {
        self.codes.retain(|_, code| code.is_live(now) || code.is_claimed(now));
    }

    fn live(&mut self, browser: Digest, now: Timestamp) -> Option<&mut CodeRecord> {
        self.codes.get_mut(&browser).filter(|code| code.is_live(now))
    }

    fn record(&self, address: Digest, journal: &impl Journal) {
        journal.put(Record::Address(address, Cow::Borrowed(self)));
    }
}

impl Codes {
    pub(super) fn open(
        &mut self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Result<Opened, StoreError> {
        if self.0.len() >= MOST_ADDRESSES && !self.0.contains_key(&code.address) {
            return Err(StoreError::Full);
        }
        let address = self.0.entry(code.address).or_default();
        address.remove_dead(now);
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
        let fresh = CodeRecord {
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
        address.record(code.address, journal);
        Ok(Opened::Stored)
    }

    pub(super) fn resend(
        &mut self,
        (address, browser): (Digest, Digest),
        most: u32,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Resent {
        let Some(sent) = self.0.get_mut(&address) else { return Resent::None };
        let Some(code) = sent.live(browser, now) else { return Resent::None };
        if code.sent_again >= most {
            return Resent::TooOften(code.expires);
        }
        code.sent_again += 1;
        let resent = Resent::Code { sealed: code.sealed.clone(), expires: code.expires };
        sent.record(address, journal);
        resent
    }

    pub(super) fn try_code(
        &mut self,
        (address, browser): (Digest, Digest),
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
        journal: &impl Journal,
    ) -> Tried {
        let Some(sent) = self.0.get_mut(&address) else { return Tried::Gone };
        // Higher than every earlier number, also that of a record which was removed since: the time in milliseconds
        // ensures this.
        let claim = (sent.claims + 1).max(now.as_millis().unsigned_abs());
        let Some(code) = sent.live(browser, now) else { return Tried::Gone };
        if code.tries >= most_tries || code.is_claimed(now) {
            return Tried::Gone;
        }
        code.tries += 1;
        let tried = if ct_eq(&code.mac.0, &mac.0) {
            code.claim = claim;
            code.claimed_until = Some(claim_until);
            sent.claims = claim;
            Tried::Right(claim)
        } else {
            code.is_exhausted = code.tries >= most_tries;
            Tried::Wrong
        };
        sent.record(address, journal);
        tried
    }

    pub(super) fn settle(
        &mut self,
        (address, browser): (Digest, Digest),
        claim: u64,
        spent: bool,
        journal: &impl Journal,
    ) -> bool {
        let Some(held) = self.0.get_mut(&address) else { return false };
        let code = held.codes.get_mut(&browser).filter(|code| code.claim == claim && code.claimed_until.is_some());
        let Some(code) = code else { return false };
        if spent {
            held.codes.remove(&browser);
        } else {
            code.claimed_until = None;
            code.tries = code.tries.saturating_sub(1);
        }
        held.record(address, journal);
        true
    }

    pub(super) fn restore(&mut self, id: Digest, address: AddressCodes) {
        self.0.insert(id, address);
    }

    pub(super) fn sweep(&mut self, now: Timestamp, journal: &impl Journal) {
        self.0.retain(|id, address| {
            let before = address.codes.len();
            address.remove_dead(now);
            let is_kept = address.cool_until > now || !address.codes.is_empty();
            if !is_kept {
                journal.remove(RecordKey::Address(*id));
            } else if address.codes.len() < before {
                address.record(*id, journal);
            }
            is_kept
        });
    }
}
