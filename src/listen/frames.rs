//! Follows the frames of an HTTP/2 connection in its bytes: ends floods of frames that do no work for a visitor, and
//! header blocks that h2 would repair.

use std::time::Duration;

use tokio::time::Instant;

use super::hpack::{BlockFault, BlockKind, BlockPayload, HeaderBlocks};

/// Credits of a new connection, and the most that it regains by waiting.
const CREDITS: u32 = 1000;
/// A connection regains one credit in this time.
const REFILL_INTERVAL: Duration = Duration::from_millis(10);
/// Most credits of a connection: a peer that was suspended acknowledges a whole window when it wakes.
const MAX_CREDITS: u32 = 100_000;
/// Bytes of the connection preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;
/// Bytes of a frame header (RFC 9113 section 4.1).
const FRAME_HEADER: usize = 9;
// Error codes (RFC 9113 section 7).
const PROTOCOL_ERROR: u32 = 1;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

// Frame types and flags (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// Credits that a request earns. A request that is reset costs these and one more.
const REQUEST: u32 = 4;

/// Credits that a request costs which is refused because of the heads in memory, beside those that it earned. A
/// browser sends it again; a peer that goes on sending more is a flood.
const REFUSED: u32 = REQUEST + 5;

/// Both directions of a connection, and its credits.
///
/// The h2 crate bounds the frames that make it keep state (resets, CONTINUATION, empty DATA), but not those that it
/// only answers or records (PING, SETTINGS, `WINDOW_UPDATE`, PRIORITY, unknown types), which cost CPU time. Here each
/// of those costs a credit, and work earns credits: requests, bodies, and most of all the data sent, so that a peer may
/// acknowledge each frame of an answer twice, however small it is. Frames sent in answer to the flood earn nothing.
#[derive(Debug)]
pub(super) struct Http2Frames {
    read: FrameReader,
    written: FrameReader,
    credits: u32,
    refilled_at: Instant,
    /// Frames begun by the peer; a header block counts as one.
    begun: usize,
    /// A header block continues in a CONTINUATION frame.
    in_header_block: bool,
    last_stream: u32,
    blocks: HeaderBlocks,
    /// The payload of a HEADERS or CONTINUATION frame that is being read.
    block_payload: Option<BlockPayload>,
}

/// Why a connection is ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameFault {
    /// The peer has used up its credits.
    Flood,
    /// A header block cannot be decoded (RFC 7541).
    Undecodable,
    /// Trailers with a pseudo-header field. RFC 9113 section 8.1 makes it an error of the stream; as an error of the
    /// connection (section 5.4.1) no part of the request is taken for whole.
    Malformed,
}

impl Http2Frames {
    /// For a connection accepted at `since`, of which nothing has been read.
    pub(super) fn new(since: Instant) -> Self {
        Self {
            read: FrameReader { left: PREFACE, ..FrameReader::default() },
            written: FrameReader::default(),
            credits: CREDITS,
            refilled_at: since,
            begun: 0,
            in_header_block: false,
            last_stream: 0,
            blocks: HeaderBlocks::new(),
            block_payload: None,
        }
    }

