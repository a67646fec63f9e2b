//! Follows a chunked body byte by byte and finds what two parsers could read differently (RFC 9112 section 7.1).

use memchr::memchr2;

/// A position in a chunked body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ChunkedBody {
    next: NextByte,
    /// Bytes left of the chunk, or its size as far as it has been read.
    size: u64,
}

/// The kind of the next byte of a chunked body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NextByte {
    Size,
    /// A blank after the size; only an extension may follow.
    Blank,
    /// Up to the CR of the size's line.
    Extension,
    /// Within the quotes of an extension.
    Quoted,
    /// After a backslash within quotes.
    Escaped,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer line, or of the empty line at the end.
    Line,
    Trailer,
    TrailerLf,
    EndLf,
}

/// The state of the body after some bytes.
pub(super) enum ChunkStep {
    /// The body continues.
    Continue(ChunkedBody),
    /// The body is complete.
    End,
    /// A byte is not what it must be: hyper ends the body with an error, and the connection with it.
    LeftToHyper,
}

/// Two parsers could read the bytes differently.
pub(super) struct Ambiguous {
    /// Offset in the bytes being read where the faulty line begins or continues.
    pub(super) from: usize,
}

impl ChunkedBody {
    /// Before the first chunk size.
    pub(super) const START: Self = Self { next: NextByte::Size, size: 0 };

    /// Takes one step over `bytes` (not empty) and returns how many of them it took.
    pub(super) fn advance(self, bytes: &[u8]) -> Result<(ChunkStep, usize), Ambiguous> {
        let Self { next, size } = self;
        let to = |next| ChunkStep::Continue(Self { next, size });
        let expect = |byte: u8, step| if bytes[0] == byte { (step, 1) } else { (ChunkStep::LeftToHyper, 1) };
        let ambiguous = Err(Ambiguous { from: 0 });
        Ok(match next {
            NextByte::Size => match (bytes[0], char::from(bytes[0]).to_digit(16)) {
                (_, Some(digit)) => match size.checked_mul(16) {
                    Some(size) => {
                        (ChunkStep::Continue(Self { next: NextByte::Size, size: size | u64::from(digit) }), 1)
                    }
                    None => (ChunkStep::LeftToHyper, 1),
                },
                (b'\r', None) => (to(NextByte::SizeLf), 1),
                (b';', None) => (to(NextByte::Extension), 1),
                (b' ' | b'\t', None) => (to(NextByte::Blank), 1),
                _ => (ChunkStep::LeftToHyper, 1),
            },
            NextByte::Blank => match bytes[0] {
                b' ' | b'\t' => (to(NextByte::Blank), 1),
                b';' => (to(NextByte::Extension), 1),
                _ => return ambiguous,
            },
            NextByte::Extension => match bytes[0] {
                b'\r' => (to(NextByte::SizeLf), 1),
                b'"' => (to(NextByte::Quoted), 1),
                byte if is_text(byte) => (to(NextByte::Extension), 1),
                _ => return ambiguous,
            },
            NextByte::Quoted => match bytes[0] {
                b'"' => (to(NextByte::Extension), 1),
                b'\\' => (to(NextByte::Escaped), 1),
                byte if is_text(byte) => (to(NextByte::Quoted), 1),
                _ => return ambiguous,
            },
            NextByte::Escaped if is_text(bytes[0]) => (to(NextByte::Quoted), 1),
            NextByte::Escaped => return ambiguous,
            NextByte::SizeLf => expect(b'\n', to(if size == 0 { NextByte::Line } else { NextByte::Data })),
            NextByte::Data => {
                let taken = min_len(size, bytes.len());
                let left = size - taken as u64;
                let next = if left == 0 { NextByte::DataCr } else { NextByte::Data };
                (ChunkStep::Continue(Self { next, size: left }), taken)
            }
            NextByte::DataCr => expect(b'\r', to(NextByte::DataLf)),
            NextByte::DataLf => expect(b'\n', to(NextByte::Size)),
            NextByte::Line if bytes[0] == b'\r' => (to(NextByte::EndLf), 1),
            NextByte::Line | NextByte::Trailer => match memchr2(b'\r', b'\n', bytes) {
                Some(end) if bytes[end] == b'\r' => (to(NextByte::TrailerLf), end + 1),
                Some(lf) => return Err(Ambiguous { from: lf }),
                None => (to(NextByte::Trailer), bytes.len()),
            },
            NextByte::TrailerLf => expect(b'\n', to(NextByte::Line)),
            NextByte::EndLf => expect(b'\n', ChunkStep::End),
        })
    }
}

/// Bytes that an extension may have: blanks and everything visible, bytes from 0x80 on too.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// How many of `available` bytes belong to something of which `left` bytes are still to come.
pub(super) fn min_len(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}
