//! The frames of an HTTP/2 connection, followed in its bytes: those that do no work for a visitor cost credits.

use std::time::Duration;

use tokio::time::Instant;

/// What a connection may spend at once, and what it is given again in time.
const CREDITS: u32 = 1000;
/// So long for each credit that is given again.
const REFILL: Duration = Duration::from_millis(10);
/// What work may have earned at most: a peer that slept acknowledges a whole window when it wakes.
const MOST: u32 = 100_000;
const PREFACE: usize = 24;
const HEAD: usize = 9;
/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u32 = 11;

// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;

/// What a request earns. A request that is called back costs that and one more.
const REQUEST: u32 = 4;

/// Both directions of a connection, and its credits.
///
/// h2 bounds the frames that make it keep something (resets, CONTINUATION, empty DATA). What it just answers or notes
/// (PING, SETTINGS, `WINDOW_UPDATE`, PRIORITY, unknown types) a peer may send for ever, at the price of our processor.
/// Here each costs a credit, and work earns some: requests, bodies, and most of all what we send, so that a peer may
/// acknowledge each frame of an answer twice, however small it is. Answers that the flood itself causes earn nothing.
#[derive(Debug)]
pub(super) struct Frames {
    read: Follower,
    written: Follower,
    credits: u32,
    refilled: Instant,
    /// Frames begun, a header block counting as one.
    begun: usize,
    /// A header block goes on with a CONTINUATION.
    is_open: bool,
    last_stream: u32,
}

/// The credits are used up.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Flood;

impl Frames {
    /// Of a connection of which nothing has been read, accepted at `since`.
    pub(super) fn new(since: Instant) -> Self {
        Self {
            read: Follower { left: PREFACE, ..Follower::default() },
            written: Follower::default(),
            credits: CREDITS,
            refilled: since,
            begun: 0,
            is_open: false,
            last_stream: 0,
        }
    }

    /// Goes on with the next bytes that the peer sent; the clock is asked where credits are short.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: impl Fn() -> Instant) -> Result<(), Flood> {
        while let Some(frame) = self.read.next(&mut bytes) {
            if !self.is_open {
                self.begun += 1;
            }
            match frame.kind {
                HEADERS => {
                    self.is_open = frame.flags & END_HEADERS == 0;
                    self.last_stream = self.last_stream.max(frame.stream);
                    self.earn(REQUEST);
                }
                DATA if frame.has_data() => self.earn(1),
                DATA if frame.flags & END_STREAM != 0 => {}
                RST_STREAM => self.spend(REQUEST + 1, &now)?,
                kind => {
                    self.is_open &= kind != CONTINUATION || frame.flags & END_HEADERS == 0;
                    self.spend(1, &now)?;
                }
            }
        }
        Ok(())
    }

    /// Goes on with the next bytes that were sent to the peer.
    pub(super) fn wrote(&mut self, mut bytes: &[u8]) {
        while let Some(frame) = self.written.next(&mut bytes) {
            if frame.kind == DATA {
                // Two for whoever acknowledges to the stream and to the connection; fewer for a byte or two, so that a
                // peer does not earn by opening its window byte by byte. More for who acknowledges parts of a frame.
                self.earn((frame.length / 4).min(2) + frame.length / 512);
            }
        }
    }

    /// The number of the frame, or of the header block, of which only a part is here; 0: none.
    pub(super) fn unfinished(&self) -> usize {
        match (self.is_open || self.read.left > 0, self.read.have > 0) {
            (true, _) => self.begun,
            (false, true) => self.begun + 1,
            (false, false) => 0,
        }
    }

    /// The last frame for the peer; `None` within another frame.
    pub(super) fn goaway(&self) -> Option<[u8; HEAD + 8]> {
        if self.written.have > 0 || self.written.left > 0 {
            return None;
        }
        let mut frame = [0; HEAD + 8];
        (frame[2], frame[3]) = (8, GOAWAY);
        frame[9..13].copy_from_slice(&self.last_stream.to_be_bytes());
        frame[13..].copy_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        Some(frame)
    }

    fn earn(&mut self, credits: u32) {
        self.credits = self.credits.saturating_add(credits).min(MOST);
    }

    fn spend(&mut self, credits: u32, now: impl Fn() -> Instant) -> Result<(), Flood> {
        if self.credits < credits {
            let now = now();
            let refills = now.saturating_duration_since(self.refilled).as_millis() / REFILL.as_millis();
            if refills > 0 {
                self.refilled = now;
                self.earn(u32::try_from(refills).unwrap_or(CREDITS).min(CREDITS));
            }
        }
        self.credits = self.credits.checked_sub(credits).ok_or(Flood)?;
        Ok(())
    }
}

