//! The store in a file on this machine, for one instance. Calls are answered from memory. Every change except leases is
//! written to the file before its call answers, so it survives a crash. Concurrent calls share one write.

use std::{
    io,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use self::queue::{ChangeQueue, Changes};
use super::{
    contract::{OpenStoreError, Store, StoreError},
    memory::{
        MemoryStore,
        journal::Journal,
        records::{Record, RecordKey},
    },
};

mod database;
mod encoding;
mod queue;
mod writer;

/// A store in memory whose journal is a file.
pub(super) struct FileStore;

impl FileStore {
    /// Opens or creates the file, and reads its records. Expired ones are removed with the first write.
    pub(super) fn open(path: &Path) -> Result<Store, OpenStoreError> {
        let (mut database, records) = database::open(path)?;
        let journal = FileJournal::by(move |changes| database.write(changes)).map_err(|error| {
            OpenStoreError(format!("no thread to write {} could be started: {error}", path.display()))
        })?;
        Ok(Store::of(Arc::new(MemoryStore::with(journal, records))))
    }
}

/// Writes changes to the file on a thread. Dropping it waits until everything queued is written.
struct FileJournal {
    queue: Arc<ChangeQueue>,
    writer: Option<JoinHandle<()>>,
}

impl FileJournal {
    /// A journal that calls `write` with the queued changes, on a new thread.
    fn by(write: impl FnMut(&Changes) -> Result<(), String> + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(ChangeQueue::default());
        let writer = {
            let queue = queue.clone();
            thread::Builder::new().name("store".to_owned()).spawn(move || writer::run(&queue, write))?
        };
        Ok(Self { queue, writer: Some(writer) })
    }
}

impl Journal for FileJournal {
    fn check_writable(&self) -> Result<(), StoreError> {
        self.queue.check_writable()
    }

    fn put(&self, record: Record<'_>) {
        self.queue.push(record.key(), Some(encoding::value(&record)));
    }

    fn remove(&self, key: RecordKey) {
        self.queue.push(key, None);
    }

    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        self.queue.written()
    }

    fn is_reachable(&self) -> bool {
        self.queue.is_writable()
    }

    fn probe(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        self.queue.push_nothing();
        self.queue.written()
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // An error means that the thread panicked, which the panic hook has logged.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
