//! Detects the HTTP version of a connection without TLS from its first bytes.

use std::io;

use tokio::{
    io::{AsyncReadExt, ReadBuf},
    net::TcpStream,
};

/// The connection preface of HTTP/2 (RFC 9113 section 3.4). No request line of HTTP/1 begins with it.
const HTTP2_PREFACE: &[u8; ReadAhead::CAPACITY] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The HTTP version of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HttpVersion {
    Http1,
    Http2,
}

/// Reads until it is certain whether the peer speaks HTTP/2 with prior knowledge (RFC 9113 section 3.3). Done here,
/// once per connection, so that HTTP/1.1 requests cost no check. `None`: the peer has closed the connection.
pub(super) async fn sniff(stream: &mut TcpStream) -> Option<(ReadAhead, HttpVersion)> {
    let mut ahead = ReadAhead::default();
    while HTTP2_PREFACE.starts_with(ahead.as_slice()) {
        if ahead.as_slice().len() == HTTP2_PREFACE.len() {
            return Some((ahead, HttpVersion::Http2));
        }
        match stream.read(ahead.room()).await {
            Ok(read) if read > 0 => ahead.filled(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    Some((ahead, HttpVersion::Http1))
}

/// The first bytes of a connection, read before its version was known; never more than the preface of HTTP/2.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct ReadAhead {
    bytes: [u8; Self::CAPACITY],
    start: u8,
    end: u8,
}

impl ReadAhead {
    const CAPACITY: usize = 24;

    /// The free part of the buffer.
    fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[usize::from(self.end)..]
    }

    /// Counts `read` bytes of [`ReadAhead::room`] as read.
    fn filled(&mut self, read: usize) {
        self.end = self.end.saturating_add(u8::try_from(read).unwrap_or(u8::MAX)).min(24);
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }

    /// Moves the bytes to `buf`, as far as they fit.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.as_slice().len().min(buf.remaining());
        buf.put_slice(&self.as_slice()[..given]);
        self.start += u8::try_from(given).unwrap_or(0);
    }
}
