//! A timer for a deadline that moves with every request. It is set once for each timeout, not once for each request.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Longer spans are cut to this: a timer cannot hold any span, and no connection lives that long.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A timer that is not changed when its deadline moves to a later time. It then fires early and is set again. So a
/// connection with a thousand requests a second sets a timer once for each timeout.
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
