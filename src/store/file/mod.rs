//! The store in a file of this machine, for one instance: it survives a crash. Memory does the work; every change that must not be forgotten is written before its call answers.
//! Calls that come together share one write.

use std::{
    io,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{
    OpenError, Store, StoreError,
    memory::{
        MemoryStore,
        journal::{Journal, Key, Record},
    },
};
use queue::{Changes, Queue};

mod database;
mod queue;
mod records;
mod writer;

/// A store in memory whose journal is a file.
pub(super) struct FileStore;

impl FileStore {
    /// Opens the file, or makes a new one, and reads back what it holds. What is past its time goes with the first write.
    pub(super) fn open(path: &Path) -> Result<Store, OpenError> {
        let (mut database, records) = database::open(path)?;
        let written = Written::by(move |changes| database.write(changes))
            .map_err(|error| OpenError::Unusable(format!("nothing can write {}: {error}", path.display())))?;
        Ok(Store::of(Arc::new(MemoryStore::with(written, records))))
    }
}

/// The journal that is a file. When it is dropped, what it was told of is written.
struct Written {
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl Written {
    /// A journal that `write` writes, on a thread of its own.
    fn by(write: impl FnMut(&Changes) -> Result<(), String> + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let writer = {
            let queue = queue.clone();
            thread::Builder::new().name("store".to_owned()).spawn(move || writer::run(&queue, write))?
        };
        Ok(Self { queue, writer: Some(writer) })
    }
}

impl Journal for Written {
    fn admits(&self) -> Result<(), StoreError> {
        self.queue.admits()
    }

    fn keeps(&self, record: Record<'_>) {
        self.queue.push(record.key(), Some(records::value(&record)));
    }

    fn forgets(&self, key: Key) {
        self.queue.push(key, None);
    }

    fn written(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        self.queue.written()
    }

    fn is_reachable(&self) -> bool {
        self.queue.is_well()
    }

    fn tried(&self) -> impl Future<Output = Result<(), StoreError>> + Send + 'static {
        self.queue.try_out();
        self.queue.written()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(writer) = self.writer.take() {
            // It has nothing to say but that it panicked, which it has said already.
            let _ = writer.join();
        }
    }
}

#[cfg(test)]
mod tests;
