//! Simulated outages of a demo server: the kind, and the end.

use std::time::Duration;

use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};

/// How a server fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    /// It works normally.
    #[default]
    None,
    /// It answers 503.
    Unavailable,
    /// It delays requests until the fault ends; after two minutes it closes the connection.
    Hang,
    /// It closes the connection without an answer.
    Close,
}

/// Longest time that a request is delayed.
const MAX_HANG: Duration = Duration::from_secs(120);

/// How a request fails during a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outage {
    Unavailable,
    Close,
}

/// The fault in force and its end.
#[derive(Debug)]
pub struct FaultSwitch {
    clock: Clock,
    state: watch::Sender<(Fault, Option<Timestamp>)>,
}

impl FaultSwitch {
    /// No fault yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: watch::Sender::new((Fault::None, None)) }
    }

    /// Sets a fault that lasts until the next call.
    pub fn set(&self, fault: Fault) {
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

    /// Waits while the fault delays requests; an error says how the request fails.
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
                    // Whether the fault changed or the time has passed, the next round reads it again.
                    let _ = tokio::time::timeout_at(end, changes.changed()).await;
                }
            }
        }
    }
}
