//! One-time codes: opened, sent again, tried, claimed and settled.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::{channel::Channel, clock::Timestamp};

/// A one-time code that is about to be sent. There is one code for each pair of `address` and `browser`.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The recipient: a keyed digest of channel and address.
    pub address: Digest,
    /// The browser that may use it: a digest of the purpose and of the browser's handle.
    pub browser: Digest,
    /// A keyed digest of the digits and of everything that the code is bound to. Because it is keyed, the time of a
    /// comparison reveals nothing about the digits.
    pub mac: Digest,
    /// The sealed digits, kept to send them again.
    pub sealed: Bytes,
    /// The code is invalid from this time on.
    pub expires: Timestamp,
    /// Facts in clear text, for audits of the store.
    pub facts: CodeFacts,
}

/// The clear-text part of a code's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeFacts {
    /// The channel that delivers the code.
    pub channel: Channel,
    /// `verify`, `login` or `prove`.
    pub purpose: &'static str,
    /// The masked address, such as `010-****-5678`.
    pub masked: String,
}

/// The answer to [`Codes::open`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opened {
    /// The code is stored. It replaced an older one of the same browser for the same address.
    Stored,
    /// Nothing was stored: the address is in its cool-down, or has the most live codes that it may have. Another
    /// attempt can succeed from this time on.
    TooSoon(Timestamp),
}

/// The answer to [`Codes::resend`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resent {
    /// The live code; this message was counted.
    Code {
        /// The sealed digits.
        sealed: Bytes,
        /// The code's expiry.
        expires: Timestamp,
    },
    /// The code was sent again the most times that are allowed; it expires at this time.
    TooOften(Timestamp),
    /// There is no live code.
    None,
}

/// The answer to [`Codes::try_code`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// The digits are right. The code is claimed for this caller until the claim is settled or runs out; the value is
    /// the claim's number.
    Right(u64),
    /// The digits are wrong; the try was counted.
    Wrong,
    /// Nothing was compared: there is no live code, its tries are used up, or another caller has claimed it.
    Gone,
}

/// One-time codes. All codes of an address are stored under its digest, so each method can be one script on one node of
/// a shared store.
pub trait Codes: Send + Sync {
    /// Stores `code`, unless a code was sent to the address less than `cooldown` ago, or other browsers have
    /// `most_live` live codes for it. A code is live if it is neither expired nor spent and has tries left.
    fn open(
        &self,
        code: NewCode,
        cooldown: Duration,
        most_live: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Opened, StoreError>>;

    /// The live code of this browser, to send it again, at most `most` times. Its tries and the cool-down are not
    /// changed.
    fn resend(
        &self,
        address: Digest,
        browser: Digest,
        most: u32,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Resent, StoreError>>;

    /// Counts a try, then compares `mac` with the live code's, in one atomic step. After `most_tries` wrong tries the
    /// code is invalid. A right try claims the code until `claim_until`.
    fn try_code(
        &self,
        address: Digest,
        browser: Digest,
        mac: Digest,
        most_tries: u32,
        claim_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Tried, StoreError>>;

    /// Ends a claim. With `spent` the code is used up; without it the code stays valid, and the right try is uncounted.
    /// False if the claim was lost: it ran out and another caller claimed the code, or the browser was sent a new code.
    /// A claim stays valid after the expiry of its code.
    fn settle_code(
        &self,
        address: Digest,
        browser: Digest,
        claim: u64,
        spent: bool,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;
}
