//! The changes that wait to be written. Calls push them; the writer thread takes them in batches.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::store::{contract::StoreError, memory::records::RecordKey};

/// Records that may wait to be written; beyond this new ones are refused. Removals are not counted: there are at most
/// as many as records in memory.
const MOST_WAITING: usize = 65_536;
/// How long a call waits for its changes to be written.
const DEADLINE: Duration = Duration::from_secs(10);

/// The newest value of each key that changed; `None` if the record was removed.
pub(super) type Changes = BTreeMap<RecordKey, Option<Vec<u8>>>;

/// The queue between the calls and the writer.
pub(super) struct ChangeQueue {
    waiting: Mutex<Waiting>,
    has_changes: Condvar,
    progress: watch::Sender<WriteProgress>,
}

#[derive(Default)]
struct Waiting {
    changes: Changes,
    records: usize,
    /// The number of pushes so far.
    pushed: u64,
    /// The number of pushes that the writer has taken.
    taken: u64,
    closed: bool,
}

/// Numbers of pushes that the writer has tried to write (`attempted`) and has written.
#[derive(Clone, Copy, Default)]
struct WriteProgress {
    written: u64,
    attempted: u64,
}

/// The changes that the writer takes in one step.
pub(super) struct ChangeBatch {
    pub(super) changes: Changes,
    /// The number of the last push in it.
    upto: u64,
    /// Whether the queue is closed: no batch follows.
    pub(super) is_last: bool,
}

impl Default for ChangeQueue {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            has_changes: Condvar::new(),
            progress: watch::Sender::new(WriteProgress::default()),
        }
    }
}

impl ChangeQueue {
    pub(super) fn push(&self, key: RecordKey, value: Option<Vec<u8>>) {
        let mut waiting = self.waiting();
        waiting.records += usize::from(value.is_some());
        waiting.changes.insert(key, value);
        waiting.pushed += 1;
        drop(waiting);
        self.has_changes.notify_one();
    }

    /// Makes the writer write even if nothing changed.
    pub(super) fn push_nothing(&self) {
        self.waiting().pushed += 1;
        self.has_changes.notify_one();
    }

    pub(super) fn close(&self) {
        self.waiting().closed = true;
        self.has_changes.notify_one();
    }

    /// Whether the last attempt to write succeeded.
    pub(super) fn is_writable(&self) -> bool {
        let progress = *self.progress.borrow();
        progress.written >= progress.attempted
    }

    pub(super) fn check_writable(&self) -> Result<(), StoreError> {
        if !self.is_writable() {
            return Err(unavailable("the file cannot be written"));
        }
        if self.waiting().records >= MOST_WAITING {
            return Err(unavailable("the file is too slow"));
        }
        Ok(())
    }

    /// Resolves when everything that was pushed before this call is written, or could not be written.
    pub(super) fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        let upto = self.waiting().pushed;
        let mut progress = self.progress.subscribe();
        async move {
            let attempt = async { progress.wait_for(|progress| progress.attempted >= upto).await.map(|p| *p) };
            match tokio::time::timeout(DEADLINE, attempt).await {
                Ok(Ok(progress)) if progress.written >= upto => Ok(()),
                Ok(Ok(_)) => Err(unavailable("the file cannot be written")),
                Ok(Err(_)) => Err(unavailable("the file was closed")),
                Err(_) => Err(unavailable("the file is too slow")),
            }
        }
    }

    /// Waits for changes, at most for `at_most` (`None`: without a limit), and returns all of them, possibly none.
    pub(super) fn next(&self, at_most: Option<Duration>) -> ChangeBatch {
        let is_idle = |waiting: &mut Waiting| waiting.pushed == waiting.taken && !waiting.closed;
        let waiting = self.waiting();
        let mut waiting = match at_most {
            None => self.has_changes.wait_while(waiting, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(at_most) => {
                self.has_changes.wait_timeout_while(waiting, at_most, is_idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        waiting.taken = waiting.pushed;
        waiting.records = 0;
        ChangeBatch { changes: mem::take(&mut waiting.changes), upto: waiting.pushed, is_last: waiting.closed }
    }

    /// Reports the outcome of writing everything up to `batch` to the waiting calls.
    pub(super) fn attempted(&self, batch: &ChangeBatch, is_written: bool) {
        self.progress.send_modify(|progress| {
            progress.attempted = batch.upto;
            if is_written {
                progress.written = batch.upto;
            }
        });
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}
