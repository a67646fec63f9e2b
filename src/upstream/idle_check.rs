//! Finds out whether an idle connection was closed, also where the reactor has not seen it yet.

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connect::UpstreamStream;

/// Asks for the check of one connection. hyper owns the stream, so the two share a flag.
pub(super) struct IdleCheck(Arc<AtomicBool>);

impl IdleCheck {
    /// The next read asks the kernel. It must be a read of an idle connection, on which any byte is one too many.
    pub(super) fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A stream whose reads can be told to ask the kernel: a read that is pending for the reactor may miss an end that came
/// after the reactor last looked.
pub(super) struct CheckedStream {
    stream: UpstreamStream,
    check: Arc<AtomicBool>,
}

impl CheckedStream {
    pub(super) fn new(stream: UpstreamStream) -> (IdleCheck, Self) {
        let check = Arc::new(AtomicBool::new(false));
        (IdleCheck(Arc::clone(&check)), Self { stream, check })
    }

    pub(super) fn into_stream(self) -> UpstreamStream {
        self.stream
    }

    /// Looks at the socket without taking bytes from it.
    fn look(&self) -> Poll<io::Result<()>> {
        let mut byte = [MaybeUninit::uninit()];
        let seen = match &self.stream {
            UpstreamStream::Tcp(io) => SockRef::from(io).peek(&mut byte),
            UpstreamStream::Tls(io) => SockRef::from(io.get_ref().0).peek(&mut byte),
            UpstreamStream::Unix(io) => SockRef::from(io).peek(&mut byte),
        };
        match seen {
            Ok(0) => Poll::Ready(Ok(())),
            Ok(_) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "bytes on an idle connection"))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncRead for CheckedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let is_checked = this.check.load(Ordering::Relaxed);
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if !is_checked {
            return read;
        }
        this.check.store(false, Ordering::Relaxed);
        if read.is_pending() { this.look() } else { read }
    }
}

impl AsyncWrite for CheckedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