    /// Follows the next bytes from the peer, and overwrites a fragment in a `:path` ([`HeaderBlocks`]). The clock is
    /// read only if credits are short.
    pub(super) fn read(&mut self, mut bytes: &mut [u8], now: impl Fn() -> Instant) -> Result<(), FrameFault> {
        loop {
            if let Some(payload) = &mut self.block_payload {
                let here = self.read.left.min(bytes.len());
                payload.read(&mut bytes[..here], &mut self.blocks)?;
            }
            let mut rest = &*bytes;
            let Some(frame) = self.read.next(&mut rest) else { return Ok(()) };
            let taken = bytes.len() - rest.len();
            bytes = &mut bytes[taken..];
            if !self.in_header_block {
                self.begun += 1;
            }
            self.block_payload = match frame.kind {
                HEADERS => Some(BlockPayload::of_headers(frame.length, frame.flags)),
                CONTINUATION => Some(BlockPayload::of_continuation(frame.length, frame.flags)),
                _ => None,
            };
            match frame.kind {
                HEADERS => {
                    self.in_header_block = frame.flags & END_HEADERS == 0;
                    self.blocks.begin(if frame.stream > self.last_stream {
                        BlockKind::Head
                    } else {
                        BlockKind::Trailers
                    });
                    self.last_stream = self.last_stream.max(frame.stream);
                    self.earn(REQUEST);
                }
                DATA if frame.has_data() => self.earn(1),
                DATA if frame.flags & END_STREAM != 0 => {}
                RST_STREAM => self.spend(REQUEST + 1, &now)?,
                kind => {
                    self.in_header_block &= kind != CONTINUATION || frame.flags & END_HEADERS == 0;
                    self.spend(1, &now)?;
                }
            }
        }
    }

    /// Counts requests that were refused.
    pub(super) fn refused(&mut self, requests: usize, now: impl Fn() -> Instant) -> Result<(), FrameFault> {
        if requests == 0 {
            return Ok(());
        }
        self.spend(u32::try_from(requests).unwrap_or(u32::MAX).saturating_mul(REFUSED), now)
    }

    /// Follows the next bytes to the peer.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.written.next(&mut bytes) {
            if frame.kind == DATA {
                // Two for a peer that acknowledges to the stream and to the connection, more for one that acknowledges
                // parts of a frame. Fewer for the smallest frames: opening the window byte by byte must not earn.
                self.earn((frame.length / 4).min(2) + frame.length / 512);
            }
        }
    }

    /// The number of the frame or header block that is not complete; 0 if there is none.
    pub(super) fn incomplete(&self) -> usize {
        match (self.in_header_block || self.read.left > 0, self.read.have > 0) {
            (true, _) => self.begun,
            (false, true) => self.begun + 1,
            (false, false) => 0,
        }
    }

    /// A GOAWAY frame that names the last stream and the fault; `None` while another frame is being written.
    pub(super) fn goaway(&self, fault: FrameFault) -> Option<[u8; FRAME_HEADER + 8]> {
        if self.written.have > 0 || self.written.left > 0 {
            return None;
        }
        let mut frame = [0; FRAME_HEADER + 8];
        (frame[2], frame[3]) = (8, GOAWAY);
        frame[9..13].copy_from_slice(&self.last_stream.to_be_bytes());
        frame[13..].copy_from_slice(&fault.code().to_be_bytes());
        Some(frame)
    }

    fn earn(&mut self, credits: u32) {
        self.credits = self.credits.saturating_add(credits).min(MAX_CREDITS);
    }

    fn spend(&mut self, credits: u32, now: impl Fn() -> Instant) -> Result<(), FrameFault> {
        if self.credits < credits {
            let now = now();
            let refills = now.saturating_duration_since(self.refilled_at).as_millis() / REFILL_INTERVAL.as_millis();
            if refills > 0 {
                self.refilled_at = now;
                self.earn(u32::try_from(refills).unwrap_or(CREDITS).min(CREDITS));
            }
        }
        self.credits = self.credits.checked_sub(credits).ok_or(FrameFault::Flood)?;
        Ok(())
    }
}

/// Reads the frame headers in one direction, wherever the bytes are cut.
#[derive(Default, Debug)]
struct FrameReader {
    /// Bytes to skip: of the preface, or of a payload.
    left: usize,
    header: [u8; FRAME_HEADER],
    /// Bytes of the next header that have been read.
    have: usize,
}

