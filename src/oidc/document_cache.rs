//! A cache of one fetched document: one fetch at a time, renewal in the background on use, and the old document while a
//! fetch fails.
//!
//! `moka::future::Cache::try_get_with` could replace only the shared future: it drops an expired document instead of
//! serving it during the renewal, remembers no failure, starts again when the caller that began a fetch is dropped, and
//! reads the system clock.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

use super::fetch::Unavailable;
use crate::{
    backoff::jittered,
    clock::{Clock, Timestamp},
    secret::Random,
};

/// One document. Clones share it.
pub(crate) struct DocumentCache<T> {
    shared: Arc<SharedCache<T>>,
}

/// The document, or why there is none.
pub(crate) type Fetched<T> = Result<Arc<T>, Arc<Unavailable>>;
type FetchInFlight<T> = Shared<BoxFuture<'static, Fetched<T>>>;
type FetchFn<T> = dyn Fn() -> BoxFuture<'static, Result<T, Arc<Unavailable>>> + Send + Sync;

struct SharedCache<T> {
    name: String,
    fetch: Box<FetchFn<T>>,
    clock: Clock,
    random: Random,
    state: Mutex<CacheState<T>>,
}

struct CacheState<T> {
    document: Option<CachedDocument<T>>,
    last_attempt: Option<FetchAttempt>,
    last_failure: Option<Arc<Unavailable>>,
    in_flight: Option<FetchInFlight<T>>,
}

struct CachedDocument<T> {
    document: Arc<T>,
    /// From this time on it is renewed when it is used.
    renew_at: Timestamp,
}

struct FetchAttempt {
    began: Timestamp,
    /// The earliest time of the next attempt while there is no document.
    again_at: Timestamp,
}

/// A document of this age is renewed at its next use; with jitter.
const RENEW_AFTER: Duration = Duration::from_secs(3600);
/// Shortest time between fetches while there is no document; with jitter.
const PAUSE_WITHOUT_DOCUMENT: Duration = Duration::from_secs(1);
/// Shortest time between fetches while there is one. No jitter: this bounds the fetches that tokens with invented key
/// ids cause, and these are not synchronised over instances.
const PAUSE_WITH_DOCUMENT: Duration = Duration::from_secs(30);

impl<T: Send + Sync + 'static> DocumentCache<T> {
    /// Nothing is fetched before the first use. `name` is for logs.
    pub(crate) fn new(
        name: String,
        clock: Clock,
        random: Random,
        fetch: impl Fn() -> BoxFuture<'static, Result<T, Arc<Unavailable>>> + Send + Sync + 'static,
    ) -> Self {
        let state = CacheState { document: None, last_attempt: None, last_failure: None, in_flight: None };
        let state = Mutex::new(state);
        Self { shared: Arc::new(SharedCache { name, fetch: Box::new(fetch), clock, random, state }) }
    }

    /// The document, fetched if there is none. While fetches are spaced out, the last failure.
    pub(crate) async fn current(&self) -> Fetched<T> {
        let fetch = {
            let mut state = self.shared.state();
            if let Some(cached) = &state.document {
                let document = Arc::clone(&cached.document);
                if self.shared.clock.now() >= cached.renew_at {
                    self.shared.fetch(&mut state);
                }
                return Ok(document);
            }
            match self.shared.fetch(&mut state) {
                Some(fetch) => fetch,
                None => return Err(state.last_failure.clone().unwrap_or_else(|| Arc::new(Unavailable::Interrupted))),
            }
        };
        fetch.await
    }

    /// A document other than `known`; fetched if the cache has only that one. `None` if there is no other.
    pub(crate) async fn other_than(&self, known: &Arc<T>) -> Option<Arc<T>> {
        let fetch = {
            let mut state = self.shared.state();
            match &state.document {
                Some(cached) if !Arc::ptr_eq(&cached.document, known) => return Some(Arc::clone(&cached.document)),
                _ => self.shared.fetch(&mut state)?,
            }
        };
        fetch.await.ok()
    }
}

