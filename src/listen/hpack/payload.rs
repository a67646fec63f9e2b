//! The payload of a frame that has a part of a header block.

use super::{BlockFault, HeaderBlocks};

// Flags (RFC 9113 section 6.2).
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

/// The payload of a HEADERS or CONTINUATION frame: fields before the part of the block, the part, and padding.
#[derive(Debug)]
pub(in crate::listen) struct BlockPayload {
    /// Bytes left before the part of the block; the first is the length of the padding if `is_padded`.
    before: usize,
    is_padded: bool,
    /// Bytes left of the part of the block, and of the padding as long as its length is not known.
    part: usize,
    is_last: bool,
}

impl BlockPayload {
    /// Of a HEADERS frame of this length and with these flags (RFC 9113 section 6.2).
    pub(in crate::listen) fn of_headers(length: u32, flags: u8) -> Self {
        let is_padded = flags & PADDED != 0;
        let before = usize::from(is_padded) + if flags & PRIORITY == 0 { 0 } else { 5 };
        let part = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(before);
        Self { before, is_padded, part, is_last: flags & END_HEADERS != 0 }
    }

    /// Of a CONTINUATION frame (RFC 9113 section 6.10).
    pub(in crate::listen) fn of_continuation(length: u32, flags: u8) -> Self {
        let part = usize::try_from(length).unwrap_or(usize::MAX);
        Self { before: 0, is_padded: false, part, is_last: flags & END_HEADERS != 0 }
    }

    /// Reads the next bytes of the payload. h2 refuses a frame whose padding is longer than its payload.
    pub(in crate::listen) fn read(&mut self, bytes: &mut [u8], blocks: &mut HeaderBlocks) -> Result<(), BlockFault> {
        let (before, bytes) = bytes.split_at_mut(self.before.min(bytes.len()));
        if let (true, Some(padding)) = (self.is_padded, before.first()) {
            self.part = self.part.saturating_sub(usize::from(*padding));
            self.is_padded = false;
        }
        self.before -= before.len();
        let taken = self.part.min(bytes.len());
        blocks.read(&mut bytes[..taken])?;
        self.part -= taken;
        let is_complete = self.before == 0 && self.part == 0 && self.is_last;
        if is_complete && !blocks.may_end() { Err(BlockFault::Undecodable) } else { Ok(()) }
    }
}
