//! The store in Redis: every step is one script on one key, so it is the same on one server, behind Sentinels and in a Cluster. Scripts compare the times they
//! are handed; Redis' own expiry only takes away, a good while later, what is past its time anyway.
//!
//! Every call has an answer within its deadline, half a second unless the address says otherwise. It is sent again only where the server said that it did not run: otherwise the caller learns that it may have run or not. Redis
//! replicates after it has answered, so a failover can lose the last writes: a code whose record is lost is dead, a lease that is lost was fenced, a family that fell behind is
//! unknown. What is taken once may then be taken a second time.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::{runtime::Handle, time::Instant};
use tokio_util::task::AbortOnDropHandle;

use self::{
    address::Address,
    keys::Keys,
    answer::Reply,
    script::{Call, GIVE_BACK, PROBE, TAKE},
    servers::Servers,
};
use super::{Digest, Health, OneTime, OpenError, Sid, Store, StoreError, ended_sessions::Endings, waiters::Wakes};
use crate::{clock::Timestamp, secret::Secret};

mod address;
mod answer;
mod codes;
mod counters;
mod families;
mod follow;
mod keys;
mod refreshes;
mod script;
mod servers;

/// Redis keeps things for so long past their time, and at least so long.
const SLACK: Duration = Duration::from_secs(60);
/// Nothing is kept longer: what says so means for ever.
const LONGEST: i64 = 10 * 366 * 86_400_000;
/// Times beyond this many milliseconds from the epoch are not exact in a script.
const FARTHEST: i64 = 1 << 52;
/// Endings that wait for the store to come back.
const MOST_UNSAID: usize = 10_000;
/// Of those, so many are said between two looks at what others say.
const UNSAID_AT_ONCE: usize = 100;

/// Redis, alone, behind Sentinels, or as a Cluster.
pub struct RedisStore {
    shared: Arc<Shared>,
    _news: AbortOnDropHandle<()>,
}

struct Shared {
    servers: Servers,
    keys: Keys,
    timeout: Duration,
    endings: Endings,
    wakes: Wakes,
    /// Sessions that ended here while the store was away.
    unsaid: Mutex<VecDeque<(Sid, Timestamp)>>,
    /// The latest moment that anyone told.
    latest: AtomicI64,
    numbers: AtomicU64,
    /// What the last exchange showed.
    reached: AtomicU8,
}

/// Values of `Shared::reached`.
const UNTRIED: u8 = 0;
const REACHED: u8 = 1;
const AWAY: u8 = 2;

impl RedisStore {
    /// Whether `url` makes sense, and its certificates can be read.
    pub(super) fn judge(url: &Secret) -> Result<(), OpenError> {
        servers::connect::tls(&Address::parse(url)?).map(drop)
    }

    /// The store at `url`. It connects, and follows what other instances do, on `runtime`.
    pub fn open(url: &Secret, runtime: &Handle) -> Result<Store, OpenError> {
        let address = Address::parse(url)?;
        let shared = Arc::new(Shared {
            servers: Servers::new(&address, runtime)?,
            keys: Keys::new(address.prefix),
            timeout: address.timeout,
            endings: Endings::new(),
            wakes: Wakes::default(),
            unsaid: Mutex::default(),
            latest: AtomicI64::new(0),
            numbers: AtomicU64::new(u64::from(std::process::id())),
            reached: AtomicU8::new(UNTRIED),
        });
        let news = AbortOnDropHandle::new(runtime.spawn(follow::follow(shared.clone())));
        Ok(Store::of(Arc::new(Self { shared, _news: news })))
    }
}

impl OneTime for RedisStore {
    fn take(&self, key: Digest, until: Timestamp, now: Timestamp) -> BoxFuture<'_, Result<bool, StoreError>> {
        let call = Call::new(&TAKE, self.shared.keys.once(key))
            .number(millis(until))
            .number(millis(now))
            .number(time_to_live(until, now));
        async move { Ok(self.shared.ask_at(&call, now).await?.word()? == "first") }.boxed()
    }

    fn give_back(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = Call::new(&GIVE_BACK, self.shared.keys.once(key));
        async move { self.shared.ask_at(&call, now).await.map(drop) }.boxed()
    }
}

