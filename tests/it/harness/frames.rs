//! An HTTP/2 connection whose frames the test writes itself.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::within_time_limit;

/// Frame types, flags and error codes (RFC 9113 sections 6 and 7).
pub(crate) mod is {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;

    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;
    pub(crate) const PADDED: u8 = 8;
    pub(crate) const PRIORITISED: u8 = 0x20;

    pub(crate) const PROTOCOL_ERROR: u32 = 1;
    pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
    pub(crate) const STREAM_CLOSED: u32 = 5;
    pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
    pub(crate) const REFUSED_STREAM: u32 = 7;
    pub(crate) const CANCEL: u32 = 8;
    pub(crate) const COMPRESSION_ERROR: u32 = 9;
    pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;
}

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A received frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of a GOAWAY or `RST_STREAM`.
    pub(crate) fn code(&self) -> Option<u32> {
        let at = match self.kind {
            is::GOAWAY => 4,
            is::RST_STREAM => 0,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap()))
    }

    /// The status of the first HEADERS on a connection, when the encoder's table is still empty.
    pub(crate) fn status(&self) -> Option<u16> {
        if self.kind != is::HEADERS {
            return None;
        }
        match *self.payload.as_slice() {
            // RFC 7541 appendix A.
            [index @ 0x88..=0x8e, ..] => Some([200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)]),
            // A literal of two to three octets: digits in Huffman's code (RFC 7541 appendix B).
            [0x48, length, ref rest @ ..] if length & 0x80 != 0 => {
                Some(huffman_digits(&rest[..usize::from(length & 0x7f)]))
            }
            [0x48, 3, a, b, c, ..] => std::str::from_utf8(&[a, b, c]).ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// `0`, `1` and `2` have five bits, the others six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits: Vec<u16> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| u16::from(byte >> bit & 1))).collect();
    let (mut rest, mut number) = (&bits[..], 0);
    for _ in 0..3 {
        let value = |length: usize| rest[..length].iter().fold(0, |value, bit| value << 1 | bit);
        let (digit, length) = if value(5) < 3 { (value(5), 5) } else { (value(6) - 0x19 + 3, 6) };
        number = number * 10 + digit;
        rest = &rest[length..];
    }
    number
}

/// A frame to send.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A SETTINGS frame with these values.
pub(crate) fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        all.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame(is::SETTINGS, 0, 0, payload)
}

/// `RST_STREAM`.
pub(crate) fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(is::RST_STREAM, 0, stream, code.to_be_bytes())
}

/// `WINDOW_UPDATE`.
pub(crate) fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(is::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
}

/// PING with that text.
pub(crate) fn ping(text: [u8; 8]) -> Vec<u8> {
    frame(is::PING, 0, 0, text)
}

/// A header block of literals without indexing (RFC 7541 section 6.2.2), with any bytes in them.
pub(crate) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: impl IntoIterator<Item = (N, V)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            length(&mut bytes, text.len());
            bytes.extend(text);
        }
    }
    bytes
}

/// RFC 7541 section 5.1, with a prefix of seven bits.
fn length(bytes: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else { return bytes.push(u8::try_from(length).unwrap()) };
    bytes.push(127);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).unwrap());
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
}

/// The pseudo-header fields of a request.
pub(crate) fn request<'a>(method: &'a str, authority: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
}

/// An HTTP/2 connection with prior knowledge (RFC 9113 section 3.3).
pub(crate) struct Frames {
    stream: TcpStream,
    /// Received bytes that are not parsed yet.
    buffer: Vec<u8>,
    /// Whether sending failed because the other side has closed.
    broken: bool,
}

impl Frames {
    /// Connects without sending anything.
    pub(crate) async fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), broken: false }
    }

    /// Connects, and sends the preface with these settings.
    pub(crate) async fn connect(address: SocketAddr, all: &[(u16, u32)]) -> Self {
        let mut link = Self::bare(address).await;
        link.send([PREFACE, &settings(all)].concat()).await;
        link
    }

    /// Sends bytes; false if the other side has closed.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = within_time_limit("the peer to read", self.stream.write_all(bytes.as_ref())).await;
        self.broken |= sent.is_err();
        !self.broken
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let read = within_time_limit("a frame, or the end", self.stream.read_buf(&mut self.buffer)).await;
            if !read.is_ok_and(|length| length > 0) {
                return None;
            }
        }
    }

    /// The next frame for which `wanted` is true; `None` at the end of the connection.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Some(frame);
            }
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let [a, b, c, kind, flags, stream @ ..]: [u8; 9] = *self.buffer.first_chunk()?;
        let end = 9 + usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        let payload = self.buffer.get(9..end)?.to_vec();
        self.buffer.drain(..end);
        Some(Frame { kind, flags, stream: u32::from_be_bytes(stream) & 0x7fff_ffff, payload })
    }
}
