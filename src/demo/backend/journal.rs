//! What happened at the backend: events for the page's live list, and whole requests for tests.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::Mutex,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use serde::Serialize;
use tokio::sync::watch;

use super::{super::server::lock, Letter};
use crate::clock::{Clock, Timestamp};

/// Most events kept.
const MAX_EVENTS: usize = 500;
/// Most requests kept whole.
const MAX_RECORDED: usize = 1000;
/// Most bytes of a recorded body.
const MAX_RECORDED_BODY: usize = 64 * 1024;
/// Most different requests whose 401 is remembered.
const MAX_REFUSED: usize = 256;
/// A request that comes later than this after a 401 is a new one.
const COMES_AGAIN: Duration = Duration::from_secs(10);

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Event {
    /// Counts from 1.
    pub seq: u64,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// `exchange`, `credentials`, `refresh`, `refresh_refused`, `reuse_detected`, `unavailable`, `signout`, `request`,
    /// `unauthorized`, `replay`, `code`, `message`, or `control`.
    pub kind: &'static str,
    /// The session, as a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<u64>,
    /// Which token of the session: 1 after login, one more at each refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Method and path, or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The message that arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub letter: Option<Letter>,
}

impl Event {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { seq: 0, at: 0, kind, family: None, generation: None, path: None, reason: None, letter: None }
    }

    pub(super) fn token(mut self, family: u64, generation: u64) -> Self {
        (self.family, self.generation) = (Some(family), Some(generation));
        self
    }

    pub(super) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(super) fn letter(mut self, letter: Letter) -> Self {
        self.letter = Some(letter);
        self
    }

    pub(super) fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }
}

/// The latest events.
pub(super) struct Journal {
    clock: Clock,
    last: watch::Sender<u64>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    events: VecDeque<Event>,
    /// Session, and method and path, of requests that got 401; how often, and when last.
    refused: HashMap<(u64, String), (u64, Timestamp)>,
}

impl Journal {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: watch::Sender::new(0), inner: Mutex::default() }
    }

    pub(super) fn push(&self, mut event: Event) {
        event.at = self.clock.now().as_millis();
        let mut inner = lock(&self.inner);
        event.seq = self.last() + 1;
        self.last.send_replace(event.seq);
        if inner.events.len() >= MAX_EVENTS {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
    }

    /// Notes that a session's request got 401.
    pub(super) fn refused(&self, family: u64, request: &str) {
        let now = self.clock.now();
        let mut inner = lock(&self.inner);
        inner.refused.retain(|_, (_, at)| now.since(*at) < COMES_AGAIN);
        let key = (family, request.to_owned());
        if inner.refused.len() < MAX_REFUSED || inner.refused.contains_key(&key) {
            let (count, at) = inner.refused.entry(key).or_default();
            (*count, *at) = (*count + 1, now);
        }
    }

    /// Whether a request that is let in is one that got 401 a moment ago; each 401 counts for one.
    pub(super) fn comes_again(&self, family: u64, request: &str) -> bool {
        let now = self.clock.now();
        let mut inner = lock(&self.inner);
        let key = (family, request.to_owned());
        let Some((count, at)) = inner.refused.get_mut(&key) else { return false };
        let recent = now.since(*at) < COMES_AGAIN;
        *count -= 1;
        if *count == 0 || !recent {
            inner.refused.remove(&key);
        }
        recent
    }

    /// The events after that one.
    pub(super) fn after(&self, seq: u64) -> Vec<Event> {
        lock(&self.inner).events.iter().filter(|event| event.seq > seq).cloned().collect()
    }

    /// Where a reader goes on who has seen up to `seq`: one who saw more than there is saw another backend, before a restart.
    pub(super) fn resume(&self, seq: u64) -> u64 {
        if seq > self.last() { 0 } else { seq }
    }

    /// The newest event's number.
    pub(super) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Says the newest event's number, and each new one.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}

/// A request as it came in.
#[derive(Clone)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, its first 64 KiB; empty for a body that was streamed.
    pub body: Bytes,
}

impl Recorded {
    /// A header's value as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON.
    pub fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Headers and body hold tokens.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} headers, {} bytes)", self.method, self.path, self.headers.len(), self.body.len())
    }
}

/// The latest requests.
#[derive(Default)]
pub(super) struct Log(Mutex<VecDeque<Recorded>>);

impl Log {
    pub(super) fn push(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) {
        let recorded = Recorded {
            method: method.clone(),
            path: uri.path().to_owned(),
            query: uri.query().map(str::to_owned),
            headers: headers.clone(),
            // A copy, so that a slice does not keep a large body alive.
            body: Bytes::copy_from_slice(body.get(..MAX_RECORDED_BODY).unwrap_or(body)),
        };
        let mut log = lock(&self.0);
        if log.len() >= MAX_RECORDED {
            log.pop_front();
        }
        log.push_back(recorded);
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        lock(&self.0).iter().cloned().collect()
    }

    pub(super) fn clear(&self) {
        lock(&self.0).clear();
    }
}
