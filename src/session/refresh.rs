//! The refresh: one per refresh token at any time, detached from the visitor that caused it, its result stored before anyone is answered.
//!
//! A *flight* is a task on the background runtime. Every waiter in this process shares it; the store's lease keeps other instances (and flights that reach the same
//! token from another end of the chain) from asking too. A flight first follows stored results to the newest generation and asks the authority only from there.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    AccessGrant, Inner, RefreshGrant, Session, StoreDown,
    check::{self, Standing},
    end::Reason,
    grant::{SealedRefresh, SealedResult},
    later::Pauses,
    outage::{Failure, Refusal},
};
use crate::{
    authority::ClientDevice,
    authority::{self, Issued, RefreshError},
    client::Client,
    clock::Timestamp,
    seal::Purpose,
    store::{Digest, Generation, Lease, Settled, Sid, StoreError, StoredResult},
    telemetry::Refresh as Counted,
};

/// How long a lease lasts without renewal: an instance that dies with one holds its session up no longer.
const LEASE: Duration = Duration::from_secs(10);
/// A lease is renewed this often, for as long as the authority takes.
const RENEWAL: Duration = Duration::from_secs(3);
/// A result whose successor was never seen in a request is kept this long.
const UNSEEN_RESULT: Duration = Duration::from_secs(24 * 3600);
/// `POST /refresh` takes a result this young for its own where the refresh token does not rotate.
pub(super) const FRESH_RESULT: Duration = Duration::from_secs(5);
/// How long a request waits for a refresh that it could do without.
const WAIT_AHEAD: Duration = Duration::from_secs(1);
/// Before a store that is away is told of a result again: others may wait for it.
const PAUSES: Pauses = Pauses { first: Duration::from_millis(50), longest: Duration::from_millis(500) };
/// What a visitor is told to wait where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a refresh came to.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// The newest tokens.
    Refreshed(Arc<Session>),
    /// The session is over.
    Ended,
    /// The session ended while the authority was asked; what it gave is signed out.
    SignedOut,
    /// Nobody knows: to be tried again after this long.
    Unavailable(Duration),
}

/// What the visitor needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    /// Tokens newer than those that came in.
    Newer,
    /// Tokens of just now (`POST /refresh`): where the refresh token does not rotate, an older result is not taken for it.
    Fresh,
}

/// A refresh under way, or landed.
#[derive(Clone, Debug)]
pub(super) struct Flight(watch::Receiver<Option<Outcome>>);

impl Flight {
    /// The outcome, or `Unavailable` where it takes longer than `wait`: the flight goes on.
    pub(super) async fn outcome_within(&self, wait: Duration) -> Outcome {
        let mut outcome = self.0.clone();
        match tokio::time::timeout(wait, outcome.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone().unwrap_or(Outcome::Unavailable(RETRY_AFTER)),
            Ok(Err(_)) | Err(_) => Outcome::Unavailable(RETRY_AFTER),
        }
    }

    /// The tokens it brought, where it has landed.
    pub(super) fn landed(&self) -> Option<Arc<Session>> {
        match &*self.0.borrow() {
            Some(Outcome::Refreshed(session)) => Some(session.clone()),
            Some(Outcome::Ended | Outcome::SignedOut | Outcome::Unavailable(_)) | None => None,
        }
    }
}

/// The flights of this process, by refresh token and by the generation that the waiters want to go beyond.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<(Digest, Generation), Flight>>,
}

impl Flights {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Digest, Generation), Flight>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The flight that starts from `rt`, where one is under way.
    pub(super) fn of(&self, rt: Digest) -> Option<Flight> {
        self.lock().iter().find(|((digest, _), _)| *digest == rt).map(|(_, flight)| flight.clone())
    }
}

/// Takes a flight off the board when it lands, also when it panicked: its waiters then see the sender gone.
struct Boarding {
    inner: Arc<Inner>,
    key: (Digest, Generation),
}

impl Drop for Boarding {
    fn drop(&mut self) {
        self.inner.flights.lock().remove(&self.key);
    }
}

impl Inner {
    /// Joins the refresh that starts from `grant`, or begins it. `known` is the highest generation the visitor knows; `came_in` the access token that is not good enough.
    pub(super) fn refresh(
        self: &Arc<Self>,
        grant: Arc<RefreshGrant>,
        known: Generation,
        want: Want,
        came_in: Option<Arc<AccessGrant>>,
        client: Client,
    ) -> Flight {
        let key = (grant.digest, known);
        let mut under_way = self.flights.lock();
        if let Some(flight) = under_way.get(&key) {
            self.metrics.refresh(Counted::Joined);
            return flight.clone();
        }
        let (landing, flight) = watch::channel(None);
        under_way.insert(key, Flight(flight.clone()));
        drop(under_way);
        let boarding = Boarding { inner: self.clone(), key };
        self.background.spawn(async move {
            let start = grant.digest;
            let flying =
                Flying { inner: boarding.inner.clone(), start, grant, known, want, came_in, client, candidate: None };
            let outcome = flying.fly().await;
            // Whoever comes after the landing finds the result in the session's state or the store.
            drop(boarding);
            landing.send_replace(Some(outcome));
        });
        Flight(flight)
    }
}

