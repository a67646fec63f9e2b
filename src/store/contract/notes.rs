//! Notes: small contents that all instances read and replace, for what a fleet has to know together for a minute.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{errors::StoreError, ids::Digest};
use crate::clock::Timestamp;

/// A note, with the time of the store that has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// Opaque to the store; empty if there is no note.
    pub content: Bytes,
    /// When it was read. A shared store reads its own clock, so the instances of a fleet have one clock for the times
    /// in a note; `memory` and `file`, which one instance uses, take the caller's `now`.
    pub read_at: Timestamp,
}

/// The answer to [`Notes::replace`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Replaced {
    /// The note has the new content.
    Done,
    /// The content was another one: nothing was changed. This is the note.
    Changed(Note),
}

/// Notes. A note may be lost (by a restart, or the oldest of very many): what is in it must not decide who gets access.
pub trait Notes: Send + Sync {
    /// The note under `key`.
    fn read(&self, key: Digest, now: Timestamp) -> BoxFuture<'_, Result<Note, StoreError>>;

    /// Replaces the note if its content is `before` (empty: there is none), and keeps it for `keep` from now on. An
    /// empty `after` removes it.
    fn replace(
        &self,
        key: Digest,
        before: Bytes,
        after: Bytes,
        keep: Duration,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Replaced, StoreError>>;
}
