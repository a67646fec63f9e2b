//! A deadline that moves with every request, for the price of one timer entry a timeout rather than one a request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Far enough to be never, near enough not to overflow a timer.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A timer that is left standing when the deadline moves away from it: when it rings early it is set anew. So a
/// connection that serves a thousand requests a second touches the runtime's timer wheel once a timeout.
#[derive(Default, Debug)]
pub struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `deadline` has passed.
    pub fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The moment `span` after `start`, for spans of any length.
pub fn after(start: Instant, span: Duration) -> Instant {
    start + span.min(NEVER)
}
