//! The store: opened, and asked whether it can be reached.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    address::Address,
    follow,
    instance::Instance,
    script::{Call, PROBE},
    servers::connect,
};
use crate::{
    secret::{Random, Secret},
    store::contract::{Health, OpenStoreError, Store, StoreError},
};

/// Redis: one server, a server behind Sentinels, or a Cluster.
pub(in crate::store) struct RedisStore {
    pub(super) instance: Arc<Instance>,
    _follower: AbortOnDropHandle<()>,
}

impl RedisStore {
    /// Whether `url` can be parsed, and its certificates can be read.
    pub(in crate::store) fn check(url: &Secret) -> Result<(), OpenStoreError> {
        connect::tls(&Address::parse(url)?).map(drop)
    }

    /// The store at `url`. Tasks on `runtime` connect to it, and follow what other instances do.
    pub(in crate::store) fn open(url: &Secret, runtime: &Handle, random: &Random) -> Result<Store, OpenStoreError> {
        let instance = Arc::new(Instance::new(Address::parse(url)?, runtime, random)?);
        let follower = AbortOnDropHandle::new(runtime.spawn(follow::follow(instance.clone(), random.clone())));
        Ok(Store::of(Arc::new(Self { instance, _follower: follower })))
    }
}

impl Health for RedisStore {
    fn is_reachable(&self) -> Option<bool> {
        self.instance.local.is_reachable()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        // Nobody reads what a probe writes, so it is valid for no time at all.
        let now = self.instance.local.latest();
        let call =
            Call::new(&PROBE, self.instance.keys.probe()).arg(self.instance.keys.channel()).time_to_live(now, now);
        async move { self.instance.ask(&call).await.map(drop) }.boxed()
    }
}
