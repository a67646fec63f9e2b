//! A timer for a deadline that is moved with every request, without resetting the timer each time.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// The longest span of a timer: adding a longer one to an `Instant` could overflow.
const LONGEST_SPAN: Duration = Duration::from_secs(365 * 24 * 3600);

/// A timer that is not reset when its deadline moves to a later time. When it fires early, it is set again to the
/// current deadline. So a connection with 1,000 requests a second sets it once per timeout.
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

/// `start` plus `span`, of which at most 365 days are used.
pub fn after(start: Instant, span: Duration) -> Instant {
    start + span.min(LONGEST_SPAN)
}
