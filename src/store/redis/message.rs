//! The messages that instances publish: one byte for the kind, the 16 bytes of a session's id, and for an ended session
//! the time until which the end is remembered, by the server's clock, in decimal milliseconds since the Unix epoch.

use crate::{clock::Timestamp, store::contract::Sid};

const SETTLED: u8 = b's';
const ENDED: u8 = b'e';

/// A message to all instances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum InstanceMessage {
    /// A lease of the session was settled.
    Settled(Sid),
    /// The session has ended, and the end is remembered until this time of the server's clock.
    Ended(Sid, Timestamp),
}

impl InstanceMessage {
    /// The bytes that tell that a lease of `sid` was settled.
    pub(super) fn settled(sid: Sid) -> Vec<u8> {
        [&[SETTLED], &sid.0[..]].concat()
    }

    /// The bytes that tell that `sid` has ended; `announce.lua` appends the time.
    pub(super) fn ended_before_time(sid: Sid) -> Vec<u8> {
        [&[ENDED], &sid.0[..]].concat()
    }

    /// Decodes a message; `None` for one that this version cannot read. An end among them is found in the list of ended
    /// sessions, which is read every half second.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (sid, until) = rest.split_first_chunk()?;
        let sid = Sid(*sid);
        match *kind {
            SETTLED => Some(Self::Settled(sid)),
            ENDED => {
                let until = std::str::from_utf8(until).ok()?.parse().ok()?;
                Some(Self::Ended(sid, Timestamp::from_millis(until)))
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
        let (settled, ended) = ([&b"s"[..], &[7; 16]].concat(), [&b"e"[..], &[7; 16], b"1700000000123"].concat());
        assert_eq!(InstanceMessage::settled(sid), settled);
        assert_eq!([InstanceMessage::ended_before_time(sid), b"1700000000123".to_vec()].concat(), ended);
        assert_eq!(InstanceMessage::decode(&settled), Some(InstanceMessage::Settled(sid)));
        assert_eq!(InstanceMessage::decode(&ended), Some(InstanceMessage::Ended(sid, until)));
        assert_eq!(InstanceMessage::decode(b"p"), None);
        assert_eq!(InstanceMessage::decode(&[&b"x"[..], &[7; 16]].concat()), None);
    }

    #[test]
    fn an_end_whose_time_cannot_be_read_is_not_remembered_for_ever() {
        for time in [&b""[..], b"soon", b"17e9", b"99999999999999999999", b"\xff"] {
            assert_eq!(InstanceMessage::decode(&[&b"e"[..], &[7; 16], time].concat()), None);
        }
    }
}
