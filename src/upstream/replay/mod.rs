//! A request's body that can be sent a second time: kept while it streams to the first try, within limits.

use std::sync::Arc;

use http_body::Body as _;
use hyper::body::Incoming;

pub use super::body::{Budget, DEFAULT_BUDGET};
use super::body::{FirstTry, LimitedBody, RequestBody, SharedRecording};

/// The body for the first try, and what makes the body for a second. At most `keep` bytes are kept, and no more than
/// `budget` has free. `limit` is the route's limit of bytes.
pub fn record(body: Incoming, limit: Option<u64>, keep: usize, budget: &Arc<Budget>) -> (RequestBody, Replay) {
    if body.is_end_stream() {
        return (RequestBody::empty(), Replay(None));
    }
    let recording = SharedRecording::new(LimitedBody::new(body, limit), keep, budget);
    (RequestBody::first_try(FirstTry(recording.clone())), Replay(Some(recording)))
}

/// The second try of a recorded body.
#[must_use]
pub struct Replay(Option<SharedRecording>);

impl Replay {
    /// The same body once more: what was kept, then what the visitor has yet to send. `None` if a part that was read
    /// was not kept, or if the body has failed. The first try's body fails from here on.
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
            recording.forget();
        }
    }
}

#[cfg(test)]
mod tests;
