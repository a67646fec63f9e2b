//! The names of keys: all that one script touches has one hash tag, so that a Cluster keeps it on one node.

use std::fmt::Write as _;

use crate::store::{Digest, FamilyId, Sid};

/// Key names, all beginning with one word.
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix }
    }

    /// Whether a session has ended.
    pub(super) fn ended(&self, sid: Sid) -> String {
        self.tagged(&sid.0, "ended")
    }

    /// Who may refresh a session's tokens.
    pub(super) fn leases(&self, sid: Sid) -> String {
        self.tagged(&sid.0, "leases")
    }

    /// What is known of a session's results, and the results themselves.
    pub(super) fn results(&self, sid: Sid) -> [String; 2] {
        [self.tagged(&sid.0, "results"), self.tagged(&sid.0, "sealed")]
    }

    /// Everything of a session, in the order its scripts expect.
    pub(super) fn session(&self, sid: Sid) -> [String; 4] {
        let [results, sealed] = self.results(sid);
        [self.ended(sid), self.leases(sid), results, sealed]
    }

    /// The endings by number, by their time, and the newest number.
    pub(super) fn endings(&self) -> [String; 3] {
        ["by-number", "by-until", "number"].map(|what| format!("{}:{{ended}}:{what}", self.prefix))
    }

    /// A thing that is used once.
    pub(super) fn once(&self, key: Digest) -> [String; 1] {
        [self.tagged(&key.0, "once")]
    }

    /// The codes of an address: their states, and what they say.
    pub(super) fn codes(&self, address: Digest) -> [String; 2] {
        [self.tagged(&address.0, "codes"), self.tagged(&address.0, "code-contents")]
    }

    /// What is counted against a quota.
    pub(super) fn count(&self, key: Digest) -> [String; 1] {
        [self.tagged(&key.0, "count")]
    }

    /// A family of refresh tokens.
    pub(super) fn family(&self, family: FamilyId) -> [String; 1] {
        [self.tagged(&family.0, "family")]
    }

    /// What a probe writes.
    pub(super) fn probe(&self) -> [String; 1] {
        [format!("{}:probe", self.prefix)]
    }

    /// Where news is published.
    pub(super) fn channel(&self) -> String {
        format!("{}:news", self.prefix)
    }

    fn tagged(&self, tag: &[u8], what: &str) -> String {
        format!("{}:{{{}}}:{what}", self.prefix, hex(tag))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
