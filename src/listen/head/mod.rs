//! Finds request heads and chunked bodies that two parsers could read differently, in the bytes before hyper parses
//! them.

mod chunked;

use memchr::{memchr, memchr_iter};

use self::chunked::{Ambiguous, ChunkStep, ChunkedBody, min_len};

/// Follows the bytes of one HTTP/1 connection and finds what hyper drops, merges or cuts off silently:
///
/// - in a head, a `Content-Length` beside a `Transfer-Encoding`, two equal `Content-Length` lines, lines that end in a
///   bare LF, a fragment in the target (RFC 9112 sections 2.2, 3.2 and 6.3);
/// - in a chunked body, blanks after a chunk size, quotes that do not end on their line, a bare LF in the trailers
///   (RFC 9112 section 7.1).
///
/// Faults that hyper refuses itself are left to it: hyper reads the same bytes and closes the connection, so nothing
/// reported here afterwards has an effect. The framing is followed in the same steps as hyper takes, for the same
/// reason.
#[derive(Debug)]
pub(super) struct HeadInspector {
    state: ReadState,
    head: PartialHead,
    /// The start of a line whose end has not arrived.
    partial_line: Vec<u8>,
    /// Bytes of the longest head that hyper accepts.
    max_head_bytes: usize,
    /// Complete heads so far.
    complete: usize,
    /// Offset of the minor version digit in the bytes being read, if that version is later than 1.1.
    later_version: Option<usize>,
}

/// What was found in the bytes just read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finding {
    /// Nothing to act on.
    Nothing,
    /// The head or body that the bytes at `from` belong to must not be served, nor anything after it.
    Ambiguous {
        /// Offset in the bytes just read where the faulty line begins or continues.
        from: usize,
    },
    /// The last head asks for a WebSocket: the bytes after it may not be HTTP and are not inspected.
    MaySwitch {
        /// The number of complete heads, that one included.
        heads: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ReadState {
    Head,
    /// This many bytes of a body are still to come.
    FixedBody(u64),
    ChunkedBody(ChunkedBody),
    /// No further head is expected, or none that hyper would accept.
    NotInspected,
}

/// The fields of a head that decide its framing, as far as the head has been read.
#[derive(Default, Debug)]
struct PartialHead {
    has_request_line: bool,
    content_length: Option<u64>,
    is_chunked: bool,
    is_websocket: bool,
}

impl HeadInspector {
    /// For an HTTP/1 connection whose heads may have `max_head_bytes` bytes.
    pub(super) fn new(max_head_bytes: usize) -> Self {
        Self {
            state: ReadState::Head,
            head: PartialHead::default(),
            partial_line: Vec::new(),
            max_head_bytes,
            complete: 0,
            later_version: None,
        }
    }

    /// For a connection that is not inspected.
    pub(super) fn disabled() -> Self {
        Self { state: ReadState::NotInspected, ..Self::new(0) }
    }

    /// Inspects the next bytes. After a result other than [`Finding::Nothing`] no later bytes are inspected.
    ///
    /// A minor version later than 1.1 is overwritten with 1.1, as which the request is to be processed (RFC 9110
    /// section 2.5): hyper refuses later versions.
    pub(super) fn inspect(&mut self, bytes: &mut [u8]) -> Finding {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.state {
                ReadState::Head => {
                    let taken = self.read_head(rest);
                    if let Some(digit) = self.later_version.take() {
                        bytes[at + digit] = b'1';
                    }
                    match taken {
                        Ok(_) if self.state == ReadState::NotInspected && self.head.is_websocket => {
                            return Finding::MaySwitch { heads: self.complete };
                        }
                        Ok(taken) => at += taken,
                        Err(Ambiguous { from }) => return self.ambiguous(at + from),
                    }
                }
                ReadState::FixedBody(left) => {
                    let taken = min_len(left, rest.len());
                    at += taken;
                    let left = left - taken as u64;
                    self.state = if left == 0 { ReadState::Head } else { ReadState::FixedBody(left) };
                }
                ReadState::ChunkedBody(body) => match body.advance(rest) {
                    Ok((step, taken)) => {
                        self.state = match step {
                            ChunkStep::Continue(body) => ReadState::ChunkedBody(body),
                            ChunkStep::End => ReadState::Head,
                            ChunkStep::LeftToHyper => ReadState::NotInspected,
                        };
                        at += taken;
                    }
                    Err(Ambiguous { from }) => return self.ambiguous(at + from),
                },
                ReadState::NotInspected => return Finding::Nothing,
            }
        }
        Finding::Nothing
    }

    fn ambiguous(&mut self, from: usize) -> Finding {
        self.state = ReadState::NotInspected;
        Finding::Ambiguous { from }
    }

    /// Reads lines up to the end of the head or of `bytes`, and returns how many bytes that took.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Ambiguous> {
        let mut start = 0;
        for lf in memchr_iter(b'\n', bytes) {
            let line = &bytes[start..=lf];
            let joined;
            let line = if self.partial_line.is_empty() {
                line
            } else {
                let mut whole = std::mem::take(&mut self.partial_line);
                whole.extend_from_slice(line);
                joined = whole;
                &joined
            };
            if !self.head.has_request_line {
                self.later_version = later_minor_version(line).map(|back| lf + 1 - back);
            }
            if self.head.add_line(line).ok_or(Ambiguous { from: start })? {
                self.end_head();
                return Ok(lf + 1);
            }
            start = lf + 1;
        }
        let rest = &bytes[start..];
        if self.partial_line.len() + rest.len() > self.max_head_bytes {
            // hyper answers 431.
            *self = Self::disabled();
            return Ok(bytes.len());
        }
        self.partial_line.extend_from_slice(rest);
        // hyper checks the version as soon as its last digit has arrived, before the end of the line.
        if !self.head.has_request_line
            && !rest.is_empty()
            && let Some(back) = later_minor_version(&self.partial_line)
        {
            let digit = self.partial_line.len() - back;
            self.partial_line[digit] = b'1';
            self.later_version = Some(bytes.len() - back);
        }
        Ok(bytes.len())
    }

    fn end_head(&mut self) {
        self.complete += 1;
        let PartialHead { content_length, is_chunked, is_websocket, .. } = self.head;
        let length = content_length.unwrap_or(0);
        // A request with a body is never granted a switch of protocols.
        let may_switch = is_websocket && !is_chunked && length == 0;
        self.state = if may_switch {
            ReadState::NotInspected
        } else if is_chunked {
            ReadState::ChunkedBody(ChunkedBody::START)
        } else if length > 0 {
            ReadState::FixedBody(length)
        } else {
            ReadState::Head
        };
        self.head = PartialHead { is_websocket: may_switch, ..PartialHead::default() };
    }
}

