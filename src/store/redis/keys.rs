//! The names of keys. Each script uses one key, so it is one step on one node of a Cluster, also while the key is
//! migrated to another node.

use std::fmt::Write as _;

use crate::store::contract::{Digest, FamilyId, Sid};

/// Makes key names with the prefix of the address.
pub(super) struct KeyNames {
    prefix: String,
}

impl KeyNames {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// A session's leases and results, and whether it has ended.
    pub(super) fn session(&self, sid: Sid) -> String {
        self.named("session", &sid.0)
    }

    /// The list of the sessions that have ended.
    pub(super) fn endings(&self) -> String {
        format!("{}:endings", self.prefix)
    }

    /// A key that can be taken once.
    pub(super) fn once(&self, key: Digest) -> String {
        self.named("once", &key.0)
    }

    /// The keys that an owner has taken.
    pub(super) fn owned(&self, owner: Digest) -> String {
        self.named("owned", &owner.0)
    }

    /// The codes of an address.
    pub(super) fn codes(&self, address: Digest) -> String {
        self.named("codes", &address.0)
    }

    /// The counts of a quota.
    pub(super) fn count(&self, key: Digest) -> String {
        self.named("count", &key.0)
    }

    /// A family of refresh tokens.
    pub(super) fn family(&self, family: FamilyId) -> String {
        self.named("family", &family.0)
    }

    /// The deposits of a client.
    pub(super) fn deposits(&self, owner: Digest) -> String {
        self.named("deposits", &owner.0)
    }

    /// A note.
    pub(super) fn note(&self, key: Digest) -> String {
        self.named("note", &key.0)
    }

    /// The key that a probe writes.
    pub(super) fn probe(&self) -> String {
        format!("{}:probe", self.prefix)
    }

    /// The channel on which messages are published.
    pub(super) fn channel(&self) -> String {
        format!("{}:news", self.prefix)
    }

    fn named(&self, what: &str, name: &[u8]) -> String {
        format!("{}:{what}:{}", self.prefix, hex(name))
    }
}

/// `bytes` in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
