//! Request heads that two parsers could read differently, found in a connection's bytes before hyper repairs them.

use memchr::{memchr, memchr_iter, memchr2};

/// What hyper drops, merges or cuts off without telling us: a `Content-Length` beside a `Transfer-Encoding`, a pair of
/// equal `Content-Length`s, lines that end in a bare LF, a fragment in the target (RFC 9112 sections 2.2, 3.2 and 6.3);
/// in a chunked body blanks behind a size, quotes that do not end with their line, a bare LF among the trailers
/// (section 7.1). Faults that hyper refuses by itself are left to it: it reads the same bytes, and a connection ends at
/// a refusal, so that nothing said here afterwards matters. For the same reason the framing is followed in hyper's own
/// steps.
#[derive(Debug)]
pub(super) struct Heads {
    state: State,
    draft: Draft,
    /// The begin of a line whose end has not come.
    held: Vec<u8>,
    /// The longest head hyper takes.
    most: usize,
    complete: usize,
    /// Where the minor version stands in the bytes of a head being read, if it is later than 1.1.
    newer: Option<usize>,
}

/// What some bytes brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// Nothing to act on.
    Fine,
    /// The head or body that the bytes from here on belong to must not be served, nor must what follows.
    Ambiguous {
        /// Where the faulty line begins, or goes on, in the bytes just read.
        from: usize,
    },
    /// The last head asks for a WebSocket: what follows may not be HTTP, and is not looked at.
    MaySwitch {
        /// The number of heads up to and with that one.
        heads: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Head,
    /// So many bytes of a body are still to come.
    Length(u64),
    /// In a chunked body; what is left of the chunk, or its size as far as it has been read.
    Chunked(Chunk, u64),
    /// No more heads are expected, or none that hyper would take.
    Apart,
}

/// The next byte of a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    Size,
    /// Blanks behind the size, which only an extension may follow.
    Blank,
    /// Up to the CR of the size's line.
    Extension,
    /// Within quotes of an extension.
    Quoted,
    /// Behind a backslash within quotes.
    Escaped,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer's line, or of the empty line at the end.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
}

/// A head as far as it has been read.
#[derive(Default, Debug)]
struct Draft {
    begun: bool,
    length: Option<u64>,
    is_chunked: bool,
    is_websocket: bool,
}

/// Where the faulty line begins, or goes on, in the bytes being read.
struct Ambiguous {
    from: usize,
}

impl Heads {
    /// Of an HTTP/1 connection whose heads may have `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { state: State::Head, draft: Draft::default(), held: Vec::new(), most, complete: 0, newer: None }
    }

    /// Of a connection that is not to be looked at.
    pub(super) fn apart() -> Self {
        Self { state: State::Apart, ..Self::new(0) }
    }

    /// Goes on with the next bytes. After anything but [`Seen::Fine`] no later bytes are looked at. A later minor version
    /// becomes 1.1, as which it is to be processed (RFC 9110 section 2.5): hyper knows no later one.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Seen {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.state {
                State::Head => {
                    let taken = self.head(rest);
                    if let Some(newer) = self.newer.take() {
                        bytes[at + newer] = b'1';
                    }
                    match taken {
                        Ok(_) if self.state == State::Apart && self.draft.is_websocket => {
                            return Seen::MaySwitch { heads: self.complete };
                        }
                        Ok(taken) => at += taken,
                        Err(Ambiguous { from }) => return self.ambiguous(at + from),
                    }
                }
                State::Length(left) => {
                    let taken = least(left, rest.len());
                    at += taken;
                    let left = left - taken as u64;
                    self.state = if left == 0 { State::Head } else { State::Length(left) };
                }
                State::Chunked(next, size) => match chunked(next, size, rest) {
                    Ok((state, taken)) => {
                        self.state = state;
                        at += taken;
                    }
                    Err(Ambiguous { from }) => return self.ambiguous(at + from),
                },
                State::Apart => return Seen::Fine,
            }
        }
        Seen::Fine
    }

    fn ambiguous(&mut self, from: usize) -> Seen {
        self.state = State::Apart;
        Seen::Ambiguous { from }
    }

    /// Reads lines up to the end of the head or of `bytes`: how many bytes that took.
    fn head(&mut self, bytes: &[u8]) -> Result<usize, Ambiguous> {
        let mut start = 0;
        for lf in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..=lf];
            let held;
            let line = if self.held.is_empty() {
                line
            } else {
                let mut whole = std::mem::take(&mut self.held);
                whole.extend_from_slice(line);
                held = whole;
                &held
            };
            if !self.draft.begun {
                self.newer = newer_minor(line).map(|back| lf + 1 - back);
            }
            if self.draft.line(line).ok_or(Ambiguous { from: start })? {
                self.end();
                return Ok(lf + 1);
            }
            start = lf + 1;
        }
        let rest = &bytes[start..];
        if self.held.len() + rest.len() > self.most {
            // hyper answers 431.
            *self = Self::apart();
            return Ok(bytes.len());
        }
        self.held.extend_from_slice(rest);
        // hyper looks at a version as soon as its last digit is there.
        if !self.draft.begun
            && !rest.is_empty()
            && let Some(back) = newer_minor(&self.held)
        {
            let digit = self.held.len() - back;
            self.held[digit] = b'1';
            self.newer = Some(bytes.len() - back);
        }
        Ok(bytes.len())
    }

    fn end(&mut self) {
        self.complete += 1;
        let Draft { length, is_chunked, is_websocket, .. } = self.draft;
        let length = length.unwrap_or(0);
        // With a body it is no handshake: nothing is granted.
        let may_switch = is_websocket && !is_chunked && length == 0;
        self.state = if may_switch {
            State::Apart
        } else if is_chunked {
            State::Chunked(Chunk::Size, 0)
        } else if length > 0 {
            State::Length(length)
        } else {
            State::Head
        };
        self.draft = Draft { is_websocket: may_switch, ..Draft::default() };
    }
}

