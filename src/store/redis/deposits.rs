//! Deposits in Redis.

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{
    keys::hex,
    script::{DEPOSIT, DEPOSITED, ScriptCall},
    store::RedisStore,
};
use crate::{
    clock::Timestamp,
    store::{
        contract::{DepositPlace, Deposits, StoreError},
        words,
    },
};

impl Deposits for RedisStore {
    fn deposit(
        &self,
        place: DepositPlace,
        value: Bytes,
        until: Timestamp,
        most: usize,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = ScriptCall::new(&DEPOSIT, self.instance.keys.deposits(place.owner))
            .arg(hex(&place.key.0))
            .arg(value)
            .number(i64::try_from(most).unwrap_or(i64::MAX))
            .moment(until, now)
            .time_to_live(until, now);
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }

    fn deposited(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.read_deposit(place, Removal::No, now)
    }

    fn withdraw(&self, place: DepositPlace, now: Timestamp) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        self.read_deposit(place, Removal::Yes, now)
    }
}

/// Whether a deposit that is read is removed.
#[derive(Clone, Copy)]
enum Removal {
    No,
    Yes,
}

impl RedisStore {
    fn read_deposit(
        &self,
        place: DepositPlace,
        removal: Removal,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Option<Bytes>, StoreError>> {
        let call = ScriptCall::new(&DEPOSITED, self.instance.keys.deposits(place.owner))
            .arg(hex(&place.key.0))
            .number(i64::from(matches!(removal, Removal::Yes)));
        async move { words::deposited(&mut self.instance.ask(call, now).await?) }.boxed()
    }
}