/// Tells the store that a visitor holds `generation`.
pub(super) fn acknowledge(inner: &Inner, sid: Sid, generation: Generation, now: Timestamp) {
    let refreshes = inner.store.refreshes.clone();
    let keep_until = now.plus(inner.settings.refresh_grace);
    inner.background.spawn(async move {
        if let Err(error) = refreshes.acknowledge(sid, generation, keep_until, now).await {
            tracing::debug!(%error, ?sid, "a result was not acknowledged; it stays for its day");
        }
    });
}

struct Flying {
    inner: Arc<Inner>,
    /// The refresh token that came in.
    start: Digest,
    /// The newest refresh token found.
    grant: Arc<RefreshGrant>,
    known: Generation,
    want: Want,
    came_in: Option<Arc<AccessGrant>>,
    client: Client,
    /// The newest tokens found in stored results.
    candidate: Option<Arc<Session>>,
}

impl Flying {
    async fn fly(mut self) -> Outcome {
        let outcome = match self.reach().await {
            Ok(outcome) => outcome,
            Err(error) => self.without_store(&error).await,
        };
        if let Outcome::Refreshed(session) = &outcome
            && let Some(state) = self.inner.states.known(self.grant.login.sid)
        {
            state.learn(session);
            if state.has_ended() {
                self.inner.sign_out_quietly(session, ClientDevice::of(&self.client, &self.grant.login.device)).await;
                return Outcome::SignedOut;
            }
        }
        outcome
    }

    /// The store is away, so nobody can tell whether another instance is asking, or has asked.
    async fn without_store(&self, error: &StoreError) -> Outcome {
        let inner = &self.inner;
        inner.metrics.store_errors.inc();
        if let Some(session) = self.candidate.clone().filter(|session| self.suffices(session, inner.now())) {
            return Outcome::Refreshed(session);
        }
        if inner.settings.store_down == StoreDown::Wait {
            tracing::error!(%error, sid = ?self.grant.login.sid, "the store is away: no refresh");
            return Outcome::Unavailable(RETRY_AFTER);
        }
        tracing::warn!(%error, sid = ?self.grant.login.sid, "the store is away: refreshed by this instance alone");
        let (rt, now) = (self.grant.digest, inner.now());
        let hold = inner.outage.hold(rt, now);
        if !hold.is_zero() {
            return Outcome::Unavailable(hold);
        }
        let from = ClientDevice::of(&self.client, &self.grant.login.device);
        let answer = inner.authority.refresh(self.request(), &from).await;
        let now = inner.now();
        match answer {
            Ok(issued) => {
                inner.outage.refreshed(self.grant.login.sid, now);
                inner.metrics.refresh(Counted::Ok);
                let session = inner.successor(&self.grant, self.known, &issued, now);
                session.map_or(Outcome::Unavailable(RETRY_AFTER), Outcome::Refreshed)
            }
            // Another instance may have spent the refresh token: only the store could tell.
            Err(RefreshError::Refused) => Outcome::Unavailable(RETRY_AFTER),
            Err(error) => {
                inner.metrics.refresh(Counted::Outage);
                Outcome::Unavailable(inner.outage.failed(rt, failure(&error), now))
            }
        }
    }

