//! The conformance cases of notes.

use std::time::Duration;

use bytes::Bytes;

use super::fixtures::{DEADLINE, at, at_once, digest, secs};
use crate::store::contract::{Digest, Note, Replaced, Store};

const NONE: &str = "";

async fn replace(store: &Store, key: Digest, before: &'static str, after: &'static str, time: i64) -> Replaced {
    let (before, after) = (Bytes::from_static(before.as_bytes()), Bytes::from_static(after.as_bytes()));
    store.notes.replace(key, before, after, secs(60), at(time)).await.unwrap()
}

async fn content(store: &Store, key: Digest, time: i64) -> Bytes {
    store.notes.read(key, at(time)).await.unwrap().content
}

pub(in crate::store) async fn a_note_is_replaced_only_by_a_caller_that_knows_its_content(store: &Store) {
    let key = digest();
    assert_eq!(content(store, key, 0).await, NONE);
    assert!(
        matches!(replace(store, key, "something", "one", 0).await, Replaced::Changed(Note { content, .. }) if content.is_empty())
    );
    assert_eq!(replace(store, key, NONE, "one", 0).await, Replaced::Done);
    assert_eq!(content(store, key, 1).await, "one");
    assert!(
        matches!(replace(store, key, NONE, "two", 1).await, Replaced::Changed(Note { content, .. }) if content == "one")
    );
    assert_eq!(replace(store, key, "one", "two", 1).await, Replaced::Done);
    assert_eq!(content(store, key, 2).await, "two");
    assert_eq!(content(store, digest(), 2).await, NONE, "another key");
    assert_eq!(replace(store, key, "two", NONE, 2).await, Replaced::Done);
    assert_eq!(content(store, key, 3).await, NONE);
    assert_eq!(replace(store, key, NONE, "three", 3).await, Replaced::Done);
}

pub(in crate::store) async fn of_100_replacements_of_one_content_at_once_one_is_done(store: &Store) {
    let key = digest();
    assert_eq!(replace(store, key, NONE, "before", 0).await, Replaced::Done);
    let done = at_once(100, store, move |store, _| async move { replace(&store, key, "before", "after", 0).await });
    assert_eq!(done.await.into_iter().filter(|replaced| *replaced == Replaced::Done).count(), 1);
}

pub(in crate::store) async fn a_note_of_any_bytes_is_read_as_it_was_written(store: &Store) {
    let (key, bytes) = (digest(), Bytes::from((0..=255).collect::<Vec<u8>>()));
    let replaced = store.notes.replace(key, Bytes::new(), bytes.clone(), secs(60), at(0)).await.unwrap();
    assert_eq!(replaced, Replaced::Done);
    assert_eq!(content(store, key, 0).await, bytes);
}

pub(in crate::store) async fn a_note_ends_after_its_time(store: &Store) {
    let key = digest();
    let keep = Duration::from_millis(50);
    store.notes.replace(key, Bytes::new(), Bytes::from_static(b"short"), keep, at(0)).await.unwrap();
    // A shared store ends it by its own clock, the others by the caller's.
    let mut now = 1;
    let ended = async {
        while !content(store, key, now).await.is_empty() {
            now += 1;
        }
    };
    tokio::time::timeout(DEADLINE, ended).await.unwrap();
    assert_eq!(replace(store, key, NONE, "again", now).await, Replaced::Done);
}
