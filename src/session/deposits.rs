//! Values that the store keeps for minutes, each sealed with a key derived from a secret that only one browser has.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{digest::digest_of, shared::Shared};
use crate::{
    client::ClientKey,
    seal::Purpose,
    secret::Secret,
    store::{DepositPlace, StoreError},
};

/// Most deposits of one client. Those of a network behind one address share it, and only they lose by its end.
const MOST_PER_CLIENT: usize = 64;
/// Longest sealed value, in bytes.
const LONGEST: usize = 64 * 1024;

/// The deposits of browsers.
pub struct Deposits<'s> {
    shared: &'s Shared,
}

/// One deposit: the client that caused it, and the secret without which it can be neither found nor opened.
#[derive(Clone, Debug)]
pub struct DepositSlot {
    /// [`Deposits::owner`] of the client.
    pub owner: DepositOwner,
    /// The secret.
    pub secret: Secret,
}

/// A client, by the start of a keyed digest: short, because the cookie of a login attempt has it. The default stands
/// for all clients whose attempts were made by an older version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DepositOwner([u8; Self::LENGTH]);

impl DepositOwner {
    /// Its length in bytes.
    const LENGTH: usize = 12;
    /// The length of its text.
    pub const TEXT_LENGTH: usize = Self::LENGTH / 3 * 4;

    /// Its text, in base64url.
    pub fn text(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The owner with this text.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?))
    }
}

impl DepositSlot {
    /// The place in the store.
    pub fn place(&self) -> DepositPlace {
        let owner = digest_of(&[b"owner of deposits", &self.owner.0]);
        DepositPlace { owner, key: digest_of(&[b"deposit", self.secret.expose().as_bytes()]) }
    }
}

impl<'s> Deposits<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared }
    }

    /// The owner of the deposits that `client` causes.
    pub fn owner(&self, client: ClientKey) -> DepositOwner {
        let digest = self.shared.ring.mac_key().digest(&[b"deposits", client.bytes()]);
        let mut owner = [0; DepositOwner::LENGTH];
        owner.copy_from_slice(&digest[..DepositOwner::LENGTH]);
        DepositOwner(owner)
    }

    /// Deposits `value` for `span`, in place of an older value of this slot.
    pub async fn put<T: Serialize>(&self, slot: &DepositSlot, value: &T, span: Duration) -> Result<(), StoreError> {
        let Ok(plain) = serde_json::to_vec(value).map(Zeroizing::new) else { return Err(StoreError::Full) };
        let sealed = self.shared.ring.seal(Purpose::Deposit(&slot.secret), &plain, |_| 1);
        if sealed.len() > LONGEST {
            return Err(StoreError::Full);
        }
        let now = self.shared.now();
        let deposits = &self.shared.store.deposits;
        deposits.deposit(slot.place(), Bytes::from(sealed), now.plus(span), MOST_PER_CLIENT, now).await
    }

    /// The value of this slot; `None` if it has ended, was removed, or does not open.
    pub async fn get<T: DeserializeOwned>(&self, slot: &DepositSlot) -> Result<Option<T>, StoreError> {
        let sealed = self.shared.store.deposits.deposited(slot.place(), self.shared.now()).await?;
        Ok(sealed.and_then(|sealed| self.open(slot, &sealed)))
    }

    /// As [`Deposits::get`]; of several callers one gets the value.
    pub async fn withdraw<T: DeserializeOwned>(&self, slot: &DepositSlot) -> Result<Option<T>, StoreError> {
        let sealed = self.shared.store.deposits.withdraw(slot.place(), self.shared.now()).await?;
        Ok(sealed.and_then(|sealed| self.open(slot, &sealed)))
    }

    fn open<T: DeserializeOwned>(&self, slot: &DepositSlot, sealed: &[u8]) -> Option<T> {
        let plain = self.shared.ring.open(Purpose::Deposit(&slot.secret), sealed, 1).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
