//! When a connection has waited long enough: for a request head, for a next request, for the peer to take its bytes.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Limits,
    io::{Phase, Watch},
};
use crate::alarm::Alarm;

/// What came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expired {
    /// A request's head, or a frame, is incomplete: 408 in HTTP/1.
    Head,
    /// No request came.
    Idle,
    /// The peer does not take what is ready for it.
    Stalled,
}

/// The deadlines of one connection. hyper's own header timer is not used: it cannot tell an idle connection from a slow
/// head, and it makes and drops a timer for every request. Here the timer is only set back when it fires.
#[derive(Debug)]
pub(super) struct Deadlines {
    watch: Arc<Watch>,
    limits: Arc<Limits>,
    /// What was last seen, and since when.
    seen: Seen,
    since: Instant,
    /// After how many requests the connection fell quiet, and when: parts of frames do not make it less so.
    quiet: (usize, Instant),
    parting: bool,
    alarm: Alarm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seen {
    /// After so many requests.
    Idle(usize),
    /// That frame of HTTP/2.
    Head(usize),
    Busy,
    /// After so many bytes.
    Stalled(u64),
}

impl Deadlines {
    /// Of a connection of which nothing has been read, accepted at `since`.
    pub(super) fn new(watch: Arc<Watch>, limits: Arc<Limits>, since: Instant) -> Self {
        Self { watch, limits, seen: Seen::Idle(0), since, quiet: (0, since), parting: false, alarm: Alarm::default() }
    }

    /// From now on an idle connection is given only as long as a request may be on its way.
    pub(super) fn part(&mut self) {
        self.parting = true;
        self.since = Instant::now();
        self.quiet.1 = self.since;
    }

    /// To be polled at the end of each poll of the connection's task, when the connection itself has nothing to do.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        let now_seen = self.look();
        if now_seen != self.seen {
            // A new connection's head has been awaited since accept, whether or not some of it is here.
            let first_head = matches!(now_seen, Seen::Head(_)) && self.seen == Seen::Idle(0);
            // A busy connection has no deadline, so the clock need not be asked.
            if !first_head && now_seen != Seen::Busy {
                self.since = Instant::now();
            }
            let served = self.watch.served();
            if self.quiet.0 != served && matches!(now_seen, Seen::Idle(_) | Seen::Head(_)) {
                self.quiet = (served, self.since);
            }
            self.seen = now_seen;
        }
        let (deadline, expired) = match self.seen {
            Seen::Busy => return Poll::Pending,
            Seen::Stalled(_) => (self.since + self.limits.stalled, Expired::Stalled),
            Seen::Head(_) => {
                // One frame after the other, each begun and none a request, is not more than silence.
                let (served, quiet) = self.quiet;
                (self.since.min(quiet + self.idle(served)) + self.limits.head, Expired::Head)
            }
            Seen::Idle(served) => (self.quiet.1 + self.idle(served), Expired::Idle),
        };
        ready!(self.alarm.poll_until(deadline, cx));
        Poll::Ready(expired)
    }

    fn look(&self) -> Seen {
        if let Some(written) = self.watch.stalled_at() {
            return Seen::Stalled(written);
        }
        match self.watch.phase() {
            Phase::Busy => Seen::Busy,
            Phase::Head => Seen::Head(self.watch.unfinished()),
            Phase::Idle => Seen::Idle(self.watch.served()),
        }
    }

    fn idle(&self, served: usize) -> Duration {
        // A new connection owes a request within a head's time: silence must not be cheaper than slowness.
        let idle = if served == 0 { self.limits.head } else { self.limits.idle };
        if self.parting { idle.min(self.limits.parting) } else { idle }
    }
}
