//! The content of the gateway's own refresh tokens. Clients and backends see them as opaque.

use crate::{
    clock::Timestamp,
    store::{FamilyId, Generation},
};

/// The sealed content of a refresh token: 28 octets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OwnRefresh {
    pub(super) family: FamilyId,
    pub(super) generation: Generation,
    /// The end of the family is computed from this: [`Families::advance`](crate::store::Families::advance) needs that
    /// end before it returns the family's record.
    pub(super) logged_in_at: Timestamp,
}

impl OwnRefresh {
    pub(super) fn to_bytes(self) -> [u8; 28] {
        let mut bytes = [0; 28];
        bytes[..16].copy_from_slice(&self.family.0);
        bytes[16..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..].copy_from_slice(&self.logged_in_at.as_millis().to_be_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk()?;
        let (generation, rest) = rest.split_first_chunk()?;
        Some(Self {
            family: FamilyId(*family),
            generation: Generation::from_be_bytes(*generation),
            logged_in_at: Timestamp::from_millis(i64::from_be_bytes(rest.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_28_octets_are_read_as_a_refresh_token_and_give_what_was_written() {
        let token = OwnRefresh {
            family: FamilyId([7; 16]),
            generation: 3,
            logged_in_at: Timestamp::from_millis(1_800_000_000_001),
        };
        let bytes = token.to_bytes();
        assert_eq!(OwnRefresh::from_bytes(&bytes), Some(token));
        for length in 0..bytes.len() {
            assert_eq!(OwnRefresh::from_bytes(&bytes[..length]), None);
        }
        assert_eq!(OwnRefresh::from_bytes(&[0; 29]), None);
    }
}