    fn request(&self) -> authority::RefreshRequest<'_> {
        authority::RefreshRequest {
            refresh_token: &self.grant.token,
            access_token: self.came_in.as_ref().map(|access| &access.token),
            provider: &self.grant.login.provider,
            identity: Some(&self.grant.identity),
        }
    }

    async fn reach(&mut self) -> Result<Outcome, StoreError> {
        let inner = self.inner.clone();
        let refreshes = &inner.store.refreshes;
        let sid = self.grant.login.sid;
        loop {
            if let Some(session) = self.follow_results().await? {
                return Ok(Outcome::Refreshed(session));
            }
            let now = inner.now();
            let change = refreshes.wait(sid, LEASE);
            match refreshes.lease(sid, self.grant.digest, self.known, now.plus(LEASE), now).await? {
                Lease::Ended => return Ok(Outcome::Ended),
                // Looked up again, as part of the chain.
                Lease::Result(_) => {}
                Lease::Held(_) => change.await,
                Lease::Granted(fence) => {
                    if let Some(outcome) = self.ask(fence).await? {
                        return Ok(outcome);
                    }
                }
            }
        }
    }

    /// Follows stored results to the newest generation; returns its tokens where they are what the visitor needs.
    async fn follow_results(&mut self) -> Result<Option<Arc<Session>>, StoreError> {
        let inner = self.inner.clone();
        // A result that could not be stored is known in this process all the same.
        let learned = inner.states.known(self.grant.login.sid).and_then(|state| state.newest());
        if let Some(session) = learned.filter(|session| session.access.generation > self.known) {
            self.follow(session);
        }
        if let Some(session) = inner.newest_stored(&self.grant, self.known).await? {
            self.follow(session);
        }
        let now = inner.now();
        Ok(self.candidate.clone().filter(|session| self.suffices(session, now)))
    }

    fn follow(&mut self, session: Arc<Session>) {
        self.known = session.access.generation;
        if let Some(next) = &session.refresh {
            self.grant = next.clone();
        }
        self.candidate = Some(session);
    }

    fn suffices(&self, session: &Session, now: Timestamp) -> bool {
        let is_other = self.came_in.as_ref().is_none_or(|came_in| came_in.token != session.access.token);
        let is_recent = match self.want {
            Want::Newer => true,
            Want::Fresh => self.grant.digest != self.start || now.since(session.obtained_at) <= FRESH_RESULT,
        };
        is_other && is_recent && check::standing(&session.access, now) != Standing::Expired
    }

    /// Asks the authority, holding the lease for as long as that takes. `None`: the store knows better, look again.
    async fn ask(&mut self, fence: u64) -> Result<Option<Outcome>, StoreError> {
        let inner = self.inner.clone();
        let refreshes = &inner.store.refreshes;
        let (sid, rt) = (self.grant.login.sid, self.grant.digest);
        let now = inner.now();
        let hold = inner.outage.hold(rt, now);
        if !hold.is_zero() {
            refreshes.settle(sid, rt, fence, None, now, now).await?;
            return Ok(Some(Outcome::Unavailable(hold)));
        }
        let from = ClientDevice::of(&self.client, &self.grant.login.device);
        let answer = {
            let call = inner.authority.refresh(self.request(), &from);
            tokio::pin!(call);
            loop {
                if let Ok(answer) = tokio::time::timeout(RENEWAL, call.as_mut()).await {
                    break answer;
                }
                let now = inner.now();
                // Losing the lease does not stop the call: what it brings may be the only valid token.
                if let Err(error) = refreshes.renew(sid, rt, fence, now.plus(LEASE), now).await {
                    tracing::warn!(%error, ?sid, "a refresh lease was not renewed");
                }
            }
        };
        let now = inner.now();
        match answer {
            Ok(issued) => self.land(fence, issued, now).await.map(Some),
            Err(RefreshError::Refused) => {
                // Another instance whose lease we overlapped may have won: its result is the truth.
                if let Some(result) = refreshes.result(sid, rt, now).await?
                    && result.generation > self.known
                {
                    refreshes.settle(sid, rt, fence, None, now, now).await?;
                    return Ok(None);
                }
                inner.metrics.refresh(Counted::Refused);
                match inner.outage.refused(sid, now) {
                    // The lease goes with the session: whoever waits for it learns of the end, and does not ask once more.
                    Refusal::Believed => {
                        inner.end(&self.grant.login, Reason::Refused).await;
                        return Ok(Some(Outcome::Ended));
                    }
                    Refusal::BrakedNow => {
                        inner.metrics.brake.set(1);
                        tracing::error!(
                            "the authority refuses most sessions: refusals count as an outage until a refresh succeeds"
                        );
                    }
                    Refusal::Braked => {}
                }
                refreshes.settle(sid, rt, fence, None, now, now).await?;
                Ok(Some(Outcome::Unavailable(RETRY_AFTER)))
            }
            Err(error) => {
                let wait = inner.outage.failed(rt, failure(&error), now);
                inner.metrics.refresh(Counted::Outage);
                tracing::warn!(%error, ?sid, "the authority did not refresh");
                refreshes.settle(sid, rt, fence, None, now, now).await?;
                Ok(Some(Outcome::Unavailable(wait)))
            }
        }
    }

    /// The authority gave new tokens: they are stored before anyone learns of them.
    async fn land(&mut self, fence: u64, issued: Issued, now: Timestamp) -> Result<Outcome, StoreError> {
        let inner = self.inner.clone();
        let (sid, rt) = (self.grant.login.sid, self.grant.digest);
        inner.outage.refreshed(sid, now);
        inner.metrics.brake.set(0);
        let Some(session) = inner.successor(&self.grant, self.known, &issued, now) else {
            // The old refresh token may be spent, and the new one has no place: the session ends here, not in a reuse at the authority.
            tracing::error!(
                ?sid,
                "the refreshed tokens take more than 16 KiB of cookies: a session of this size needs the server store (session.store = \"server\")"
            );
            inner.store.refreshes.settle(sid, rt, fence, None, now, now).await?;
            inner.end(&self.grant.login, Reason::Unkept).await;
            let from = ClientDevice::of(&self.client, &self.grant.login.device);
            inner.sign_out_issued(&issued, &self.grant.login.provider, &from).await;
            return Ok(Outcome::SignedOut);
        };
        let sealed = inner.seal_result(&self.grant, &session);
        let generation = session.access.generation;
        let kept_until = now.plus(UNSEEN_RESULT);
        let result = (generation, Bytes::from(sealed));
        let settled = inner.store.refreshes.settle(sid, rt, fence, Some(result.clone()), kept_until, now).await;
        inner.metrics.refresh(Counted::Ok);
        match settled {
            Ok(Settled::Stored) => Ok(Outcome::Refreshed(session)),
            Ok(Settled::Ended) => {
                inner.sign_out_quietly(&session, ClientDevice::of(&self.client, &self.grant.login.device)).await;
                Ok(Outcome::SignedOut)
            }
            // The tokens are good all the same, and whoever waits here gets them.
            Ok(Settled::Lost) => {
                tracing::warn!(?sid, "a refresh took longer than its lease");
                Ok(Outcome::Refreshed(session))
            }
            Err(error) => {
                tracing::error!(%error, ?sid, "a refresh result was not stored; it is tried again");
                inner.metrics.store_errors.inc();
                inner.settle_later(sid, rt, fence, result, kept_until);
                Ok(Outcome::Refreshed(session))
            }
        }
    }
}