/// A frame header.
struct FrameHeader {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl FrameReader {
    /// Takes bytes up to the end of the next frame header, or all of them.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<FrameHeader> {
        let (passed, rest) = bytes.split_at(self.left.min(bytes.len()));
        self.left -= passed.len();
        let (taken, rest) = rest.split_at((FRAME_HEADER - self.have).min(rest.len()));
        self.header[self.have..self.have + taken.len()].copy_from_slice(taken);
        self.have += taken.len();
        *bytes = rest;
        if self.have < FRAME_HEADER {
            return None;
        }
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]);
        (self.have, self.left) = (0, usize::try_from(length).unwrap_or(usize::MAX));
        // The first bit is reserved.
        Some(FrameHeader { length, kind, flags, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1) })
    }
}

impl FrameFault {
    fn code(self) -> u32 {
        match self {
            Self::Flood => ENHANCE_YOUR_CALM,
            Self::Undecodable => COMPRESSION_ERROR,
            Self::Malformed => PROTOCOL_ERROR,
        }
    }
}

impl From<BlockFault> for FrameFault {
    fn from(fault: BlockFault) -> Self {
        match fault {
            BlockFault::Undecodable => Self::Undecodable,
            BlockFault::PseudoInTrailers => Self::Malformed,
        }
    }
}