/// The heads of the frames in one direction, wherever the bytes are cut.
#[derive(Default, Debug)]
struct Follower {
    /// Bytes to pass over: the preface's, or a payload's.
    left: usize,
    head: [u8; HEAD],
    /// Bytes of the next head that are here.
    have: usize,
}

struct Frame {
    length: u32,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Follower {
    /// Takes from `bytes` up to and with the next complete head, or all of them.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<Frame> {
        let (passed, rest) = bytes.split_at(self.left.min(bytes.len()));
        self.left -= passed.len();
        let (taken, rest) = rest.split_at((HEAD - self.have).min(rest.len()));
        self.head[self.have..self.have + taken.len()].copy_from_slice(taken);
        self.have += taken.len();
        *bytes = rest;
        if self.have < HEAD {
            return None;
        }
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        let length = u32::from_be_bytes([0, a, b, c]);
        (self.have, self.left) = (0, usize::try_from(length).unwrap_or(usize::MAX));
        // The first bit is reserved.
        Some(Frame { length, kind, flags, stream: u32::from_be_bytes(stream) & (u32::MAX >> 1) })
    }
}

impl Frame {
    /// Whether a DATA frame cannot be empty: all of a short one may be padding.
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
        // What follows looks like frames, if anyone looked.
        bytes.extend(frame_heads().take(length));
        bytes
    }

    fn frame_heads() -> impl Iterator<Item = u8> {
        [0, 0, 0, PING, 0, 0, 0, 0, 0].into_iter().cycle()
    }

    /// A connection with its preface read, at a time that stands still.
    fn connection() -> (Frames, impl Fn() -> Instant + Copy) {
        let since = Instant::now();
        let mut frames = Frames::new(since);
        let now = move || since;
        assert_eq!(frames.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now), Ok(()));
        (frames, now)
    }

    /// After how many of these frames a new connection ends, if it is asked at each.
    fn lasts(bytes: &[u8]) -> usize {
        let (mut frames, now) = connection();
        (1..=10 * CREDITS as usize).find(|_| frames.read(bytes, now) == Err(Flood)).unwrap_or(usize::MAX)
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
            assert_eq!(lasts(&flood), 1001, "{flood:?}");
        }
        let called_back = [frame(10, HEADERS, END_HEADERS, 1), frame(4, RST_STREAM, 0, 1)].concat();
        assert_eq!(lasts(&called_back), 1001);
        assert_eq!(lasts(&frame(4, RST_STREAM, 0, 1)), 201);
    }

    #[test]
    fn requests_and_bodies_are_no_flood() {
        for work in [
            frame(10, HEADERS, END_HEADERS | END_STREAM, 1),
            frame(1, DATA, 0, 1),
            frame(257, DATA, PADDED, 1),
            frame(0, DATA, END_STREAM, 1),
        ] {
            assert_eq!(lasts(&work), usize::MAX, "{work:?}");
        }
        // A client that says its wishes for each request in as many words as a browser.
        let wishes = [frame(10, HEADERS, END_HEADERS, 1), frame(5, PRIORITY, 0, 1), frame(4, WINDOW_UPDATE, 0, 1)];
        assert_eq!(lasts(&wishes.concat()), usize::MAX);
    }

    #[test]
    fn the_answers_to_a_flood_do_not_pay_for_it() {
        let (mut frames, now) = connection();
        let pings = (1..5000).find(|_| {
            let flood = frames.read(&frame(8, PING, 0, 0), now);
            frames.wrote(&frame(8, PING, 1, 0));
            frames.wrote(&frame(0, SETTINGS, 1, 0));
            frames.wrote(&frame(4, RST_STREAM, 0, 1));
            flood == Err(Flood)
        });
        assert_eq!(pings, Some(1001));
        let (mut frames, now) = connection();
        let bytewise = (1..5000).find(|_| {
            let flood = frames.read(&frame(4, WINDOW_UPDATE, 0, 1), now);
            frames.wrote(&frame(1, DATA, 0, 1));
            flood == Err(Flood)
        });
        assert_eq!(bytewise, Some(1001), "a window that is opened byte by byte");
    }

    #[test]
    fn credits_come_back_in_time() {
        let since = Instant::now();
        let mut frames = Frames::new(since);
        frames.read.left = 0;
        let ping = frame(8, PING, 0, 0);
        let mut sent = |at: Duration| (0..5000).find(|_| frames.read(&ping, || since + at) == Err(Flood)).unwrap();
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
            assert_eq!(frames.read(&ack, now), Ok(()));
        }
        let data = frame(4096, DATA, 0, 1);
        for _ in 0..100_000 {
            frames.wrote(&data);
            // One for each KiB.
            for _ in 0..4 {
                assert_eq!(frames.read(&ack, now), Ok(()));
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
            assert_eq!(frames.read(&ack, now), Ok(()));
        }
        // By a peer that slept meanwhile as well, as far as its window was open.
        for _ in 0..10 {
            frames.wrote(&event.repeat(8_000));
            assert_eq!(frames.read(&ack.repeat(8_000), now), Ok(()));
        }
    }

    #[test]
    fn what_is_unfinished_has_a_number() {
        let (mut frames, now) = connection();
        let mut unfinished = |bytes: &[u8]| {
            frames.read(bytes, now).unwrap();
            frames.unfinished()
        };
        assert_eq!(unfinished(b""), 0);
        let ping = frame(8, PING, 0, 0);
        assert_eq!(unfinished(&ping[..3]), 1);
        assert_eq!(unfinished(&ping[3..12]), 1);
        assert_eq!(unfinished(&ping[12..]), 0);
        assert_eq!(unfinished(&[&ping, &ping[..1]].concat()), 3);
        assert_eq!(unfinished(&ping[1..]), 0);
        assert_eq!(unfinished(&frame(10, HEADERS, END_STREAM, 1)), 4, "a block without END_HEADERS");
        assert_eq!(unfinished(&frame(10, CONTINUATION, 0, 1)), 4);
        let last = frame(10, CONTINUATION, END_HEADERS, 1);
        assert_eq!(unfinished(&last[..12]), 4);
        assert_eq!(unfinished(&last[12..]), 0);
    }

    #[test]
    fn the_last_frame_names_the_highest_stream_and_comes_between_frames() {
        let (mut frames, now) = connection();
        for stream in [1, 7 | 1 << 31, 5] {
            frames.read(&frame(3, HEADERS, END_HEADERS, stream), now).unwrap();
        }
        let bytes = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 11];
        assert_eq!(frames.goaway(), Some(bytes));
        let data = frame(100, DATA, 0, 1);
        for (part, is_between) in
            [(&data[..5], false), (&data[5..9], false), (&data[9..50], false), (&data[50..], true)]
        {
            frames.wrote(part);
            assert_eq!(frames.goaway().is_some(), is_between);
        }
    }

    proptest! {
        #[test]
        fn the_cuts_of_a_connection_change_nothing(
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
                    flood = flood.and_then(|()| reading.read(piece, now));
                }
                let read = (flood, reading.credits, reading.last_stream, reading.begun);
                let unfinished = if read.0.is_ok() { reading.unfinished() } else { 0 };
                (read, unfinished, writing.credits, writing.goaway())
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
