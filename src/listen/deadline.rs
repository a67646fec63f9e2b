//! The deadlines of a connection: for a request head, for the next request, for a peer that reads nothing.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    activity::{Activity, ConnectionPhase},
    settings::Limits,
};
use crate::alarm::{Alarm, after};

/// The deadline that has passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expired {
    /// A request's head, or a frame, is incomplete: 408 in HTTP/1.
    Head,
    /// No request arrived.
    Idle,
    /// Bytes are ready for the peer, and it reads none.
    Stalled,
}

/// The deadlines of one connection. hyper's own header timer is not used: it cannot tell an idle connection from a slow
/// head, and makes and drops a timer for every request. This timer is only set anew when it fires.
#[derive(Debug)]
pub(super) struct ConnectionDeadlines {
    activity: Arc<Activity>,
    limits: Arc<Limits>,
    /// What was last waited for, and since when.
    waiting: WaitingFor,
    since: Instant,
    /// The number of requests after which the connection fell silent, and when. Parts of frames do not end the silence.
    silent: (usize, Instant),
    is_draining: bool,
    alarm: Alarm,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WaitingFor {
    /// The next request after this many.
    Request(usize),
    /// The rest of a head, or of the HTTP/2 frame with this number.
    Head(usize),
    /// A handler.
    Handler,
    /// The peer, after this many bytes were written.
    Peer(u64),
}

impl ConnectionDeadlines {
    /// For a connection accepted at `since`, of which nothing has been read.
    pub(super) fn new(activity: Arc<Activity>, limits: Arc<Limits>, since: Instant) -> Self {
        Self {
            activity,
            limits,
            waiting: WaitingFor::Request(0),
            since,
            silent: (0, since),
            is_draining: false,
            alarm: Alarm::default(),
        }
    }

    /// From now on an idle connection closes after `idle_while_draining`, the time for a request that is already sent.
    pub(super) fn begin_draining(&mut self) {
        self.is_draining = true;
        self.silent.1 = Instant::now();
    }

    /// To be polled at the end of each poll of the connection's task, when the connection itself has nothing to do.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Expired> {
        let waiting = self.waiting_for();
        if waiting != self.waiting {
            // The head of a new connection's first request is awaited since accept, even if none of it has arrived.
            let is_first_head = matches!(waiting, WaitingFor::Head(_)) && self.waiting == WaitingFor::Request(0);
            // While a handler runs there is no deadline, so the clock need not be read.
            if !is_first_head && waiting != WaitingFor::Handler {
                self.since = Instant::now();
            }
            let served = self.activity.served();
            if self.silent.0 != served && matches!(waiting, WaitingFor::Request(_) | WaitingFor::Head(_)) {
                self.silent = (served, self.since);
            }
            self.waiting = waiting;
        }
        let (deadline, expired) = match self.waiting {
            WaitingFor::Handler => return Poll::Pending,
            WaitingFor::Peer(_) => (after(self.since, self.limits.stalled), Expired::Stalled),
            WaitingFor::Head(_) => {
                // Frames that are begun one after the other, none of them a request, count as silence.
                let (served, silent_since) = self.silent;
                (after(self.since.min(after(silent_since, self.idle(served))), self.limits.head), Expired::Head)
            }
            WaitingFor::Request(served) => (after(self.silent.1, self.idle(served)), Expired::Idle),
        };
        ready!(self.alarm.poll_until(deadline, cx));
        Poll::Ready(expired)
    }

    fn waiting_for(&self) -> WaitingFor {
        if let Some(written) = self.activity.stalled_at() {
            return WaitingFor::Peer(written);
        }
        match self.activity.phase() {
            ConnectionPhase::Busy => WaitingFor::Handler,
            ConnectionPhase::Head => WaitingFor::Head(self.activity.incomplete_frame()),
            ConnectionPhase::Idle => WaitingFor::Request(self.activity.served()),
        }
    }

    fn idle(&self, served: usize) -> Duration {
        // On a new connection a silent peer gets no more time than a slow head, or silence would be the better attack.
        let idle = if served == 0 { self.limits.head } else { self.limits.idle };
        if self.is_draining { idle.min(self.limits.idle_while_draining) } else { idle }
    }
}