impl PartialHead {
    /// Adds the next line, which ends in LF: `Some(true)` if it ends the head, `None` if it is ambiguous.
    fn add_line(&mut self, line: &[u8]) -> Option<bool> {
        let line = line.strip_suffix(b"\r\n")?;
        if !self.has_request_line {
            // Empty lines before a request are skipped (RFC 9112 section 2.2). A `#` can only be in the target: no
            // method has one, and hyper refuses it in the version.
            self.has_request_line = !line.is_empty();
            return memchr(b'#', line).is_none().then_some(false);
        }
        let Some(first) = line.first() else { return Some(true) };
        match first.to_ascii_lowercase() {
            b'c' => {
                if let Some(value) = field_value(line, b"content-length") {
                    if self.is_chunked || self.content_length.is_some() {
                        return None;
                    }
                    self.content_length = Some(decimal(value)?);
                }
            }
            b't' => {
                if let Some(value) = field_value(line, b"transfer-encoding") {
                    let has_framing = self.is_chunked || self.content_length.is_some();
                    if has_framing || !value.eq_ignore_ascii_case(b"chunked") {
                        return None;
                    }
                    self.is_chunked = true;
                }
            }
            b'u' => {
                self.is_websocket |=
                    field_value(line, b"upgrade").is_some_and(|to| to.eq_ignore_ascii_case(b"websocket"));
            }
            _ => {}
        }
        Some(false)
    }
}

/// The distance from the end of a request line, complete or not, to the minor version digit, if that is later than 1.1.
fn later_minor_version(line: &[u8]) -> Option<usize> {
    let version = line.strip_suffix(b"\n").unwrap_or(line);
    let version = version.strip_suffix(b"\r").unwrap_or(version);
    let (digit, start) = version.split_last()?;
    (matches!(digit, b'2'..=b'9') && start.ends_with(b" HTTP/1.")).then_some(line.len() - start.len())
}

fn field_value<'l>(line: &'l [u8], name: &[u8]) -> Option<&'l [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests;
