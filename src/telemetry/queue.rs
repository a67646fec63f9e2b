//! The bounded queue between those who log and the one who writes.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

use super::AccessLine;

/// Bytes that wait to be written. What is dropped beyond them is counted.
pub(super) const LIMIT: usize = 8 * 1024 * 1024;
/// After a batch the writer lets lines gather for this long: a wake-up per line would cost its request more than the
/// line does.
const GATHER: Duration = Duration::from_millis(10);

/// One line to be written.
#[derive(Debug)]
pub(super) enum Line {
    /// Written as it is.
    Ready(Box<str>),
    /// Formatted by the writer.
    Access(Box<str>, AccessLine),
}

/// How much a line matters when there is no room for all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    Ordinary,
    /// Who logged in and who was refused: dropped last.
    Audit,
}

#[derive(Debug)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    limit: usize,
    dropped: Counter,
}

#[derive(Default, Debug)]
struct Waiting {
    lines: Vec<Line>,
    /// Of `lines`, and of those the writer has taken and not yet written.
    bytes: usize,
    /// Since the writer last asked.
    dropped: u64,
    writer_sleeps: bool,
    closed: bool,
}

/// What the writer takes at a time.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    /// Lines dropped before these.
    pub(super) dropped: u64,
}

impl Line {
    /// Bytes of memory, near enough to bound them.
    pub(super) fn size(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Self::Ready(text) => own + text.len(),
            Self::Access(path, _) => own + path.len(),
        }
    }
}

impl Queue {
    pub(super) fn new(limit: usize, dropped: Counter) -> Self {
        Self { waiting: Mutex::default(), wake: Condvar::new(), limit, dropped }
    }

    /// Never waits for room.
    pub(super) fn push(&self, line: Line, weight: Weight) {
        let size = line.size();
        let limit = match weight {
            Weight::Ordinary => self.limit - self.limit / 8,
            Weight::Audit => self.limit,
        };
        let mut waiting = self.lock();
        if waiting.closed || waiting.bytes + size > limit {
            waiting.dropped += 1;
            drop(waiting);
            self.dropped.inc();
            return;
        }
        waiting.bytes += size;
        waiting.lines.push(line);
        let wake = mem::take(&mut waiting.writer_sleeps);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits for lines; `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut waiting = self.lock();
        while waiting.lines.is_empty() && waiting.dropped == 0 {
            if waiting.closed {
                return None;
            }
            waiting.writer_sleeps = true;
            waiting = self.wake.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        // The next lines are likely to be as many: their room is made here, not by a request.
        let room = Vec::with_capacity(waiting.lines.len());
        Some(Batch { lines: mem::replace(&mut waiting.lines, room), dropped: mem::take(&mut waiting.dropped) })
    }

    /// Gives room for what has been written (or could not be).
    pub(super) fn written(&self, bytes: usize) {
        let mut waiting = self.lock();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
    }

    /// Lets lines gather.
    pub(super) fn pause(&self) {
        let waiting = self.lock();
        if !waiting.closed {
            let _woken = self.wake.wait_timeout(waiting, GATHER).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// No more lines are taken in; what waits is still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where access lines go.
#[derive(Clone, Debug)]
pub struct AccessLog(pub(super) Arc<Queue>);

impl AccessLog {
    /// Puts a line in: it is formatted elsewhere. `path` is the request's path without its query, and without what is
    /// secret in it (the token of a magic link).
    pub fn push(&self, path: &str, line: AccessLine) {
        self.0.push(Line::Access(path.into(), line), Weight::Ordinary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::Ready(text.into())
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_audit_lines_last() {
        let dropped = Counter::default();
        let size = line("0123456789").size();
        let queue = Queue::new(size * 8, dropped.clone());
        for _ in 0..9 {
            queue.push(line("0123456789"), Weight::Ordinary);
        }
        assert_eq!(dropped.get(), 2, "seven of eight places are for ordinary lines");
        queue.push(line("0123456789"), Weight::Audit);
        assert_eq!(dropped.get(), 2, "the last place is for audit lines");
        queue.push(line("0123456789"), Weight::Audit);
        assert_eq!(dropped.get(), 3);

        let batch = queue.take().expect("open");
        assert_eq!((batch.lines.len(), batch.dropped), (8, 3));
        queue.push(line("0123456789"), Weight::Ordinary);
        assert_eq!(dropped.get(), 4, "taken is not yet written");
        queue.written(size * 8);
        queue.push(line("0123456789"), Weight::Ordinary);
        assert_eq!(dropped.get(), 4);
    }

    #[test]
    fn a_closed_queue_gives_what_waits_and_then_ends() {
        let queue = Queue::new(LIMIT, Counter::default());
        queue.push(line("last words"), Weight::Ordinary);
        queue.close();
        assert_eq!(queue.take().map(|batch| batch.lines.len()), Some(1));
        assert!(queue.take().is_none());
    }
}
