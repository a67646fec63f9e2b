//! Opens the store, and checks whether it can be reached.

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    address::Address,
    follow,
    instance::Instance,
    script::{PROBE, ScriptCall},
    servers::connect,
};
use crate::{
    clock::Clock,
    secret::{Random, Secret},
    store::{
        contract::{Health, OpenStoreError, Store, StoreError},
        local::LocalState,
    },
};

/// The store in Redis: one server, a server behind Sentinels, or a Cluster.
pub(in crate::store) struct RedisStore {
    pub(super) instance: Arc<Instance>,
    _follower: AbortOnDropHandle<()>,
}

impl RedisStore {
    /// Checks that `url` can be parsed and the certificates that it names can be read.
    pub(in crate::store) fn check(url: &Secret) -> Result<(), OpenStoreError> {
        connect::tls(&Address::parse(url)?).map(drop)
    }

    /// Opens the store at `url`. Tasks on `runtime` connect to it and receive messages of other instances.
    pub(in crate::store) fn open(
        url: &Secret,
        runtime: &Handle,
        random: &Random,
        clock: Clock,
    ) -> Result<Store, OpenStoreError> {
        Self::with(url, runtime, random, LocalState::new(clock))
    }

    pub(super) fn with(
        url: &Secret,
        runtime: &Handle,
        random: &Random,
        local: LocalState,
    ) -> Result<Store, OpenStoreError> {
        let instance = Arc::new(Instance::new(Address::parse(url)?, runtime, random, local)?);
        let follower = AbortOnDropHandle::new(runtime.spawn(follow::follow(instance.clone(), random.clone())));
        Ok(Store::of(Arc::new(Self { instance, _follower: follower })))
    }
}

impl Health for RedisStore {
    fn is_reachable(&self) -> Option<bool> {
        self.instance.local.is_reachable()
    }

    fn clock_difference(&self) -> Option<i64> {
        self.instance.local.clock_difference()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        // The value that a probe writes is never read, so it is valid for 0 ms.
        let now = self.instance.local.now();
        let call = ScriptCall::new(&PROBE, self.instance.keys.probe())
            .arg(self.instance.keys.channel())
            .time_to_live(now, now);
        async move { self.instance.ask(call, now).await.map(drop) }.boxed()
    }
}
