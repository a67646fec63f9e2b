//! The store in a file of this machine, for one instance: it survives a crash. Memory answers the calls; every change
//! that a restart must not lose is written before its call answers. Calls at the same time share one write.

use std::{
    io,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use self::queue::{Changes, Queue};
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
    /// Opens the file, or creates it, and reads the records in it. Those that are past their time are removed with the
    /// first write.
    pub(super) fn open(path: &Path) -> Result<Store, OpenStoreError> {
        let (mut database, records) = database::open(path)?;
        let journal = FileJournal::by(move |changes| database.write(changes))
            .map_err(|error| OpenStoreError(format!("nothing can write {}: {error}", path.display())))?;
        Ok(Store::of(Arc::new(MemoryStore::with(journal, records))))
    }
}

/// The journal in the file. When it is dropped, everything that it was told is written.
struct FileJournal {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl FileJournal {
    /// A journal whose changes are written by `write`, on a thread of its own.
    fn by(write: impl FnMut(&Changes) -> Result<(), String> + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = {
            let queue = queue.clone();
            thread::Builder::new().name("store".to_owned()).spawn(move || writer::run(&queue, write))?
        };
        Ok(Self { queue, writer: Some(writer) })
    }
}

impl Journal for FileJournal {
    fn admits(&self) -> Result<(), StoreError> {
        self.queue.admits()
    }

    fn keeps(&self, record: Record<'_>) {
        self.queue.push(record.key(), Some(encoding::value(&record)));
    }

    fn forgets(&self, key: RecordKey) {
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
            // An error says that the thread panicked, which was logged then.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
