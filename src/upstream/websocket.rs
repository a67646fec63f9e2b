//! Follows the frames of a WebSocket (RFC 6455 section 5.2), so that a close frame can be sent between two of them.

/// Bytes of the longest frame header: two, eight of length, four of mask.
const MAX_HEADER: usize = 14;

/// The position within the frames of one direction. Payloads are skipped, not read.
#[derive(Clone, Default)]
pub(super) struct WebSocketFrames {
    header: [u8; MAX_HEADER],
    /// Bytes of the header read so far; 0 between two frames.
    seen: usize,
    /// Bytes of the payload still to come.
    left: u64,
    is_closed: bool,
}

impl WebSocketFrames {
    /// Whether a frame may begin here.
    pub(super) fn is_between_frames(&self) -> bool {
        self.seen == 0
    }

    /// Whether a close frame has passed; no frame may follow it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Follows bytes that have been written.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.pass_one(bytes)..];
        }
    }

    /// How many of `bytes` belong to the frame that has begun.
    pub(super) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        if self.is_between_frames() { 0 } else { self.clone().pass_one(bytes) }
    }

    /// Follows bytes up to the end of a frame and returns how many.
    fn pass_one(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        for &byte in bytes {
            let length = self.header_length();
            if self.seen == length {
                break;
            }
            self.header[self.seen] = byte;
            self.seen += 1;
            passed += 1;
            if self.seen == self.header_length() {
                self.left = self.payload_length();
            }
        }
        if self.seen == self.header_length() {
            let payload = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len() - passed);
            self.left -= payload as u64;
            passed += payload;
            if self.left == 0 {
                self.is_closed |= self.header[0] & 0x0f == 0x8;
                self.seen = 0;
            }
        }
        passed
    }

    /// The length of the header as far as it is known: at least two bytes.
    fn header_length(&self) -> usize {
        if self.seen < 2 {
            return 2;
        }
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.header[1] & 0x80 == 0 { 0 } else { 4 }
    }

    fn payload_length(&self) -> u64 {
        let length = |bytes: &[u8]| bytes.iter().fold(0, |length, &byte| length << 8 | u64::from(byte));
        match self.header[1] & 0x7f {
            126 => length(&self.header[2..4]),
            127 => length(&self.header[2..10]),
            short => u64::from(short),
        }
    }
}

/// An unmasked close frame, as a server sends it (RFC 6455 section 5.5.1). `reason` is cut to 123 bytes.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let reason = &reason.as_bytes()[..reason.len().min(123)];
    let [high, low] = code.to_be_bytes();
    let length = u8::try_from(reason.len() + 2).unwrap_or(125);
    let mut frame = vec![0x88, length, high, low];
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, mask: bool, payload: usize) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        let masked = if mask { 0x80 } else { 0 };
        match payload {
            0..126 => frame.push(masked | u8::try_from(payload).unwrap()),
            126..65536 => {
                frame.push(masked + 126);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(masked + 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        if mask {
            frame.extend([1, 2, 3, 4]);
        }
        frame.resize(frame.len() + payload, 0x88);
        frame
    }

    #[test]
    fn the_end_of_a_frame_is_found_wherever_the_bytes_are_cut() {
        let frames: Vec<_> =
            [(1, false, 0), (2, true, 5), (1, false, 125), (2, false, 126), (1, true, 70_000), (8, false, 2)]
                .into_iter()
                .map(|(opcode, mask, payload)| frame(opcode, mask, payload))
                .collect();
        let whole = frames.concat();
        let ends: Vec<_> = frames
            .iter()
            .scan(0, |end, frame| {
                *end += frame.len();
                Some(*end)
            })
            .collect();
        for cut in [1, 2, 3, 7, 4096, whole.len()] {
            let mut tracker = WebSocketFrames::default();
            let mut at = 0;
            for bytes in whole.chunks(cut) {
                assert_eq!(tracker.is_between_frames(), at == 0 || ends.contains(&at), "at {at}");
                if !tracker.is_between_frames() {
                    let end = ends.iter().find(|&&end| end > at).unwrap();
                    assert_eq!(tracker.rest_of_frame(bytes), bytes.len().min(end - at));
                }
                assert!(!tracker.is_closed());
                tracker.pass(bytes);
                at += bytes.len();
            }
            assert!(tracker.is_between_frames() && tracker.is_closed());
        }
    }

    #[test]
    fn a_close_frame_has_its_code_and_reason() {
        assert_eq!(close_frame(4401, "session over"), b"\x88\x0e\x11\x31session over");
    }
}