impl Draft {
    /// Takes the next line with its LF: whether it ends the head; `None` where it is ambiguous.
    fn line(&mut self, line: &[u8]) -> Option<bool> {
        let line = line.strip_suffix(b"\r\n")?;
        if !self.begun {
            // Empty lines before a request are skipped (RFC 9112 section 2.2). A `#` can only be in the target: in a
            // method nobody uses it, and in the version hyper does not take it.
            self.begun = !line.is_empty();
            return memchr(b'#', line).is_none().then_some(false);
        }
        let Some(first) = line.first() else { return Some(true) };
        match first.to_ascii_lowercase() {
            b'c' => {
                if let Some(value) = value(line, b"content-length") {
                    if self.is_chunked || self.length.is_some() {
                        return None;
                    }
                    self.length = Some(number(value)?);
                }
            }
            b't' => {
                if let Some(value) = value(line, b"transfer-encoding") {
                    if self.is_chunked || self.length.is_some() || !value.eq_ignore_ascii_case(b"chunked") {
                        return None;
                    }
                    self.is_chunked = true;
                }
            }
            b'u' => {
                self.is_websocket |= value(line, b"upgrade").is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
        Some(false)
    }
}

/// How far from its end a request line, as far as it has come, has the digit of a minor version later than 1.1.
fn newer_minor(line: &[u8]) -> Option<usize> {
    let version = line.strip_suffix(b"\n").unwrap_or(line);
    let version = version.strip_suffix(b"\r").unwrap_or(version);
    let (digit, start) = version.split_last()?;
    (matches!(digit, b'2'..=b'9') && start.ends_with(b" HTTP/1.")).then_some(line.len() - start.len())
}

fn value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn least(left: u64, here: usize) -> usize {
    usize::try_from(left).map_or(here, |left| left.min(here))
}

/// One step in a chunked body, of which `bytes` (not empty) come next: how many of them it took.
fn chunked(next: Chunk, size: u64, bytes: &[u8]) -> Result<(State, usize), Ambiguous> {
    let to = |chunk| State::Chunked(chunk, size);
    // Where a byte is not what it must be, hyper ends the body with an error, and the connection with it.
    let left_to_hyper = (State::Apart, 1);
    let expect = |byte: u8, state| if bytes[0] == byte { (state, 1) } else { left_to_hyper };
    let ambiguous = Err(Ambiguous { from: 0 });
    Ok(match next {
        Chunk::Size => match (bytes[0], char::from(bytes[0]).to_digit(16)) {
            (_, Some(digit)) => match size.checked_mul(16) {
                Some(size) => (State::Chunked(Chunk::Size, size | u64::from(digit)), 1),
                None => left_to_hyper,
            },
            (b'\r', None) => (to(Chunk::SizeLf), 1),
            (b';', None) => (to(Chunk::Extension), 1),
            (b' ' | b'\t', None) => (to(Chunk::Blank), 1),
            _ => left_to_hyper,
        },
        Chunk::Blank => match bytes[0] {
            b' ' | b'\t' => (to(Chunk::Blank), 1),
            b';' => (to(Chunk::Extension), 1),
            _ => return ambiguous,
        },
        Chunk::Extension => match bytes[0] {
            b'\r' => (to(Chunk::SizeLf), 1),
            b'"' => (to(Chunk::Quoted), 1),
            byte if is_text(byte) => (to(Chunk::Extension), 1),
            _ => return ambiguous,
        },
        Chunk::Quoted => match bytes[0] {
            b'"' => (to(Chunk::Extension), 1),
            b'\\' => (to(Chunk::Escaped), 1),
            byte if is_text(byte) => (to(Chunk::Quoted), 1),
            _ => return ambiguous,
        },
        Chunk::Escaped if is_text(bytes[0]) => (to(Chunk::Quoted), 1),
        Chunk::Escaped => return ambiguous,
        Chunk::SizeLf => expect(b'\n', to(if size == 0 { Chunk::Line } else { Chunk::Data })),
        Chunk::Data => {
            let taken = least(size, bytes.len());
            let left = size - taken as u64;
            (State::Chunked(if left == 0 { Chunk::DataCr } else { Chunk::Data }, left), taken)
        }
        Chunk::DataCr => expect(b'\r', to(Chunk::DataLf)),
        Chunk::DataLf => expect(b'\n', to(Chunk::Size)),
        Chunk::Line if bytes[0] == b'\r' => (to(Chunk::EndLf), 1),
        Chunk::Line | Chunk::Trailer => match memchr2(b'\r', b'\n', bytes) {
            Some(end) if bytes[end] == b'\r' => (to(Chunk::TrailerLf), end + 1),
            Some(lf) => return Err(Ambiguous { from: lf }),
            None => (to(Chunk::Trailer), bytes.len()),
        },
        Chunk::TrailerLf => expect(b'\n', to(Chunk::Line)),
        Chunk::EndLf => expect(b'\n', State::Head),
    })
}

/// What an extension may hold: blanks and everything that can be seen, high bytes too.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: [&str; 10] = [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET /a HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "POST / HTTP/1.1\r\nhost: a\r\nContent-LENGTH: \t9 \r\nexpect: 100-continue\r\n\r\n#\n\n\r\n\r\nab",
        "GET / HTTP/1.1\r\ncontent-length: 0\r\nhost: a#\r\n\r\n",
        "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1;a=\"b\\\"; \"\r\n#\r\n0A ;b\r\n\n\n3456789\n\r\n00;x\r\n\r\n",
        "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n\n\n\r\n0\r\nx: y\r\ncontent-length: 3\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\n\r\n",
        "GET / HTTP/1.1\r\nx-content-length: 1\r\ncontent-lengths: 2\r\ntransfer-encodings: z\r\nc:\r\nt: u\r\n\r\n",
    ];
    const BAD: [&str; 19] = [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\n",
        "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /a?b#c HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nx: y\r\nContent-length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 1, 1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: +1\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length:\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: identity\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding:\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\nTRANSFER-ENCODING:chunked\r\n\r\n",
    ];