impl FrameHeader {
    /// Whether a DATA frame has data for certain: a padded one of up to 256 bytes may be all padding.
    fn has_data(&self) -> bool {
        self.length > if self.flags & PADDED == 0 { 0 } else { 256 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;
    const SETTINGS: u8 = 4;
    const PRIORITY: u8 = 2;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(length: usize, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
        let mut bytes = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        if matches!(kind, HEADERS | CONTINUATION) {
            // Fields of one byte (`accept-encoding`): a block of any length is whole.
            bytes.resize(bytes.len() + length, 0x90);
        } else {
            // The payload looks like frame headers, to show that it is skipped.
            bytes.extend(frame_heads().take(length));
        }
        bytes
    }

    fn frame_heads() -> impl Iterator<Item = u8> {
        [0, 0, 0, PING, 0, 0, 0, 0, 0].into_iter().cycle()
    }

    /// A connection whose preface has been read, and a clock that does not advance.
    fn connection() -> (Http2Frames, impl Fn() -> Instant + Copy) {
        let since = Instant::now();
        let mut frames = Http2Frames::new(since);
        let now = move || since;
        assert_eq!(read(&mut frames, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now), Ok(()));
        (frames, now)
    }

    fn read(frames: &mut Http2Frames, bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), FrameFault> {
        frames.read(&mut bytes.to_vec(), now)
    }

    /// The number of these frames after which a new connection is a flood.
    fn frames_until_flood(bytes: &[u8]) -> usize {
        let (mut frames, now) = connection();
        (1..=10 * CREDITS as usize)
            .find(|_| read(&mut frames, bytes, now) == Err(FrameFault::Flood))
            .unwrap_or(usize::MAX)
    }

    #[test]
    fn frames_without_work_end_a_connection() {
        let control = |kind, length| frame(length, kind, 0, 0);
        for flood in [
            control(PING, 8),
            control(SETTINGS, 0),
            control(SETTINGS, 6),
            control(PRIORITY, 5),
            control(WINDOW_UPDATE, 4),
            control(GOAWAY, 8),
            control(CONTINUATION, 0),
            control(77, 30),
            frame(8, PING, 1, 0),
            frame(0, DATA, 0, 1),
            frame(256, DATA, PADDED, 1),
        ] {
            assert_eq!(frames_until_flood(&flood), 1001, "{flood:?}");
        }
        let cancelled = [frame(10, HEADERS, END_HEADERS, 1), frame(4, RST_STREAM, 0, 1)].concat();
        assert_eq!(frames_until_flood(&cancelled), 1001);
        assert_eq!(frames_until_flood(&frame(4, RST_STREAM, 0, 1)), 201);
    }

    #[test]
    fn requests_and_bodies_never_end_a_connection() {
        for work in [
            frame(10, HEADERS, END_HEADERS | END_STREAM, 1),
            frame(1, DATA, 0, 1),
            frame(257, DATA, PADDED, 1),
            frame(0, DATA, END_STREAM, 1),
        ] {
            assert_eq!(frames_until_flood(&work), usize::MAX, "{work:?}");
        }
        // A client that sends as many control frames with each request as a browser.
        let browser = [frame(10, HEADERS, END_HEADERS, 1), frame(5, PRIORITY, 0, 1), frame(4, WINDOW_UPDATE, 0, 1)];
        assert_eq!(frames_until_flood(&browser.concat()), usize::MAX);
    }

    #[test]
    fn some_refused_requests_are_no_flood_and_many_are() {
        let (mut frames, now) = connection();
        let request = frame(10, HEADERS, END_HEADERS | END_STREAM, 1);
        let mut refuse = |requests: usize| {
            read(&mut frames, &request.repeat(requests), now).and_then(|()| frames.refused(requests, now))
        };
        assert_eq!(refuse(0), Ok(()));
        // A page whose images are refused and asked for twice again.
        assert_eq!([refuse(41), refuse(41), refuse(41)], [Ok(()), Ok(()), Ok(())]);
        assert_eq!((0..10).find(|_| refuse(41) == Err(FrameFault::Flood)), Some(1));
    }

    #[test]
    fn frames_sent_in_answer_to_a_flood_earn_no_credits() {
        let (mut frames, now) = connection();
        let pings = (1..5000).find(|_| {
            let flood = read(&mut frames, &frame(8, PING, 0, 0), now);
            frames.wrote(&frame(8, PING, 1, 0));
            frames.wrote(&frame(0, SETTINGS, 1, 0));
            frames.wrote(&frame(4, RST_STREAM, 0, 1));
            flood == Err(FrameFault::Flood)
        });
        assert_eq!(pings, Some(1001));
        let (mut frames, now) = connection();
        let bytewise = (1..5000).find(|_| {
            let flood = read(&mut frames, &frame(4, WINDOW_UPDATE, 0, 1), now);
            frames.wrote(&frame(1, DATA, 0, 1));
            flood == Err(FrameFault::Flood)
        });
        assert_eq!(bytewise, Some(1001), "a window that is opened byte by byte");
    }

    #[test]
    fn one_credit_is_regained_every_10_ms_up_to_1000() {
        let since = Instant::now();
        let mut frames = Http2Frames::new(since);
        frames.read.left = 0;
        let ping = frame(8, PING, 0, 0);
        let mut sent = |at: Duration| {
            (0..5000).find(|_| read(&mut frames, &ping, || since + at) == Err(FrameFault::Flood)).unwrap()
        };
        assert_eq!(sent(Duration::ZERO), 1000);
        assert_eq!(sent(Duration::from_secs(1)), 100);
        assert_eq!(sent(Duration::from_millis(1009)), 0);
        assert_eq!(sent(Duration::from_millis(1011)), 1);
        assert_eq!(sent(Duration::from_secs(3600)), 1000, "no more than at first");
    }

    #[test]
    fn a_gibibyte_of_answers_may_be_acknowledged_in_small_steps() {
        let (mut frames, now) = connection();
        let ack = [frame(4, WINDOW_UPDATE, 0, 0), frame(4, WINDOW_UPDATE, 0, 1)].concat();
        let data = frame(16 * 1024, DATA, 0, 1);
        for _ in 0..(1 << 30) / (16 * 1024) {
            frames.wrote(&data);
            assert_eq!(read(&mut frames, &ack, now), Ok(()));
        }
        let data = frame(4096, DATA, 0, 1);
        for _ in 0..100_000 {
            frames.wrote(&data);
            // One for each KiB.
            for _ in 0..4 {
                assert_eq!(read(&mut frames, &ack, now), Ok(()));
            }
        }
    }

    #[test]
    fn a_hundred_thousand_small_events_may_be_acknowledged_twice_each() {
        let ack = [frame(4, WINDOW_UPDATE, 0, 0), frame(4, WINDOW_UPDATE, 0, 1)].concat();
        let event = frame("data:x\n\n".len(), DATA, 0, 1);
        let (mut frames, now) = connection();
        for _ in 0..100_000 {
            frames.wrote(&event);
            assert_eq!(read(&mut frames, &ack, now), Ok(()));
        }
        // Also by a peer that was suspended and acknowledges a whole window at once.
        for _ in 0..10 {
            frames.wrote(&event.repeat(8_000));
            assert_eq!(read(&mut frames, &ack.repeat(8_000), now), Ok(()));
        }
    }

    #[test]
    fn an_incomplete_frame_or_header_block_has_a_number() {
        let (mut frames, now) = connection();
        let mut incomplete = |bytes: &[u8]| {
            read(&mut frames, bytes, now).unwrap();
            frames.incomplete()
        };
        assert_eq!(incomplete(b""), 0);
        let ping = frame(8, PING, 0, 0);
        assert_eq!(incomplete(&ping[..3]), 1);
        assert_eq!(incomplete(&ping[3..12]), 1);
        assert_eq!(incomplete(&ping[12..]), 0);
        assert_eq!(incomplete(&[&ping, &ping[..1]].concat()), 3);
        assert_eq!(incomplete(&ping[1..]), 0);
        assert_eq!(incomplete(&frame(10, HEADERS, END_STREAM, 1)), 4, "a block without END_HEADERS");
        assert_eq!(incomplete(&frame(10, CONTINUATION, 0, 1)), 4);
        let last = frame(10, CONTINUATION, END_HEADERS, 1);
        assert_eq!(incomplete(&last[..12]), 4);
        assert_eq!(incomplete(&last[12..]), 0);
    }

    #[test]
    fn goaway_names_the_highest_stream_and_is_written_between_frames_only() {
        let (mut frames, now) = connection();
        for stream in [1, 7 | 1 << 31, 5] {
            read(&mut frames, &frame(3, HEADERS, END_HEADERS, stream), now).unwrap();
        }
        let bytes = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11];
        assert_eq!(frames.goaway(FrameFault::Flood), Some(bytes));
        let data = frame(100, DATA, 0, 1);
        for (part, is_between) in
            [(&data[..5], false), (&data[5..9], false), (&data[9..50], false), (&data[50..], true)]
        {
            frames.wrote(part);
            assert_eq!(frames.goaway(FrameFault::Flood).is_some(), is_between);
        }
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_where_the_bytes_are_cut(
            sent in prop::collection::vec((0..12_u8, any::<u8>(), 0..600_usize, 0..9_u32), 1..60),
            sizes in prop::collection::vec(1..100_usize, 1..20),
            credits in 0..50_u32,
        ) {
            let bytes: Vec<u8> = sent.iter().flat_map(|&(kind, flags, length, stream)| frame(length, kind, flags, stream)).collect();
            let outcome = |pieces: &mut dyn Iterator<Item = &[u8]>| {
                let (mut reading, now) = connection();
                let (mut writing, _) = connection();
                reading.credits = credits;
                let mut flood = Ok(());
                for piece in pieces {
                    writing.wrote(piece);
                    flood = flood.and_then(|()| read(&mut reading, piece, now));
                }
                let read = (flood, reading.credits, reading.last_stream, reading.begun);
                let incomplete = if read.0.is_ok() { reading.incomplete() } else { 0 };
                (read, incomplete, writing.credits, writing.goaway(FrameFault::Flood))
            };
            let mut rest = &bytes[..];
            let mut pieces = sizes.iter().cycle().map_while(|size| {
                let (piece, left) = rest.split_at((*size).min(rest.len()));
                rest = left;
                (!piece.is_empty()).then_some(piece)
            });
            let whole = outcome(&mut std::iter::once(&bytes[..]));
            prop_assert_eq!(&outcome(&mut pieces), &whole);
            prop_assert_eq!(&outcome(&mut bytes.chunks(1)), &whole);
        }
    }
}
