//! Values that the store keeps for minutes, each sealed with a key derived from a secret that only one browser has.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use super::{digest::digest_of, shared::Shared};
use crate::{
    client::ClientKey,
    seal::Purpose,
    secret::Secret,
    store::{DepositPlace, Digest, StoreError},
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
    pub owner: Digest,
    /// The secret.
    pub secret: Secret,
}

impl DepositSlot {
    /// The place in the store.
    pub fn place(&self) -> DepositPlace {
        DepositPlace { owner: self.owner, key: digest_of(&[b"deposit", self.secret.expose().as_bytes()]) }
    }
}

impl<'s> Deposits<'s> {
    pub(super) fn new(shared: &'s Shared) -> Self {
        Self { shared }
    }

    /// The owner of the deposits that `client` causes.
    pub fn owner(&self, client: ClientKey) -> Digest {
        Digest(self.shared.ring.mac_key().digest(&[b"deposits", client.bytes()]))
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
