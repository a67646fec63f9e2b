//! One-time codes: opened, sent again, tried, claimed and settled.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::{channel::Channel, clock::Timestamp};

/// A one-time code about to be sent. `address` and `browser` name it: there is one code for each pair.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The address it goes to: a keyed digest of channel and address.
    pub address: Digest,
    /// The browser that may use it: a digest of the purpose and of the browser's handle.
    pub browser: Digest,
    /// A keyed digest of its digits and of everything that it is bound to. Because it is keyed, the time that a
    /// comparison takes tells nothing about the digits.
    pub mac: Digest,
    /// Its digits, sealed, so that they can be sent again.
    pub sealed: Bytes,
    /// The code is dead from this moment on.
    pub expires: Timestamp,
    /// Facts in clear text, for those who audit the store.
    pub facts: CodeFacts,
}

/// What a code's record says in clear text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeFacts {
    /// The channel of the address.
    pub channel: Channel,
    /// `verify`, `login` or `prove`.
    pub purpose: &'static str,
    /// The address, masked.
    pub masked: String,
}

/// The answer to the opening of a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The code is live. It replaces an older one of the same browser for the same address.
    Stored,
    /// Nothing was stored: the address is cooling down, or has as many live codes as it may. Worth another attempt from
    /// this moment on.
    TooSoon(Timestamp),
}

/// The answer to a request to send a code again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resent {
    /// The live code; this sending is counted.
    Code {
        /// Its digits, sealed.
        sealed: Bytes,
        /// When it dies.
        expires: Timestamp,
    },
    /// It was sent again as often as it may be; it dies at this moment.
    TooOften(Timestamp),
    /// There is no live code.
    None,
}

/// The answer to a try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// It is right. The code is claimed for this taker until the claim is settled or runs out; the number is the
    /// claim's.
    Right(u64),
    /// It is wrong; the try is counted.
    Wrong,
    /// There is no live code, its tries are used up, or another taker has claimed it: nothing was compared.
    Gone,
}

/// One-time codes. All codes of an address are found by its digest, so each method can be one script on one node of a
/// shared store.
pub trait Codes: Send + Sync {
    /// Stores `code`, unless the address was sent one less than `cooldown` ago, or other browsers have `most_live` live
    /// codes for it. A code is live that is neither expired, nor spent, nor out of tries.
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>>;

    /// The live code of this browser, to be sent again: at most `most` times. Its tries and the cool-down stay as they
    /// are.
    fn resend(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>>;

    /// Counts a try, then compares `mac` with the live code's: one atomic step. After `most_tries` wrong ones the code
    /// is dead. A right one is claimed until `claim_until`.
    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>>;

    /// Ends a claim. With `spent` the code is used up; without it the code lives on, and its right try is not counted.
    /// False if the claim was lost: it ran out and another taker claimed the code, or the browser was sent another
    /// code. A claim outlives the expiry of its code.
    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;
}
