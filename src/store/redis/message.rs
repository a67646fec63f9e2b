//! The messages that instances publish: one byte for the kind, the 16 bytes of a session's id, and for an ended session
//! the time until which the end is remembered, in decimal milliseconds since the Unix epoch.

use crate::{clock::Timestamp, store::contract::Sid};

use super::script::exact;

const SETTLED: u8 = b's';
const ENDED: u8 = b'e';

/// A message to all instances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InstanceMessage {
    /// A lease of the session was settled.
    Settled(Sid),
    /// The session has ended, and the end is remembered until this time.
    Ended(Sid, Timestamp),
}

impl InstanceMessage {
    /// The bytes that are published.
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Settled(sid) => [&[SETTLED], &sid.0[..]].concat(),
            Self::Ended(sid, until) => [&[ENDED], &sid.0[..], exact(until).to_string().as_bytes()].concat(),
        }
    }

    /// Decodes a message; `None` for a kind of a later version. An end without a time is remembered until the process
    /// ends.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (sid, until) = rest.split_first_chunk()?;
        let sid = Sid(*sid);
        match *kind {
            SETTLED => Some(Self::Settled(sid)),
            ENDED => {
                let until = std::str::from_utf8(until).ok().and_then(|until| until.parse().ok());
                Some(Self::Ended(sid, Timestamp::from_millis(until.unwrap_or(i64::MAX))))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_that_other_versions_publish() {
        let (sid, until) = (Sid([7; 16]), Timestamp::from_millis(1_700_000_000_123));
        for (message, bytes) in [
            (InstanceMessage::Settled(sid), [&b"s"[..], &[7; 16]].concat()),
            (InstanceMessage::Ended(sid, until), [&b"e"[..], &[7; 16], b"1700000000123"].concat()),
        ] {
            assert_eq!(message.encode(), bytes);
            assert_eq!(InstanceMessage::decode(&bytes), Some(message));
        }
        assert_eq!(InstanceMessage::decode(b"p"), None);
        assert_eq!(InstanceMessage::decode(&[&b"x"[..], &[7; 16]].concat()), None);
    }
}
