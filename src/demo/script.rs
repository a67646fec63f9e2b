//! What a test or the demo page makes a server do wrong: outages that begin and end, and answers written in advance.

use std::{collections::VecDeque, sync::Mutex, time::Duration};

use http::StatusCode;
use serde_json::Value;
use tokio::sync::watch;

use super::server::lock;
use crate::clock::{Clock, Timestamp};

/// How a server fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    /// It does not.
    #[default]
    None,
    /// It answers 503.
    Unavailable,
    /// It holds requests and answers them when the fault is lifted (after two minutes it closes the connection).
    Hang,
    /// It closes the connection without an answer.
    Close,
}

/// An answer written in advance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scripted {
    /// This answer, and nothing is done.
    Answer {
        /// The status.
        status: StatusCode,
        /// The content type.
        content_type: &'static str,
        /// The body.
        body: String,
    },
    /// What was asked for is done, but the connection closes before the answer.
    LoseAnswer,
}

impl Scripted {
    /// A JSON answer.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        Self::Answer { status, content_type: "application/json", body: body.to_string() }
    }

    /// An HTML answer, as a proxy in between gives it.
    pub fn html(status: StatusCode, body: impl Into<String>) -> Self {
        Self::Answer { status, content_type: "text/html", body: body.into() }
    }
}

/// Longest time a request is held.
const MAX_HANG: Duration = Duration::from_secs(120);
/// Most answers that can be waiting.
const MAX_QUEUED: usize = 1024;

/// The end of a request that met a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outage {
    Unavailable,
    Close,
}

/// One fault with its end.
pub(super) struct FaultSwitch {
    clock: Clock,
    state: watch::Sender<(Fault, Option<Timestamp>)>,
}

impl FaultSwitch {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, state: watch::Sender::new((Fault::None, None)) }
    }

    pub(super) fn set(&self, fault: Fault) {
        self.state.send_replace((fault, None));
    }

    pub(super) fn set_for(&self, fault: Fault, span: Duration) {
        self.state.send_replace((fault, Some(self.clock.now().plus(span))));
    }

    /// The fault in force, and its end where it has one.
    pub(super) fn now(&self) -> (Fault, Option<Timestamp>) {
        let (fault, until) = *self.state.borrow();
        if until.is_some_and(|until| until <= self.clock.now()) { (Fault::None, None) } else { (fault, until) }
    }

    /// Waits while requests are held; then goes on, or fails as told.
    pub(super) async fn pass(&self) -> Result<(), Outage> {
        let mut changes = self.state.subscribe();
        let deadline = tokio::time::Instant::now() + MAX_HANG;
        loop {
            let (fault, until) = self.now();
            match fault {
                Fault::None => return Ok(()),
                Fault::Unavailable => return Err(Outage::Unavailable),
                Fault::Close => return Err(Outage::Close),
                Fault::Hang if tokio::time::Instant::now() >= deadline => return Err(Outage::Close),
                Fault::Hang => {
                    let left = until.map_or(MAX_HANG, |until| until.since(self.clock.now()));
                    let end = deadline.min(tokio::time::Instant::now() + left);
                    // Either way the fault is looked at again.
                    let _ = tokio::time::timeout_at(end, changes.changed()).await;
                }
            }
        }
    }
}

/// Answers written in advance, each for one request of its kind, in order.
pub(super) struct Script<K>(Mutex<VecDeque<(K, Scripted)>>);

impl<K: PartialEq> Script<K> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(super) fn push(&self, kind: K, scripted: Scripted) {
        let mut queue = lock(&self.0);
        if queue.len() < MAX_QUEUED {
            queue.push_back((kind, scripted));
        }
    }

    pub(super) fn take(&self, kind: &K) -> Option<Scripted> {
        let mut queue = lock(&self.0);
        let at = queue.iter().position(|(k, _)| k == kind)?;
        queue.remove(at).map(|(_, scripted)| scripted)
    }
}