    /// Behind the head of a chunked body.
    const BAD_BODIES: [&str; 13] = [
        "2 \r\nab\r\n0\r\n\r\n",
        "2\t\r\nab\r\n0\r\n\r\n",
        "2 x\r\nab\r\n0\r\n\r\n",
        "2\r\nab\r\n0 \r\n\r\n",
        "2;a=\"\r\nb\"\r\nab\r\n0\r\n\r\n",
        "2;a=\"\\\r\nb\"\r\nab\r\n0\r\n\r\n",
        "2;a=\"b\r\nab\r\n0\r\n\r\n",
        "2;a\nab\r\n0\r\n\r\n",
        "2;a\0b\r\nab\r\n0\r\n\r\n",
        "2;a=\"\x7f\"\r\nab\r\n0\r\n\r\n",
        "0\r\nx: y\nz: w\r\n\r\n",
        "0\r\nx: y\r\n\n\r\n",
        "0\r\n\n",
    ];

    fn read(heads: &mut Heads, bytes: &[u8]) -> Seen {
        heads.read(&mut bytes.to_vec())
    }

    /// How a stream, read in these pieces, ends, and after how many heads.
    fn outcome<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Option<Seen>, usize) {
        let mut heads = Heads::new(1024);
        for piece in pieces {
            match read(&mut heads, piece) {
                Seen::Fine => {}
                // Where it is depends on the cuts.
                Seen::Ambiguous { .. } => return (Some(Seen::Ambiguous { from: 0 }), heads.complete),
                switch @ Seen::MaySwitch { .. } => return (Some(switch), heads.complete),
            }
        }
        assert_eq!(heads.state, State::Head);
        (None, heads.complete)
    }

    fn each_byte(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        bytes.chunks(1)
    }

    #[test]
    fn what_has_one_reading_passes_alone_and_in_a_row() {
        for good in GOOD {
            assert_eq!(outcome([good.as_bytes()]), (None, 1), "{good:?}");
            assert_eq!(outcome(each_byte(good.as_bytes())), (None, 1), "{good:?}");
        }
        let row = GOOD.concat();
        assert_eq!(outcome([row.as_bytes()]), (None, GOOD.len()));
        assert_eq!(outcome(each_byte(row.as_bytes())), (None, GOOD.len()));
    }

    #[test]
    fn what_has_two_readings_is_found_after_whatever_came_before_it() {
        for bad in BAD {
            for good in GOOD {
                let row = format!("{good}{bad}");
                let expected = (Some(Seen::Ambiguous { from: 0 }), 1);
                assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
                assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
            }
        }
    }

    #[test]
    fn a_chunked_body_with_two_readings_is_found_after_whatever_came_before_it() {
        for bad in BAD_BODIES {
            for good in GOOD {
                let row = format!("{good}PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1\r\n\n\r\n{bad}");
                let expected = (Some(Seen::Ambiguous { from: 0 }), 2);
                assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
                assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
            }
        }
    }

    #[test]
    fn a_later_minor_version_is_read_as_the_one_that_hyper_knows() {
        for (sent, read) in [
            ("GET / HTTP/1.2\r\nhost: a\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("\r\nGET / HTTP/1.9\r\nx: / HTTP/1.2\r\n\r\n", "\r\nGET / HTTP/1.1\r\nx: / HTTP/1.2\r\n\r\n"),
            ("GET /HTTP/1.2 HTTP/1.0\r\n\r\n", "GET /HTTP/1.2 HTTP/1.0\r\n\r\n"),
            ("GET / HTTP/2.2\r\n\r\n", "GET / HTTP/2.2\r\n\r\n"),
        ] {
            for twice in [sent.to_owned(), format!("{}{sent}", GOOD[3])] {
                for size in 1..=twice.len() {
                    let mut heads = Heads::new(1024);
                    let mut bytes = twice.clone().into_bytes();
                    for piece in bytes.chunks_mut(size) {
                        assert_eq!(heads.read(piece), Seen::Fine, "{sent:?}");
                    }
                    assert!(bytes.ends_with(read.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
                    assert_eq!(bytes.len(), twice.len());
                }
            }
        }
    }

    #[test]
    fn a_fault_is_placed_at_its_line_or_at_what_has_just_come_of_it() {
        let mut heads = Heads::new(1024);
        let row = "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nx: y\n";
        assert_eq!(read(&mut heads, row.as_bytes()), Seen::Ambiguous { from: row.len() - 5 });
        assert_eq!(read(&mut heads, row.as_bytes()), Seen::Fine, "nothing is said after the first");
        let mut heads = Heads::new(1024);
        assert_eq!(read(&mut heads, b"GET / HTTP/1.1\r\nx: "), Seen::Fine);
        assert_eq!(read(&mut heads, b"y\n"), Seen::Ambiguous { from: 0 });
    }

    #[test]
    fn what_follows_a_websocket_handshake_is_not_looked_at() {
        let handshake = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nhost: a\r\n\r\n";
        for (row, heads) in [
            (handshake.to_owned(), 1),
            (format!("{handshake}\n#\n\n"), 1),
            (format!("{}{handshake}{}", GOOD[3], BAD[0]), 2),
        ] {
            let expected = (Some(Seen::MaySwitch { heads }), heads);
            assert_eq!(outcome([row.as_bytes()]), expected, "{row:?}");
            assert_eq!(outcome(each_byte(row.as_bytes())), expected, "{row:?}");
        }
        for (framing, body) in [("content-length: 1", "x"), ("transfer-encoding: chunked", "1 \r\nx\r\n0\r\n\r\n")] {
            let row = format!("GET / HTTP/1.1\r\nupgrade: websocket\r\n{framing}\r\n\r\n{body}\n");
            let (seen, _) = outcome([row.as_bytes()]);
            assert_eq!(seen, Some(Seen::Ambiguous { from: 0 }), "with a body it is none: {row:?}");
        }
        let mut heads = Heads::new(1024);
        assert_eq!(read(&mut heads, handshake.as_bytes()), Seen::MaySwitch { heads: 1 });
        assert_eq!(read(&mut heads, b"\n#\n\n"), Seen::Fine);
    }

    #[test]
    fn what_hyper_refuses_is_left_to_it() {
        let chunked = "PUT / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        let long = format!("GET /{}", "x".repeat(1024));
        for left in [
            long,
            format!("{chunked}g\r\n"),
            format!("{chunked}11112222333344445\r\n"),
            format!("{chunked}1\n"),
            format!("{chunked}1\r\nabc"),
            format!("{chunked}0\r\nx\ry"),
            format!("{chunked}0\r\n\r\r"),
        ] {
            let mut heads = Heads::new(1024);
            assert_eq!(read(&mut heads, left.as_bytes()), Seen::Fine, "{left:?}");
            assert_eq!(heads.state, State::Apart, "{left:?}");
            assert_eq!(heads.held.capacity(), 0);
        }
        assert_eq!(read(&mut Heads::apart(), b"\n"), Seen::Fine);
    }

    #[test]
    fn a_long_body_is_counted_not_read() {
        let mut heads = Heads::new(1024);
        let chunk = [b'\n'; 4096];
        for body in ["content-length: 1073741824\r\n\r\n", "transfer-encoding: chunked\r\n\r\n40000000\r\n"] {
            read(&mut heads, b"PUT / HTTP/1.1\r\n");
            read(&mut heads, body.as_bytes());
            for _ in 0..(1 << 30) / chunk.len() {
                assert_eq!(read(&mut heads, &chunk), Seen::Fine);
            }
            if heads.state != State::Head {
                assert_eq!(read(&mut heads, b"\r\n0\r\n\r\n"), Seen::Fine);
            }
            assert_eq!(heads.state, State::Head);
        }
        assert_eq!(heads.complete, 2);
    }

    proptest! {
        #[test]
        fn the_cuts_of_a_stream_change_nothing(
            requests in prop::collection::vec((prop::sample::select(&GOOD[..]), 0..12_usize, prop::sample::select(&BAD[..])), 1..8),
            sizes in prop::collection::vec(1..40_usize, 1..20),
        ) {
            let row: String = requests.iter().map(|(good, odds, bad)| if *odds == 0 { bad } else { good }).copied().collect();
            let mut rest = row.as_bytes();
            let pieces = sizes.iter().cycle().map_while(|size| {
                let (piece, left) = rest.split_at((*size).min(rest.len()));
                rest = left;
                (!piece.is_empty()).then_some(piece)
            });
            let first_bad = requests.iter().position(|(_, odds, _)| *odds == 0);
            let expected = match first_bad {
                Some(before) => (Some(Seen::Ambiguous { from: 0 }), before),
                None => (None, requests.len()),
            };
            prop_assert_eq!(outcome(pieces), expected);
            prop_assert_eq!(outcome([row.as_bytes()]), expected);
        }

        #[test]
        fn whatever_comes_is_read_to_its_end(bytes in prop::collection::vec(prop::sample::select(&b"GET / HTTP/1.1\r\n:#0a;\0transfer-encoding: chunked"[..]), 0..300)) {
            let mut heads = Heads::new(64);
            if let Seen::Ambiguous { from } = read(&mut heads, &bytes) {
                prop_assert!(from < bytes.len());
            }
        }
    }
}
