//! The one thread that writes: everything that has come is one transaction, and what failed is tried again with what comes next.

use std::time::Duration;

use super::queue::{Changes, Queue};

/// What could not be written is tried again after so long, if nothing comes before.
const AGAIN: Duration = Duration::from_secs(1);

/// Has `write` make all changes that `queue` brings, until that is closed; each time in one step.
pub(super) fn run(queue: &Queue, mut write: impl FnMut(&Changes) -> Result<(), String>) {
    let mut unwritten = Changes::new();
    let mut failed = false;
    loop {
        let mut batch = queue.next(failed.then_some(AGAIN));
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