impl<T: Send + Sync + 'static> SharedCache<T> {
    /// The fetch in flight, or a new one unless the last is too recent.
    fn fetch(self: &Arc<Self>, state: &mut CacheState<T>) -> Option<FetchInFlight<T>> {
        // A finished fetch that is still here was begun on a runtime that was shut down before the fetch could be
        // removed.
        if let Some(fetch) = state.in_flight.as_ref().filter(|fetch| fetch.peek().is_none()) {
            return Some(fetch.clone());
        }
        let now = self.clock.now();
        let is_too_early = state.last_attempt.as_ref().is_some_and(|FetchAttempt { began, again_at }| {
            let again_at = if state.document.is_some() { began.plus(PAUSE_WITH_DOCUMENT) } else { *again_at };
            // A clock that was set back must not prevent fetches.
            (*began..again_at).contains(&now)
        });
        if is_too_early {
            return None;
        }
        let again_at = now.plus(jittered(PAUSE_WITHOUT_DOCUMENT, &self.random));
        state.last_attempt = Some(FetchAttempt { began: now, again_at });
        let this = Arc::clone(self);
        // A separate task: a fetch must not end because the request that began it was dropped.
        let task = tokio::spawn(async move {
            let result = (this.fetch)().await;
            this.finish_fetch(result)
        });
        let fetch = async move { task.await.unwrap_or_else(|_| Err(Arc::new(Unavailable::Interrupted))) };
        let fetch = fetch.boxed().shared();
        state.in_flight = Some(fetch.clone());
        Some(fetch)
    }

    fn finish_fetch(&self, result: Result<T, Arc<Unavailable>>) -> Fetched<T> {
        let mut state = self.state();
        state.in_flight = None;
        match result {
            Ok(document) => {
                let document = Arc::new(document);
                let renew_at = self.clock.now().plus(jittered(RENEW_AFTER, &self.random));
                state.document = Some(CachedDocument { document: Arc::clone(&document), renew_at });
                if state.last_failure.take().is_some() {
                    tracing::info!(document = self.name, "oidc: a document was fetched again after a failure");
                }
                Ok(document)
            }
            Err(error) => {
                if state.document.is_some() {
                    // Requests get the old document, so only the log shows the error.
                    tracing::warn!(document = self.name, %error, "oidc: not renewed; the old document is used");
                }
                state.last_failure = Some(Arc::clone(&error));
                Err(error)
            }
        }
    }
}

impl<T> SharedCache<T> {
    fn state(&self) -> MutexGuard<'_, CacheState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for DocumentCache<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    struct Source {
        asked: Arc<AtomicU32>,
        up: Arc<AtomicBool>,
        clock: Clock,
        cache: DocumentCache<u32>,
    }

    fn source(up: bool) -> Source {
        let (asked, up, clock) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(up)), Clock::movable());
        let (count, works) = (Arc::clone(&asked), Arc::clone(&up));
        let cache = DocumentCache::new("numbers".to_owned(), clock.clone(), Random::system(), move || {
            let (count, works) = (Arc::clone(&count), Arc::clone(&works));
            async move {
                tokio::task::yield_now().await;
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                if works.load(Ordering::Relaxed) { Ok(number) } else { Err(Arc::new(Unavailable::Interrupted)) }
            }
            .boxed()
        });
        Source { asked, up, clock, cache }
    }

    impl Source {
        fn asked(&self) -> u32 {
            self.asked.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn callers_at_the_same_time_share_one_fetch() {
        let source = source(true);
        let answers = futures_util::future::join_all((0..100).map(|_| source.cache.current())).await;
        assert!(answers.iter().all(|answer| **answer.as_ref().unwrap() == 1));
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn a_failing_source_is_asked_once_a_second_and_recovers() {
        let source = source(false);
        for _ in 0..10 {
            assert!(source.cache.current().await.is_err());
        }
        assert_eq!(source.asked(), 1);
        source.up.store(true, Ordering::Relaxed);
        source.clock.advance(Duration::from_secs(1));
        assert_eq!(*source.cache.current().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn an_old_document_is_served_while_it_is_renewed_and_when_that_fails() {
        let source = source(true);
        let first = source.cache.current().await.unwrap();
        source.up.store(false, Ordering::Relaxed);
        source.clock.advance(RENEW_AFTER);
        assert_eq!(*source.cache.current().await.unwrap(), 1);
        assert!(source.cache.other_than(&first).await.is_none(), "joins the failing renewal");
        assert_eq!((*source.cache.current().await.unwrap(), source.asked()), (1, 2));
        source.up.store(true, Ordering::Relaxed);
        source.clock.advance(PAUSE_WITH_DOCUMENT);
        assert_eq!(*source.cache.other_than(&first).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn another_document_is_fetched_at_most_once_in_30_seconds() {
        let source = source(true);
        let first = source.cache.current().await.unwrap();
        for _ in 0..1000 {
            assert!(source.cache.other_than(&first).await.is_none());
        }
        assert_eq!(source.asked(), 1);
        source.clock.advance(PAUSE_WITH_DOCUMENT);
        assert_eq!(*source.cache.other_than(&first).await.unwrap(), 2);
        assert_eq!(*source.cache.other_than(&first).await.unwrap(), 2, "that one is newer already");
    }

    #[tokio::test]
    async fn a_fetch_continues_when_the_caller_that_began_it_is_dropped() {
        let source = source(true);
        assert!(source.cache.current().now_or_never().is_none(), "dropped while waiting");
        assert_eq!(*source.cache.current().await.unwrap(), 1);
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn documents_fetched_at_the_same_moment_are_renewed_at_different_ones() {
        let mut renewals = std::collections::BTreeSet::new();
        for _ in 0..20 {
            let source = source(true);
            source.cache.current().await.unwrap();
            let renew_at = source.cache.shared.state().document.as_ref().unwrap().renew_at;
            renewals.insert(renew_at.since(source.clock.now()).as_secs());
        }
        assert!(renewals.len() > 10, "{renewals:?}");
        assert!(renewals.iter().all(|seconds| (2690..=3600).contains(seconds)), "{renewals:?}");
    }
}
