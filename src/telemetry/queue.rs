//! The bounded queue between the threads that log and the thread that writes.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;

use super::AccessLine;

/// Most bytes of waiting lines; further lines are dropped and counted.
pub(super) const LIMIT: usize = 8 * 1024 * 1024;
/// Pause of the writer after a batch, in which lines collect: waking the writer for each line would cost a request more
/// than the line itself.
const BATCH_PAUSE: Duration = Duration::from_millis(10);

/// A line that waits to be written.
#[derive(Debug)]
pub(super) enum LogLine {
    /// Formatted text.
    Ready(Box<str>),
    /// Path and fields of an access line; the writer formats it.
    Access(Box<str>, AccessLine),
}

/// Which lines are dropped first when the queue is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Priority {
    Ordinary,
    /// Logins and refusals: an eighth of the queue is reserved for them.
    Audit,
}

#[derive(Debug)]
pub(super) struct LogQueue {
    state: Mutex<QueueState>,
    wake: Condvar,
    limit: usize,
    dropped: Counter,
}

#[derive(Default, Debug)]
struct QueueState {
    lines: Vec<LogLine>,
    /// Size of `lines` and of the lines that the writer has taken and not yet written.
    bytes: usize,
    /// Lines dropped since the writer last took a batch.
    dropped: u64,
    writer_sleeps: bool,
    closed: bool,
}

/// The lines that the writer takes at once.
#[derive(Debug)]
pub(super) struct LogBatch {
    pub(super) lines: Vec<LogLine>,
    /// Number of lines dropped since the batch before.
    pub(super) dropped: u64,
}

impl LogLine {
    /// Approximate size in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Self::Ready(text) => own + text.len(),
            Self::Access(path, _) => own + path.len(),
        }
    }
}

impl LogQueue {
    pub(super) fn new(limit: usize, dropped: Counter) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), limit, dropped }
    }

    /// Adds a line, or drops and counts it if the queue is full. Never blocks.
    pub(super) fn push(&self, line: LogLine, priority: Priority) {
        let size = line.size();
        let limit = match priority {
            Priority::Ordinary => self.limit - self.limit / 8,
            Priority::Audit => self.limit,
        };
        let mut state = self.lock();
        if state.closed || state.bytes + size > limit {
            state.dropped += 1;
            drop(state);
            self.dropped.inc();
            return;
        }
        state.bytes += size;
        state.lines.push(line);
        let wake = mem::take(&mut state.writer_sleeps);
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Waits for lines; `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<LogBatch> {
        let mut state = self.lock();
        while state.lines.is_empty() && state.dropped == 0 {
            if state.closed {
                return None;
            }
            state.writer_sleeps = true;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // The next batch is probably as large: its memory is allocated here and not on a request's thread.
        let room = Vec::with_capacity(state.lines.len());
        Some(LogBatch { lines: mem::replace(&mut state.lines, room), dropped: mem::take(&mut state.dropped) })
    }

    /// Frees the space of lines that were written, or could not be written.
    pub(super) fn written(&self, bytes: usize) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// Waits while lines collect.
    pub(super) fn pause(&self) {
        let state = self.lock();
        if !state.closed {
            let _woken = self.wake.wait_timeout(state, BATCH_PAUSE).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Counts lines that were taken and could not be written.
    pub(super) fn count_unwritten(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }

    /// Whether the log is ending.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Refuses further lines; those in the queue are still written.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The access log. Clones write to the same log.
#[derive(Clone, Debug)]
pub struct AccessLog(pub(super) Arc<LogQueue>);

impl AccessLog {
    /// Adds a line. `path` is the request's path without its query and without secrets (the token of a magic link).
    pub fn push(&self, path: &str, line: AccessLine) {
        self.0.push(LogLine::Access(path.into(), line), Priority::Ordinary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine::Ready(text.into())
    }

    #[test]
    fn lines_that_do_not_fit_are_dropped_and_counted_and_audit_lines_are_dropped_last() {
        let dropped = Counter::default();
        let size = line("0123456789").size();
        let queue = LogQueue::new(size * 8, dropped.clone());
        for _ in 0..9 {
            queue.push(line("0123456789"), Priority::Ordinary);
        }
        assert_eq!(dropped.get(), 2, "seven of eight places are for ordinary lines");
        queue.push(line("0123456789"), Priority::Audit);
        assert_eq!(dropped.get(), 2, "the last place is for audit lines");
        queue.push(line("0123456789"), Priority::Audit);
        assert_eq!(dropped.get(), 3);

        let batch = queue.take().expect("open");
        assert_eq!((batch.lines.len(), batch.dropped), (8, 3));
        queue.push(line("0123456789"), Priority::Ordinary);
        assert_eq!(dropped.get(), 4, "taken is not yet written");
        queue.written(size * 8);
        queue.push(line("0123456789"), Priority::Ordinary);
        assert_eq!(dropped.get(), 4);
    }

    #[test]
    fn a_closed_queue_returns_the_waiting_lines_and_then_none() {
        let queue = LogQueue::new(LIMIT, Counter::default());
        queue.push(line("last line"), Priority::Ordinary);
        queue.close();
        assert_eq!(queue.take().map(|batch| batch.lines.len()), Some(1));
        assert!(queue.take().is_none());
    }
}
