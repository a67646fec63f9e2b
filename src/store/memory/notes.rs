//! Notes in memory. They are not written to the journal: they matter for a minute.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    clock::Timestamp,
    store::contract::{Digest, Note, Replaced},
};

/// Notes in memory. Beyond this the one that ends first is removed.
const MOST_NOTES: usize = 20_000;

/// The notes, each with its end.
#[derive(Default)]
pub(super) struct SharedNotes {
    notes: HashMap<Digest, (Bytes, Timestamp)>,
    /// The same notes in the order of their ends.
    ends: BTreeSet<(Timestamp, Digest)>,
}

impl SharedNotes {
    pub(super) fn read(&self, key: Digest, now: Timestamp) -> Note {
        let live = self.notes.get(&key).filter(|(_, end)| *end > now);
        Note { content: live.map(|(content, _)| content.clone()).unwrap_or_default(), read_at: now }
    }

    pub(super) fn replace(
        &mut self,
        key: Digest,
        before: &Bytes,
        after: Bytes,
        keep: Duration,
        now: Timestamp,
    ) -> Replaced {
        let note = self.read(key, now);
        if note.content != *before {
            return Replaced::Changed(note);
        }
        self.remove(key);
        if !after.is_empty() {
            while let Some((end, first)) = self.ends.first().copied()
                && (end <= now || self.notes.len() >= MOST_NOTES)
            {
                self.remove(first);
            }
            let end = now.plus(keep);
            self.notes.insert(key, (after, end));
            self.ends.insert((end, key));
        }
        Replaced::Done
    }

    fn remove(&mut self, key: Digest) {
        if let Some((_, end)) = self.notes.remove(&key) {
            self.ends.remove(&(end, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_notes_the_one_that_ends_first_is_removed() {
        let now = Timestamp::from_secs(1_700_000_000);
        let key = |number: usize| Digest([number.to_be_bytes(); 4].concat().try_into().unwrap());
        let mut notes = SharedNotes::default();
        for number in 0..=MOST_NOTES {
            let keep = Duration::from_secs(60 + number as u64);
            let put = notes.replace(key(number), &Bytes::new(), Bytes::from_static(b"x"), keep, now);
            assert_eq!(put, Replaced::Done);
        }
        assert_eq!((notes.notes.len(), notes.ends.len()), (MOST_NOTES, MOST_NOTES));
        assert!(notes.read(key(0), now).content.is_empty());
        assert!(!notes.read(key(1), now).content.is_empty());
        // What has ended makes room with the next write.
        let late = now.plus(Duration::from_secs(1_000_000));
        notes.replace(key(5), &Bytes::new(), Bytes::from_static(b"y"), Duration::from_secs(1), late);
        assert_eq!((notes.notes.len(), notes.ends.len()), (1, 1));
    }
}
