//! Leases whose answers are lost, that are renewed, and that are taken over.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::{runtime::Handle, sync::broadcast};

use super::*;
use crate::{
    authority::{self, Authority, AuthorityKind},
    call::Caller,
    clock::Clock,
    secret::Random,
    session::{self, Sessions},
    store::{MemoryStore, Refreshes, Settled, Store, StoredResult},
    telemetry::Metrics,
};

const SID: Sid = Sid([1; 16]);
const RT: Digest = Digest([2; 32]);

/// A store of which some answers are lost on the way, and whose renewals are counted.
struct Lossy {
    store: Arc<dyn Refreshes>,
    lost: AtomicU32,
    renewals: AtomicU32,
}

impl Refreshes for Lossy {
    fn lease(
        &self,
        sid: Sid,
        rt: Digest,
        known: Generation,
        holder: Holder,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Lease, StoreError>> {
        async move {
            let lease = self.store.lease(sid, rt, known, holder, lasting, now).await;
            let is_lost = self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lost| lost.checked_sub(1));
            if is_lost.is_ok() { Err(StoreError::Unavailable("the answer was lost".to_owned())) } else { lease }
        }
        .boxed()
    }

    fn renew(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        lasting: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.renewals.fetch_add(1, Ordering::Relaxed);
        self.store.renew(sid, rt, fence, lasting, now)
    }

    fn settle(
        &self,
        sid: Sid,
        rt: Digest,
        fence: u64,
        result: Option<(Generation, Bytes)>,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Settled, StoreError>> {
        self.store.settle(sid, rt, fence, result, keep_until, now)
    }

    fn result(&self, sid: Sid, rt: Digest, now: Timestamp) -> BoxFuture<'_, Result<Option<StoredResult>, StoreError>> {
        self.store.result(sid, rt, now)
    }

    fn acknowledge(
        &self,
        sid: Sid,
        generation: Generation,
        keep_until: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.acknowledge(sid, generation, keep_until, now)
    }

    fn end(&self, sid: Sid, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.end(sid, until, now)
    }

    fn wait(&self, sid: Sid, at_most: Duration) -> BoxFuture<'_, ()> {
        self.store.wait(sid, at_most)
    }

    fn has_ended(&self, sid: Sid, now: Timestamp) -> bool {
        self.store.has_ended(sid, now)
    }

    fn endings(&self) -> broadcast::Receiver<Sid> {
        self.store.endings()
    }
}

/// Two instances with one store, of which this many answers to `lease` are lost.
fn instances(lost: u32) -> ([Arc<Shared>; 2], Arc<Lossy>, Clock) {
    let (store, clock) = (MemoryStore::shared(), Clock::movable());
    let lossy =
        Arc::new(Lossy { store: store.refreshes.clone(), lost: AtomicU32::new(lost), renewals: AtomicU32::new(0) });
    let store = Store { refreshes: lossy.clone(), ..store };
    let instance = || {
        let settings = authority::Settings { kind: AuthorityKind::Provider, verify: None, notify: None };
        let deps = authority::test_deps(Caller::new(vec![], 64 << 10).unwrap(), vec![], &clock);
        let sessions = Sessions::new(
            session::test_settings("https://app.example.kr"),
            Arc::new(Authority::new(settings, deps).unwrap()),
            store.clone(),
            clock.clone(),
            Random::system(),
            Arc::new(Metrics::new()),
            Handle::current(),
        );
        sessions.shared
    };
    ([instance(), instance()], lossy, clock)
}

async fn ask(instance: &Shared) -> Result<Asked, StoreError> {
    instance.ask_for_lease((RT, 0), (SID, RT, 0)).await
}

async fn granted(instance: &Shared) -> HeldLease {
    match ask(instance).await {
        Ok(Asked::Granted(lease)) => lease,
        Ok(_) => panic!("it is held"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_grant_was_lost_asks_again_and_has_its_lease() {
    let ([one, other], _, _) = instances(1);
    granted(&one).await;
    assert!(matches!(ask(&other).await, Ok(Asked::LookAgain)));
}

#[tokio::test(start_paused = true)]
async fn the_next_task_of_the_same_instance_has_a_lease_whose_grant_was_lost_twice() {
    let ([one, other], _, _) = instances(2);
    assert!(ask(&one).await.is_err());
    assert!(matches!(ask(&other).await, Ok(Asked::LookAgain)));
    let lease = granted(&one).await;
    assert!(!lease.is_doubtful(one.now()), "the authority was not asked with it");
    // Another refresh of this instance does not share it.
    assert!(matches!(one.ask_for_lease((Digest([3; 32]), 0), (SID, RT, 0)).await, Ok(Asked::LookAgain)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_each_second_while_the_authority_is_asked() {
    let ([one, _], lossy, _) = instances(0);
    let lease = granted(&one).await;
    one.renewing(lease, tokio::time::sleep(Duration::from_millis(9500))).await;
    assert_eq!(lossy.renewals.load(Ordering::Relaxed), 9);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_its_holder_never_settled_is_taken_over_after_4_seconds_and_doubtful_for_60() {
    let ([one, other], _, clock) = instances(0);
    granted(&one).await;
    clock.advance(LEASE);
    let lease = granted(&other).await;
    assert!(lease.is_doubtful(other.now()));
    clock.advance(Duration::from_secs(55));
    assert!(lease.is_doubtful(other.now()));
    clock.advance(Duration::from_secs(2));
    assert!(!lease.is_doubtful(other.now()));
}
