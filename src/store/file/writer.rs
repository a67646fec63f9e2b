//! The one thread that writes. All changes that wait are one transaction; what could not be written is tried again with
//! the next changes.

use std::time::Duration;

use super::queue::{Changes, Queue};

/// What could not be written is tried again after this time if no change comes before.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Writes all changes of `queue` until it is closed. `write` makes the changes that it is given in one step.
pub(super) fn run(queue: &Queue, mut write: impl FnMut(&Changes) -> Result<(), String>) {
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
