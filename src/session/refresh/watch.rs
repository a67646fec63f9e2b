//! One authority as the fleet sees it: what happens here is added to the note that all instances share, and what the
//! note says is known here. While the store is away, this instance goes by what it knows itself.
//!
//! Events are written in groups: while one write is under way, further events wait for the next one. Successes without
//! an outage, by far the most frequent events, are written every [`SUCCESSES_EVERY`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};

use super::{
    hold::{CallFailure, Hold, REMEMBERED},
    outage::{AuthorityRecord, Event, Verdict},
};
use crate::{
    clock::{Clock, Timestamp},
    secret::Random,
    session::digest::digest_of,
    store::{Digest, Note, Replaced, Store, StoreError},
    telemetry::Metrics,
};

/// What is known of the note may be this old when a refresh is decided.
const VIEW_AGE: Duration = Duration::from_millis(100);
/// How long successes are collected before they are written.
const SUCCESSES_EVERY: Duration = Duration::from_millis(200);
/// How long the store keeps the note after its last change.
const RECORD_KEPT: Duration = Duration::from_secs(300);
/// Writes that meet a change of another instance before this instance goes by what it knows itself.
const MOST_TRIES: usize = 10;
/// Holds that this instance remembers itself, per authority. Beyond this number the store alone has them.
const MOST_HOLDS: usize = 10_000;

/// What every watch needs.
#[derive(Clone)]
pub(in crate::session) struct WatchDeps {
    pub(in crate::session) store: Store,
    pub(in crate::session) clock: Clock,
    pub(in crate::session) random: Random,
    pub(in crate::session) metrics: Arc<Metrics>,
    pub(in crate::session) background: Handle,
}

/// The authorities that refreshes of this process ask: each provider and each backend apart.
pub(in crate::session) struct Authorities {
    deps: WatchDeps,
    watches: Mutex<HashMap<String, Arc<AuthorityWatch>>>,
}

/// One authority.
pub(super) struct AuthorityWatch {
    name: String,
    key: Digest,
    deps: WatchDeps,
    /// 1 while it counts as down.
    down: Gauge,
    local: Mutex<Local>,
    /// One exchange with the store at a time.
    turn: tokio::sync::Mutex<()>,
    /// Wakes those who wait for the end of an outage when this instance learns of it.
    changed: Notify,
}

/// What this instance knows, and what it has not written yet.
#[derive(Default)]
struct Local {
    record: AuthorityRecord,
    /// The note as it is in the store, as far as known.
    content: Bytes,
    /// When the note was last read or written, by our clock; `None`: it is to be read first.
    seen_at: Option<Timestamp>,
    /// How far the store's clock is ahead of ours, in milliseconds.
    store_ahead: i64,
    pending: Vec<(Event, oneshot::Sender<Verdict>)>,
    successes: u32,
    holds: HashMap<Digest, OwnHold>,
}

/// A hold that this instance set.
#[derive(Clone, Copy)]
struct OwnHold {
    hold: Hold,
    /// Whether the store has it too: then what the store says counts, while it can be read.
    is_stored: bool,
}

impl Authorities {
    pub(in crate::session) fn new(deps: WatchDeps) -> Self {
        Self { deps, watches: Mutex::default() }
    }

    /// The authority of this name. The configuration bounds their number: the backend, the gateway, its providers.
    pub(super) fn named(&self, name: &str) -> Arc<AuthorityWatch> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watches.get(name) {
            return watch.clone();
        }
        let watch = Arc::new(AuthorityWatch::new(name, self.deps.clone()));
        watches.insert(name.to_owned(), watch.clone());
        watch
    }

    /// The authorities that refreshes have asked, and whether each counts as down. What is known of one that is only
    /// probed is read again for the next call: the first success may have been at another instance.
    pub(in crate::session) fn are_down(&self) -> BTreeMap<String, bool> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let is_down = |watch: &Arc<AuthorityWatch>| {
            if watch.view(AuthorityRecord::is_held) && watch.turn.try_lock().is_ok() {
                let watch = watch.clone();
                // Not awaited: it ends with the store's answer.
                self.deps.background.spawn(async move { watch.look().await });
            }
            watch.view(AuthorityRecord::is_down)
        };
        watches.iter().map(|(name, watch)| (name.clone(), is_down(watch))).collect()
    }
}

