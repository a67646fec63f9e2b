//! A request's body that can be sent a second time: recorded while it streams to the first try, within limits.

use std::sync::Arc;

use http_body::Body as _;
use hyper::body::Incoming;

pub use super::body::{Budget, DEFAULT_BUDGET};
use super::body::{FirstTry, LimitedBody, RequestBody, SharedRecording};

/// The body for the first try, and a [`Replay`] that makes the body for a second. At most `max` bytes are recorded, and
/// no more than `budget` has free. `limit` is the most bytes that the route allows for a body.
pub fn record(body: Incoming, limit: Option<u64>, max: usize, budget: &Arc<Budget>) -> (RequestBody, Replay) {
    if body.is_end_stream() {
        return (RequestBody::empty(), Replay(None));
    }
    let recording = SharedRecording::new(LimitedBody::new(body, limit), max, budget);
    (RequestBody::first_try(FirstTry(recording.clone())), Replay(Some(recording)))
}

/// The second try of a recorded body.
#[must_use]
pub struct Replay(Option<SharedRecording>);

impl Replay {
    /// The same body once more: the recorded bytes, then what the visitor has yet to send. `None` if a part that was
    /// read was not recorded, or if the body has failed. From now on reading the first try's body fails.
    pub fn again(mut self) -> Option<RequestBody> {
        match self.0.take() {
            Some(recording) => recording.take().map(RequestBody::second_try),
            None => Some(RequestBody::empty()),
        }
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        if let Some(recording) = &self.0 {
            recording.discard();
        }
    }
}

#[cfg(test)]
mod tests;
