//! A fetched document that is kept: one fetch at a time, whoever asks; renewed in the background on use; the old one stays when a fetch fails.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};

use super::fetch::Unavailable;
use crate::clock::{Clock, Timestamp};

/// Clones share the document.
pub(crate) struct Kept<T> {
    inner: Arc<Inner<T>>,
}

/// What fetching, or waiting for it, brings.
pub(crate) type Fetched<T> = Result<Arc<T>, Arc<Unavailable>>;
type Flight<T> = Shared<BoxFuture<'static, Fetched<T>>>;
type Fetch<T> = dyn Fn() -> BoxFuture<'static, Result<T, Arc<Unavailable>>> + Send + Sync;

struct Inner<T> {
    name: String,
    fetch: Box<Fetch<T>>,
    clock: Clock,
    state: Mutex<State<T>>,
}

struct State<T> {
    held: Option<Held<T>>,
    /// When the last fetch began.
    attempted: Option<Timestamp>,
    failure: Option<Arc<Unavailable>>,
    flight: Option<Flight<T>>,
}

struct Held<T> {
    document: Arc<T>,
    since: Timestamp,
}

/// A document this old is renewed when it is next used.
const RENEW: Duration = Duration::from_secs(3600);
/// Between fetches while there is no document.
const WITHOUT: Duration = Duration::from_secs(1);
/// Between fetches while there is one: a token with a made-up key id must not make us ask without end.
const WITH: Duration = Duration::from_secs(30);

impl<T: Send + Sync + 'static> Kept<T> {
    /// Nothing is fetched before the first use. `name` is for logs.
    pub(crate) fn new(
        name: String,
        clock: Clock,
        fetch: impl Fn() -> BoxFuture<'static, Result<T, Arc<Unavailable>>> + Send + Sync + 'static,
    ) -> Self {
        let state = State { held: None, attempted: None, failure: None, flight: None };
        Self { inner: Arc::new(Inner { name, fetch: Box::new(fetch), clock, state: Mutex::new(state) }) }
    }

    /// The document; without one, that of a fetch which this call begins or joins.
    pub(crate) async fn current(&self) -> Fetched<T> {
        let flight = {
            let mut state = self.inner.state();
            if let Some(held) = &state.held {
                let document = Arc::clone(&held.document);
                if self.inner.clock.now().since(held.since) >= RENEW {
                    self.inner.flight(&mut state);
                }
                return Ok(document);
            }
            match self.inner.flight(&mut state) {
                Some(flight) => flight,
                None => return Err(state.failure.clone().unwrap_or_else(|| Arc::new(Unavailable::Interrupted))),
            }
        };
        flight.await
    }

    /// A document other than `known`, if there is one to be had now.
    pub(crate) async fn other_than(&self, known: &Arc<T>) -> Option<Arc<T>> {
        let flight = {
            let mut state = self.inner.state();
            match &state.held {
                Some(held) if !Arc::ptr_eq(&held.document, known) => return Some(Arc::clone(&held.document)),
                _ => self.inner.flight(&mut state)?,
            }
        };
        flight.await.ok()
    }
}