impl AuthorityWatch {
    pub(super) fn new(name: &str, deps: WatchDeps) -> Self {
        Self {
            name: name.to_owned(),
            key: digest_of(&[b"authority", name.as_bytes()]),
            down: deps.metrics.authority_down(name),
            deps,
            local: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The current time, by the store's clock as far as known.
    pub(super) fn now(&self) -> Timestamp {
        store_time(&self.local(), self.deps.clock.now())
    }

    /// Reads the note, if what is known of it is older than [`VIEW_AGE`].
    pub(super) async fn look(&self) {
        if !self.local().is_seen_within(VIEW_AGE, self.deps.clock.now()) {
            self.exchange().await;
        }
    }

    /// Reads the note: another instance has just changed something.
    pub(super) async fn look_now(&self) {
        self.local().seen_at = None;
        self.exchange().await;
    }

    /// What is known of the authority.
    pub(super) fn view<T>(&self, read: impl FnOnce(&AuthorityRecord) -> T) -> T {
        read(&self.local().record)
    }

    /// Resolves when this instance learns of the end of an outage after this call.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// Adds an event to the note.
    pub(super) async fn record(&self, event: Event) -> Verdict {
        let (verdict_of, mut verdict) = oneshot::channel();
        self.local().pending.push((event, verdict_of));
        self.exchange().await;
        // The exchange that took the event has sent the verdict before it gave up its turn.
        verdict.try_recv().unwrap_or(Verdict::Noted)
    }

    /// Counts a successful refresh. `hold` is the one that its refresh token had.
    pub(super) async fn succeeded(self: &Arc<Self>, rt: Digest, hold: Option<Hold>) {
        if hold.is_some() {
            self.local().holds.remove(&rt);
            self.write_hold(rt, hold, None).await;
        }
        let (is_first, is_held) = {
            let mut local = self.local();
            local.successes = local.successes.saturating_add(1);
            (local.successes == 1, local.record.is_held())
        };
        if is_held {
            self.exchange().await;
        } else if is_first {
            let watch = self.clone();
            self.deps.background.spawn(async move {
                tokio::time::sleep(SUCCESSES_EVERY).await;
                watch.exchange().await;
            });
        }
    }

    /// Records a failed call and returns the hold of its refresh token. `before` is the hold that it had.
    pub(super) async fn failed(&self, rt: Digest, person: u32, before: Option<Hold>, failure: CallFailure) -> Hold {
        let now = self.now();
        let hold = Hold::after(before, failure, now, &self.deps.random);
        // A call that was not sent says nothing of the session: other instances may send it at once.
        let is_stored = failure != CallFailure::Unsent && self.write_hold(rt, before, Some(hold)).await;
        self.local().keep_hold(rt, OwnHold { hold, is_stored }, now);
        self.record(match failure {
            CallFailure::BadAnswer | CallFailure::Unanswered => Event::Failed { person, until: hold.until },
            CallFailure::Unsent => Event::Unsent,
            CallFailure::TooMany(_) | CallFailure::EndedToken => Event::SessionHeld { until: hold.until },
        })
        .await;
        hold
    }

    /// The hold of a refresh token, also one that is over; `None` if none is remembered.
    pub(super) async fn hold_of(&self, rt: Digest) -> Option<Hold> {
        let now = self.now();
        // As a rule no session has a hold, and nothing is read.
        let of_fleet =
            if self.view(|record| record.has_holds(REMEMBERED, now)) { self.read_hold(rt).await } else { Some(None) };
        let own = self.local().holds.get(&rt).copied();
        let own = own.filter(|own| !own.is_stored || of_fleet.is_none()).map(|own| own.hold);
        let newest = own.into_iter().chain(of_fleet.flatten()).max_by_key(|hold| hold.set_at)?;
        let is_over = newest.until.plus(REMEMBERED) <= now
            || (!newest.is_own && self.view(|record| record.has_released(newest.set_at)));
        (!is_over).then_some(newest)
    }

    fn hold_key(&self, rt: Digest) -> Digest {
        digest_of(&[b"hold", self.name.as_bytes(), &rt.0])
    }

    /// The hold that the store has, if any; the outer `None`: the store cannot be read.
    async fn read_hold(&self, rt: Digest) -> Option<Option<Hold>> {
        if self.is_store_away() {
            return None;
        }
        match self.deps.store.notes.read(self.hold_key(rt), self.deps.clock.now()).await {
            Ok(note) => Some(serde_json::from_slice(&note.content).ok()),
            Err(error) => {
                tracing::debug!(%error, "the hold of a refresh token was not read: this instance goes by its own");
                None
            }
        }
    }

    /// Writes a hold for the fleet, or removes it; false if the store does not have it now. The lease makes this
    /// instance the only one that writes it.
    async fn write_hold(&self, rt: Digest, before: Option<Hold>, after: Option<Hold>) -> bool {
        if self.is_store_away() {
            return false;
        }
        let (key, now) = (self.hold_key(rt), self.deps.clock.now());
        let keep = after.map_or(REMEMBERED, |hold| hold.until.since(self.now()) + REMEMBERED);
        let after = after.map_or(Bytes::new(), |hold| json(&hold));
        let mut content = before.map_or(Bytes::new(), |hold| json(&hold));
        // The hold before may have been this instance's own alone, or have ended in the store.
        for _ in 0..2 {
            match self.deps.store.notes.replace(key, content, after.clone(), keep, now).await {
                Ok(Replaced::Done) => return true,
                Ok(Replaced::Changed(note)) => content = note.content,
                Err(error) => {
                    tracing::debug!(%error, "the hold of a refresh token was not stored");
                    return false;
                }
            }
        }
        false
    }

    fn is_store_away(&self) -> bool {
        self.deps.store.health.is_reachable() == Some(false)
    }

    /// Adds what is pending to the note, or reads the note if nothing is.
    async fn exchange(&self) {
        let _turn = self.turn.lock().await;
        let (events, senders, known) = {
            let mut local = self.local();
            let (mut events, senders): (Vec<_>, Vec<_>) = std::mem::take(&mut local.pending).into_iter().unzip();
            // In front: they happened before the events, and a success among failures is counted as such.
            match std::mem::take(&mut local.successes) {
                0 => {}
                number => events.insert(0, Event::Refreshed(number)),
            }
            let is_fresh = local.is_seen_within(VIEW_AGE, self.deps.clock.now());
            if events.is_empty() && is_fresh {
                return;
            }
            (events, senders, is_fresh.then(|| local.content.clone()))
        };
        let verdicts = match self.exchange_with_store(&events, known).await {
            Ok(verdicts) => verdicts,
            Err(error) => {
                if let Some(error) = error {
                    tracing::debug!(%error, authority = self.name, "outages are counted by this instance alone");
                }
                self.apply_alone(&events)
            }
        };
        // The verdict of the batched successes has no receiver.
        let own = verdicts.len() - senders.len();
        for (sender, verdict) in senders.into_iter().zip(verdicts.into_iter().skip(own)) {
            let _ = sender.send(verdict);
        }
    }

    /// `Err(None)`: the store is away, or others change the note all the time.
    async fn exchange_with_store(
        &self,
        events: &[Event],
        known: Option<Bytes>,
    ) -> Result<Vec<Verdict>, Option<StoreError>> {
        if self.is_store_away() {
            return Err(None);
        }
        let notes = &self.deps.store.notes;
        let mut content = match known {
            Some(content) => content,
            None => self.adopt_time(notes.read(self.key, self.deps.clock.now()).await?),
        };
        for _ in 0..MOST_TRIES {
            let mut record = parsed(&content);
            let now = self.now();
            let verdicts = events.iter().map(|event| record.apply(*event, now)).collect();
            let after = if events.is_empty() { content.clone() } else { json(&record) };
            if after != content {
                let replaced = notes.replace(self.key, content, after.clone(), RECORD_KEPT, self.deps.clock.now());
                if let Replaced::Changed(note) = replaced.await? {
                    content = self.adopt_time(note);
                    continue;
                }
            }
            self.adopt(record, Some(after));
            return Ok(verdicts);
        }
        Err(None)
    }

    fn apply_alone(&self, events: &[Event]) -> Vec<Verdict> {
        let mut record = self.local().record.clone();
        let now = self.now();
        let verdicts = events.iter().map(|event| record.apply(*event, now)).collect();
        self.adopt(record, None);
        verdicts
    }

    /// Takes over the store's time; returns the note's content.
    fn adopt_time(&self, note: Note) -> Bytes {
        self.local().store_ahead = note.read_at.as_millis().saturating_sub(self.deps.clock.now().as_millis());
        note.content
    }

    /// Takes over a record, logs what has changed, and wakes those who wait if an outage is over.
    fn adopt(&self, record: AuthorityRecord, content: Option<Bytes>) {
        let (down, braked) = (record.is_down(), record.is_braked());
        let mut local = self.local();
        let (was_down, was_braked) = (local.record.is_down(), local.record.is_braked());
        local.record = record;
        local.seen_at = content.is_some().then(|| self.deps.clock.now());
        local.content = content.unwrap_or_default();
        drop(local);
        let authority = self.name.as_str();
        match (was_braked, braked) {
            (false, true) => {
                self.deps.metrics.brake.inc();
                tracing::error!(
                    authority,
                    "the authority refuses most sessions: refusals end no session until a refresh succeeds, and it is \
                     asked at most once a second; check the authority"
                );
            }
            (true, false) => {
                self.deps.metrics.brake.dec();
                tracing::info!(authority, "a refresh succeeded: refusals end sessions again");
            }
            (false, false) | (true, true) => {}
        }
        match (was_down, down) {
            (false, true) => {
                self.down.inc();
                tracing::error!(authority, "the authority is down: it is asked at most once a second");
            }
            (true, false) => {
                self.down.dec();
                tracing::info!(authority, "the authority answers again");
            }
            (false, false) | (true, true) => {}
        }
        if (was_down || was_braked) && !down && !braked {
            self.changed.notify_waiters();
        }
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AuthorityWatch {
    /// After a reload another watch counts for the gauges.
    fn drop(&mut self) {
        if self.view(AuthorityRecord::is_braked) {
            self.deps.metrics.brake.dec();
        }
        if self.view(AuthorityRecord::is_down) {
            self.down.dec();
        }
    }
}

impl Local {
    fn is_seen_within(&self, age: Duration, now: Timestamp) -> bool {
        self.seen_at.is_some_and(|seen_at| seen_at <= now && now.since(seen_at) < age)
    }

    fn keep_hold(&mut self, rt: Digest, hold: OwnHold, now: Timestamp) {
        if self.holds.len() >= MOST_HOLDS {
            self.holds.retain(|_, own| own.hold.until > now);
        }
        if self.holds.len() < MOST_HOLDS || self.holds.contains_key(&rt) {
            self.holds.insert(rt, hold);
        }
    }
}

/// The store's time at `now`, which is of our clock.
fn store_time(local: &Local, now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_add(local.store_ahead))
}

fn parsed(content: &Bytes) -> AuthorityRecord {
    if content.is_empty() {
        return AuthorityRecord::default();
    }
    serde_json::from_slice(content).unwrap_or_else(|error| {
        tracing::warn!(%error, "the note of an authority in the store does not parse: outages are counted anew");
        AuthorityRecord::default()
    })
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("numbers and lists are JSON").into()
}
