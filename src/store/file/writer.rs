//! The loop of the writer thread. All waiting changes are one transaction; changes that could not be written are
//! retried with the next ones.

use std::time::Duration;

use super::queue::{ChangeQueue, Changes};

/// The longest wait before a failed write is retried; a new change retries it at once.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes the changes of `queue` until it is closed. `write` makes one transaction.
pub(super) fn run(queue: &ChangeQueue, mut write: impl FnMut(&Changes) -> Result<(), String>) {
    let mut unwritten = Changes::new();
    let mut failed = false;
    loop {
        let mut batch = queue.next(failed.then_some(RETRY_AFTER));
        unwritten.append(&mut batch.changes);
        match write(&unwritten) {
            Ok(()) => {
                unwritten.clear();
                if failed {
                    tracing::info!("the store's file can be written again");
                }
                failed = false;
            }
            Err(error) => {
                if !failed {
                    tracing::error!(error, "the store's file cannot be written");
                }
                failed = true;
            }
        }
        queue.attempted(&batch, !failed);
        if batch.is_last {
            return;
        }
    }
}
