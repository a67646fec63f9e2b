//! The keys of records.

/// The id of a session: 128 random bits, new at each login.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(pub [u8; 16]);

impl std::fmt::Debug for Sid {
    /// The first 32 bits only: enough to correlate log lines, while 96 bits stay secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02x}{:02x}{:02x}{:02x}…", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// A SHA-256 digest or HMAC: the key of a value that must not be readable in the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Digest(pub [u8; 32]);

/// Counts the refreshes of one session, or of one family of refresh tokens, from 0 at login.
pub type Generation = u32;

/// The id of the refresh tokens of one login where the gateway itself is the token authority: 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FamilyId(pub [u8; 16]);

/// Who holds a lease: a process and one of its refreshes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Holder(pub [u8; 16]);