/// What kind of outage an error is, where it is no refusal.
fn failure(error: &RefreshError) -> Failure {
    match error {
        RefreshError::Unsent => Failure::Unsent,
        RefreshError::Unanswered => Failure::Unanswered,
        RefreshError::Refused | RefreshError::Failed { .. } => Failure::Useless,
    }
}

impl Inner {
    /// Whether the last exchange with the store failed.
    pub(super) fn is_store_away(&self) -> bool {
        self.store.health.is_reachable() == Some(false)
    }

    /// How long a request waits for a refresh that it could do without.
    pub(super) fn patience_ahead(&self) -> Duration {
        if self.is_store_away() { Duration::ZERO } else { WAIT_AHEAD }
    }

    /// Stores a result when the store is back. The lease that nobody else took meanwhile still counts: whoever waits for it at another instance finds the result instead of a
    /// refresh token that is spent.
    fn settle_later(&self, sid: Sid, rt: Digest, fence: u64, result: (Generation, Bytes), kept_until: Timestamp) {
        let refreshes = self.store.refreshes.clone();
        let settle = move |now| {
            let (refreshes, result) = (refreshes.clone(), result.clone());
            async move { refreshes.settle(sid, rt, fence, Some(result), kept_until, now).await }
        };
        self.store_later(PAUSES, kept_until, settle, move |settled| {
            tracing::info!(?sid, ?settled, "a refresh result was stored at last");
        });
    }

    /// Follows stored results from `grant` to the newest generation beyond `known`.
    pub(super) async fn newest_stored(
        &self,
        grant: &Arc<RefreshGrant>,
        known: Generation,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        let (mut grant, mut known, mut newest) = (grant.clone(), known, None);
        while let Some(result) = self.store.refreshes.result(grant.login.sid, grant.digest, self.now()).await?
            && result.generation > known
        {
            let Some(session) = self.open_result(&grant, &result) else {
                tracing::error!(sid = ?grant.login.sid, "a stored result does not open: was it sealed with another key?");
                break;
            };
            known = result.generation;
            if let Some(next) = &session.refresh {
                grant = next.clone();
            }
            newest = Some(session);
        }
        Ok(newest)
    }

    fn seal_result(&self, from: &RefreshGrant, session: &Session) -> String {
        let result = SealedResult {
            access: super::grant::SealedAccess::of(&session.access).expect("a refreshed token knows its login"),
            refresh: session.refresh.as_deref().map(SealedRefresh::of),
        };
        let plain =
            zeroize::Zeroizing::new(serde_json::to_vec(&result).expect("a result is made of strings and numbers"));
        self.ring.seal(Purpose::Result(&from.token), &plain, |_| 1)
    }

    fn open_result(&self, from: &RefreshGrant, stored: &StoredResult) -> Option<Arc<Session>> {
        let plain = self.ring.open(Purpose::Result(&from.token), &stored.sealed, 1).ok()?;
        let result: SealedResult = serde_json::from_slice(&plain).ok()?;
        let access = result.access.open(&self.settings)?;
        self.session(access, result.refresh.map(SealedRefresh::open), stored.stored_at)
    }
}
