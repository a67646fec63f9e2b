//! The bytes of one connection: inspected before hyper reads them, and recorded for the connection's deadlines.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    activity::Activity,
    frames::{FrameFault, Http2Frames},
    head::{Finding, HeadInspector},
    slot::ConnectionSlot,
    sniff::ReadAhead,
};

/// Most bytes of a head and its body that are copied into one buffer: one `send` costs the kernel less than one
/// `writev`.
const COALESCED_BYTES: usize = 4096;
/// What hyper reads instead of the faulty line of an ambiguous head or body. hyper refuses NUL anywhere in a head, a
/// chunk size or a trailer, and the LF after it in a chunk extension; the empty line makes hyper parse at once. So
/// hyper itself answers an ambiguous head with 400 and `connection: close`, after the answers to the requests before
/// it, and ends an ambiguous body with an error.
const INVALID_LINE: &[u8] = b"\0\n\r\n\r\n";

/// The inspector of a connection's bytes.
#[derive(Debug)]
pub(super) enum Inspection {
    /// HTTP/1: heads and bodies that two parsers could read differently.
    Heads(HeadInspector),
    /// HTTP/2: frames that do no work. Boxed, so that an HTTP/1 connection is not as large.
    Frames(Box<Http2Frames>),
}

/// A stream that is inspected and records its [`Activity`]. An upgraded connection still uses it, so that a tunnel
/// keeps its slot.
#[derive(Debug)]
pub(super) struct InspectedIo<T> {
    inner: T,
    /// Bytes already read to find out the HTTP version.
    ahead: ReadAhead,
    inspection: Inspection,
    /// The part of [`INVALID_LINE`] that hyper has yet to read.
    invalid: &'static [u8],
    activity: Arc<Activity>,
    has_ended: bool,
    is_unflushed: bool,
    slot: ConnectionSlot,
}

impl<T> InspectedIo<T> {
    pub(super) fn new(
        inner: T,
        ahead: ReadAhead,
        inspection: Inspection,
        activity: Arc<Activity>,
        slot: ConnectionSlot,
    ) -> Self {
        Self { inner, ahead, inspection, invalid: &[], activity, has_ended: false, is_unflushed: false, slot }
    }

    /// Whether the peer has closed its side.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether every byte of the responses so far has been given to the socket: only then may another response be
    /// written by hand.
    pub(super) fn is_flushed(&self) -> bool {
        !self.is_unflushed
    }

    /// Inspects the bytes read to `buf` after the first `before`, and cuts off those that must not be served.
    fn inspect(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<(), FrameFault> {
        match &mut self.inspection {
            Inspection::Heads(heads) => {
                self.activity.note_partial_head();
                match heads.inspect(&mut buf.filled_mut()[before..]) {
                    Finding::Nothing => {}
                    Finding::Ambiguous { from } => {
                        buf.set_filled(before + from);
                        self.invalid = INVALID_LINE;
                        self.give_invalid(buf);
                    }
                    Finding::MaySwitch { heads } => self.activity.set_last_request(heads),
                }
            }
            Inspection::Frames(frames) => {
                frames.read(&mut buf.filled_mut()[before..], Instant::now)?;
                frames.refused(self.activity.take_refused(), Instant::now)?;
                self.activity.set_incomplete_frame(frames.incomplete());
            }
        }
        Ok(())
    }

    fn give_invalid(&mut self, buf: &mut ReadBuf<'_>) {
        let (now, later) = self.invalid.split_at(self.invalid.len().min(buf.remaining()));
        buf.put_slice(now);
        self.invalid = later;
    }

    /// Records the result of writing `bufs`.
    fn note_write(&mut self, bufs: &[IoSlice<'_>], polled: &Poll<io::Result<usize>>) {
        self.is_unflushed = true;
        match polled {
            Poll::Ready(Ok(taken)) => {
                if let Inspection::Frames(frames) = &mut self.inspection {
                    let mut left = *taken;
                    for buf in bufs {
                        let (written, _) = buf.split_at(left.min(buf.len()));
                        left -= written.len();
                        frames.wrote(written);
                    }
                }
                let taken = u64::try_from(*taken).unwrap_or(u64::MAX);
                self.activity.note_written(taken);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.set_stalled(true),
        }
    }
}

impl<T: AsyncWrite + Unpin> InspectedIo<T> {
    /// Counts a flood and sends GOAWAY, if that can be written at once.
    fn refuse(&mut self, fault: FrameFault, cx: &mut Context<'_>) -> io::Error {
        if fault == FrameFault::Flood {
            self.activity.note_flood();
            self.slot.count_flood();
        }
        let goaway = match &self.inspection {
            Inspection::Frames(frames) => frames.goaway(fault),
            Inspection::Heads(_) => None,
        };
        if let Some(goaway) = goaway {
            // If the frame cannot be written, the peer sees the end of the connection only.
            let _ = Pin::new(&mut self.inner).poll_write(cx, &goaway);
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
        }
        match fault {
            FrameFault::Flood => io::ErrorKind::QuotaExceeded.into(),
            FrameFault::Undecodable | FrameFault::Malformed => io::ErrorKind::InvalidData.into(),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for InspectedIo<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        if !this.invalid.is_empty() {
            this.give_invalid(buf);
            return Poll::Ready(Ok(()));
        }
        this.ahead.give(buf);
        let gave_ahead = buf.filled().len() > before;
        // Most of the time the rest of the head is already in the socket.
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            if let Err(fault) = this.inspect(buf, before) {
                buf.set_filled(before);
                return Poll::Ready(Err(this.refuse(fault, cx)));
            }
        } else if let Poll::Ready(Ok(())) = polled {
            this.has_ended = true;
        }
        // An end or an error after these bytes is reported by the next read.
        if gave_ahead { Poll::Ready(Ok(())) } else { polled }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for InspectedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note_write(&[IoSlice::new(buf)], &polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = if bufs.len() > 1 && bufs.iter().map(|buf| buf.len()).sum::<usize>() <= COALESCED_BYTES {
            let mut joined = [0; COALESCED_BYTES];
            let mut end = 0;
            for buf in bufs {
                joined[end..end + buf.len()].copy_from_slice(buf);
                end += buf.len();
            }
            Pin::new(&mut self.inner).poll_write(cx, &joined[..end])
        } else {
            Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
        };
        self.note_write(bufs, &polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        match polled {
            Poll::Ready(Ok(())) => {
                self.is_unflushed = false;
                self.activity.set_stalled(false);
            }
            // With TLS the bytes of a write may still be in its buffer.
            Poll::Pending => self.activity.set_stalled(true),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