impl<T: Send + Sync + 'static> Inner<T> {
    /// The fetch under way, or a new one if it is time for one.
    fn flight(self: &Arc<Self>, state: &mut State<T>) -> Option<Flight<T>> {
        // One that is over and still here belongs to a runtime that ended before it could clear it away.
        if let Some(flight) = state.flight.as_ref().filter(|flight| flight.peek().is_none()) {
            return Some(flight.clone());
        }
        let now = self.clock.now();
        let spacing = if state.held.is_some() { WITH } else { WITHOUT };
        // A clock that was set back must not stop us from asking.
        if state.attempted.is_some_and(|last| now >= last && now.since(last) < spacing) {
            return None;
        }
        state.attempted = Some(now);
        let this = Arc::clone(self);
        // A task of its own: what one visitor began must not end because that visitor left.
        let task = tokio::spawn(async move {
            let result = (this.fetch)().await;
            this.settle(result)
        });
        let flight = async move { task.await.unwrap_or_else(|_| Err(Arc::new(Unavailable::Interrupted))) };
        let flight = flight.boxed().shared();
        state.flight = Some(flight.clone());
        Some(flight)
    }

    fn settle(&self, result: Result<T, Arc<Unavailable>>) -> Fetched<T> {
        let mut state = self.state();
        state.flight = None;
        match result {
            Ok(document) => {
                let document = Arc::new(document);
                state.held = Some(Held { document: Arc::clone(&document), since: self.clock.now() });
                if state.failure.take().is_some() {
                    tracing::info!(document = self.name, "oidc: fetched again");
                }
                Ok(document)
            }
            Err(error) => {
                if state.held.is_some() {
                    // Nobody is told otherwise: visitors are served with the old one.
                    tracing::warn!(document = self.name, %error, "oidc: not renewed, the old one is kept");
                }
                state.failure = Some(Arc::clone(&error));
                Err(error)
            }
        }
    }
}

impl<T> Inner<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
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
        kept: Kept<u32>,
    }

    fn source(up: bool) -> Source {
        let (asked, up, clock) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(up)), Clock::movable());
        let (count, works) = (Arc::clone(&asked), Arc::clone(&up));
        let kept = Kept::new("numbers".to_owned(), clock.clone(), move || {
            let (count, works) = (Arc::clone(&count), Arc::clone(&works));
            async move {
                tokio::task::yield_now().await;
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                if works.load(Ordering::Relaxed) { Ok(number) } else { Err(Arc::new(Unavailable::Interrupted)) }
            }
            .boxed()
        });
        Source { asked, up, clock, kept }
    }

    impl Source {
        fn asked(&self) -> u32 {
            self.asked.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn all_who_ask_at_once_share_one_fetch() {
        let source = source(true);
        let answers = futures_util::future::join_all((0..100).map(|_| source.kept.current())).await;
        assert!(answers.iter().all(|answer| **answer.as_ref().unwrap() == 1));
        assert_eq!(source.asked(), 1);
    }

    #[tokio::test]
    async fn while_it_fails_it_is_asked_once_a_second_and_recovers() {
        let source = source(false);
        for _ in 0..10 {
            assert!(source.kept.current().await.is_err());
        }
        assert_eq!(source.asked(), 1);
        source.up.store(true, Ordering::Relaxed);
        source.clock.advance(Duration::from_secs(1));
        assert_eq!(*source.kept.current().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn an_old_document_is_served_while_it_is_renewed_and_when_that_fails() {
        let source = source(true);
        let first = source.kept.current().await.unwrap();
        source.up.store(false, Ordering::Relaxed);
        source.clock.advance(RENEW);
        assert_eq!(*source.kept.current().await.unwrap(), 1);
        assert!(source.kept.other_than(&first).await.is_none(), "joins the failing renewal");
        assert_eq!((*source.kept.current().await.unwrap(), source.asked()), (1, 2));
        source.up.store(true, Ordering::Relaxed);
        source.clock.advance(WITH);
        assert_eq!(*source.kept.other_than(&first).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn another_document_is_asked_for_at_most_once_in_30_seconds() {
        let source = source(true);
        let first = source.kept.current().await.unwrap();
        for _ in 0..1000 {
            assert!(source.kept.other_than(&first).await.is_none());
        }
        assert_eq!(source.asked(), 1);
        source.clock.advance(WITH);
        assert_eq!(*source.kept.other_than(&first).await.unwrap(), 2);
        assert_eq!(*source.kept.other_than(&first).await.unwrap(), 2, "that one is newer already");
    }

    #[tokio::test]
    async fn a_fetch_goes_on_when_the_one_who_began_it_leaves() {
        let source = source(true);
        assert!(source.kept.current().now_or_never().is_none(), "left while waiting");
        assert_eq!(*source.kept.current().await.unwrap(), 1);
        assert_eq!(source.asked(), 1);
    }
}
