//! Where the frames of a WebSocket end (RFC 6455 section 5.2): so much must be known to put one in between.

/// The longest header: two bytes, eight of length, four of mask.
const HEADER: usize = 14;

/// Follows one direction of a WebSocket, byte by byte, without looking at what is said.
#[derive(Clone, Default)]
pub(super) struct Frames {
    header: [u8; HEADER],
    /// Bytes of the header that have been seen; none between two frames.
    seen: usize,
    /// Bytes of the payload still to come.
    left: u64,
    is_closed: bool,
}

impl Frames {
    /// Whether a frame may begin here.
    pub(super) fn at_boundary(&self) -> bool {
        self.seen == 0
    }

    /// Whether a close frame has passed: none may follow it.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes note of bytes that have passed.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.pass_one(bytes)..];
        }
    }

    /// How many of `bytes` belong to the frame that is under way.
    pub(super) fn to_boundary(&self, bytes: &[u8]) -> usize {
        if self.at_boundary() { 0 } else { self.clone().pass_one(bytes) }
    }

    /// Passes bytes up to the end of a frame, and says how many.
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

    /// As far as it can be known: at least two bytes.
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

/// A close frame from a server (RFC 6455 section 5.5.1): unmasked. `reason` is short, as in all control frames.
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
    fn frames_end_where_they_end_however_the_bytes_are_cut() {
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
            let mut tracker = Frames::default();
            let mut at = 0;
            for bytes in whole.chunks(cut) {
                assert_eq!(tracker.at_boundary(), at == 0 || ends.contains(&at), "at {at}");
                if !tracker.at_boundary() {
                    let end = ends.iter().find(|&&end| end > at).unwrap();
                    assert_eq!(tracker.to_boundary(bytes), bytes.len().min(end - at));
                }
                assert!(!tracker.is_closed());
                tracker.pass(bytes);
                at += bytes.len();
            }
            assert!(tracker.at_boundary() && tracker.is_closed());
        }
    }

    #[test]
    fn a_close_frame_says_its_code() {
        assert_eq!(close_frame(4401, "session over"), b"\x88\x0e\x11\x31session over");
    }
}