impl Health for RedisStore {
    fn is_reachable(&self) -> Option<bool> {
        match self.shared.reached.load(Ordering::Relaxed) {
            UNTRIED => None,
            reached => Some(reached == REACHED),
        }
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        let call = Call::new(&PROBE, self.shared.keys.probe()).arg(self.shared.keys.channel());
        async move { self.shared.ask(&call).await.map(drop) }.boxed()
    }
}

impl Shared {
    async fn ask(&self, call: &Call) -> Result<Reply, StoreError> {
        self.ask_by(call, self.deadline()).await
    }

    async fn ask_at(&self, call: &Call, now: Timestamp) -> Result<Reply, StoreError> {
        self.saw(now);
        self.ask(call).await
    }

    async fn ask_by(&self, call: &Call, deadline: Instant) -> Result<Reply, StoreError> {
        let answer = self.servers.run(call, deadline).await.map_err(StoreError::from);
        let is_away = matches!(answer, Err(StoreError::Unavailable(_)));
        self.reached.store(if is_away { AWAY } else { REACHED }, Ordering::Relaxed);
        Reply::of(answer?)
    }

    /// When a call that begins now has to have its answer.
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// A number that no other script was given, for fences and claims: the time, then a count.
    fn fresh_number(&self, now: Timestamp) -> i64 {
        let count = self.numbers.fetch_add(1, Ordering::Relaxed) % 1024;
        (now.as_millis().clamp(0, FARTHEST >> 10) << 10) | i64::try_from(count).unwrap_or_default()
    }

    fn saw(&self, now: Timestamp) {
        // Most of the time a look is enough: this is on the request path.
        if now.as_millis() > self.latest.load(Ordering::Relaxed) + 1000 {
            self.latest.fetch_max(now.as_millis(), Ordering::Relaxed);
        }
    }

    fn latest(&self) -> Timestamp {
        Timestamp::from_millis(self.latest.load(Ordering::Relaxed))
    }

    fn learn_ending(&self, sid: Sid, until: Timestamp) {
        if until > self.latest() {
            self.endings.add(sid, until);
        }
        self.wakes.wake(sid);
    }

    fn forget_endings(&self) {
        self.endings.sweep(self.latest());
    }

    fn say_later(&self, sid: Sid, until: Timestamp) {
        let mut unsaid = self.unsaid();
        if unsaid.len() < MOST_UNSAID {
            unsaid.push_back((sid, until));
        } else {
            tracing::error!(
                ?sid,
                "too many sessions ended while the store is away: the other instances will not learn of this one"
            );
        }
    }

    /// Says the endings that the store could not be told when they happened, as far as it can be told now.
    async fn say_unsaid(&self) {
        // In a Cluster those of one node may have to wait while others can be said.
        for _ in 0..UNSAID_AT_ONCE {
            let Some((sid, until)) = self.unsaid().pop_front() else { return };
            if until > self.latest() && self.say_ending(sid, until, self.latest()).await.is_err() {
                self.say_later(sid, until);
            }
        }
    }

    fn unsaid(&self) -> MutexGuard<'_, VecDeque<(Sid, Timestamp)>> {
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `moment` as scripts compute with it.
fn millis(moment: Timestamp) -> i64 {
    moment.as_millis().clamp(-FARTHEST, FARTHEST)
}

/// `span` as scripts compute with it.
fn span(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(FARTHEST).min(FARTHEST)
}

/// For how long Redis keeps what is valid until `until`.
fn time_to_live(until: Timestamp, now: Timestamp) -> i64 {
    i64::try_from((until.since(now).max(Duration::ZERO) + SLACK).as_millis()).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests;
