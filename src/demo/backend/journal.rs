//! The journal: the latest events at the backend, for the page's live list.

use std::{
    collections::{HashMap, VecDeque},
    sync::Mutex,
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;

use super::{super::server::lock, message::Message};
use crate::clock::{Clock, Timestamp};

/// Most events that are remembered.
const MAX_EVENTS: usize = 500;
/// Most different requests whose 401 is remembered.
const MAX_REFUSED: usize = 256;
/// A request counts as a repetition if it comes within this time after its 401.
const REPEAT_WINDOW: Duration = Duration::from_secs(10);

/// An event of the live list.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Event {
    /// The event's number, from 1.
    pub seq: u64,
    /// Its time, in milliseconds since the Unix epoch.
    pub at: i64,
    /// `exchange`, `credentials`, `refresh`, `refresh_refused`, `reuse_detected`, `unavailable`, `signout`, `request`,
    /// `unauthorized`, `replay`, `code`, `message`, or `control`.
    pub kind: &'static str,
    /// The number of the session's token family.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<u64>,
    /// The token's generation: 1 after the login, one more after each refresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Method and path, or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// A keyword, e.g. `expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The message that arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
}

impl Event {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { seq: 0, at: 0, kind, family: None, generation: None, path: None, reason: None, message: None }
    }

    pub(super) fn token(mut self, family: u64, generation: u64) -> Self {
        (self.family, self.generation) = (Some(family), Some(generation));
        self
    }

    pub(super) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    pub(super) fn message(mut self, message: Message) -> Self {
        self.message = Some(message);
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
    state: Mutex<JournalState>,
}

#[derive(Default)]
struct JournalState {
    events: VecDeque<Event>,
    /// Requests that got 401, by family and by method with path: their number, and the time of the last.
    refused: HashMap<(u64, String), (u64, Timestamp)>,
}

impl Journal {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, last: watch::Sender::new(0), state: Mutex::default() }
    }

    pub(super) fn push(&self, mut event: Event) {
        event.at = self.clock.now().as_millis();
        let mut state = lock(&self.state);
        event.seq = self.last() + 1;
        self.last.send_replace(event.seq);
        if state.events.len() >= MAX_EVENTS {
            state.events.pop_front();
        }
        state.events.push_back(event);
    }

    /// Records that a session's request got 401.
    pub(super) fn refused(&self, family: u64, request: &str) {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        state.refused.retain(|_, (_, at)| now.since(*at) < REPEAT_WINDOW);
        let key = (family, request.to_owned());
        if state.refused.len() < MAX_REFUSED || state.refused.contains_key(&key) {
            let (count, at) = state.refused.entry(key).or_default();
            (*count, *at) = (*count + 1, now);
        }
    }

    /// Whether an accepted request repeats one that got 401 shortly before; each 401 allows one repetition.
    pub(super) fn is_repeated(&self, family: u64, request: &str) -> bool {
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let key = (family, request.to_owned());
        let Some((count, at)) = state.refused.get_mut(&key) else { return false };
        let recent = now.since(*at) < REPEAT_WINDOW;
        *count -= 1;
        if *count == 0 || !recent {
            state.refused.remove(&key);
        }
        recent
    }

    /// The events after that one.
    pub(super) fn after(&self, seq: u64) -> Vec<Event> {
        lock(&self.state).events.iter().filter(|event| event.seq > seq).cloned().collect()
    }

    /// The event after which a reader continues that has received `seq`: 0 if `seq` is from before a restart.
    pub(super) fn resume(&self, seq: u64) -> u64 {
        if seq > self.last() { 0 } else { seq }
    }

    /// The newest event's number.
    pub(super) fn last(&self) -> u64 {
        *self.last.borrow()
    }

    /// Receives the newest event's number, now and whenever it changes.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}
