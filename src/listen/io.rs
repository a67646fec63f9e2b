//! The bytes of one connection, watched: what its deadlines need to know is noted in passing.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::{
    frames::{Flood, Frames},
    head::{Heads, Seen},
    worker::{Load, Slot},
};

/// Head and body of a small response are copied into one buffer of this size: one `send` is cheaper than one `writev`.
const SMALL: usize = 4096;
/// What hyper reads in place of an ambiguous head's or body's faulty line. NUL is fatal wherever in a head, a chunk's
/// size or a trailer it stands, the LF behind it in a chunk's extension, and the empty line makes hyper look at once. So
/// the refusal of a head is hyper's own 400 with `connection: close`, written in its turn after the answers under way;
/// the body of a request being served ends with an error.
const SPOIL: &[u8] = b"\0\n\r\n\r\n";

/// What a connection is doing. The task that serves it is the only writer (HTTP/2 streams run beside it on the same
/// thread), so the order of the atomics is no concern.
#[derive(Debug)]
pub(super) struct Watch {
    /// Requests being served.
    streams: AtomicUsize,
    /// Requests ever begun.
    served: AtomicUsize,
    /// HTTP/1: bytes of a next request are here, its head is not complete.
    partial: AtomicBool,
    /// HTTP/2: [`Frames::unfinished`].
    unfinished: AtomicUsize,
    /// HTTP/2: the peer's frames were too many.
    flooded: AtomicBool,
    /// The peer takes no more bytes at present.
    stalled: AtomicBool,
    /// Bytes the peer has taken.
    written: AtomicU64,
    /// The number of the request behind which no other can be read, if its head has been seen: it asks for a WebSocket.
    last: AtomicUsize,
    /// The worker's live streams.
    load: Load,
}

/// What [`Watch`] says now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// No request, and no byte of one.
    Idle,
    /// Part of a request's head, or of a frame.
    Head,
    /// A request is being served.
    Busy,
}

impl Watch {
    pub(super) fn new(load: Load) -> Arc<Self> {
        Arc::new(Self {
            streams: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            partial: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            flooded: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            written: AtomicU64::new(0),
            last: AtomicUsize::new(usize::MAX),
            load,
        })
    }

    pub(super) fn phase(&self) -> Phase {
        if self.streams.load(Relaxed) > 0 {
            Phase::Busy
        } else if self.partial.load(Relaxed) || self.unfinished() > 0 {
            Phase::Head
        } else {
            Phase::Idle
        }
    }

    pub(super) fn served(&self) -> usize {
        self.served.load(Relaxed)
    }

    /// The number of the HTTP/2 frame or header block of which only a part is here; 0: none.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.load(Relaxed)
    }

    /// Whether the connection ended because its peer sent frames that did no work.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// `Some` while bytes wait for the peer: how many it has taken so far.
    pub(super) fn stalled_at(&self) -> Option<u64> {
        self.stalled.load(Relaxed).then(|| self.written.load(Relaxed))
    }

    /// Notes the begin of a request; its end is the drop of what this returns.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.partial.store(false, Relaxed);
        self.served.fetch_add(1, Relaxed);
        if self.streams.fetch_add(1, Relaxed) > 0 {
            // The first stream is what the connection itself counts as.
            self.load.add();
        }
        InFlight(Arc::clone(self))
    }
}

/// A request being served.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Watch>);

impl InFlight {
    /// Whether no other request can be read behind this one, an HTTP/1.1 connection's newest.
    pub(super) fn is_last(&self) -> bool {
        self.0.served.load(Relaxed) == self.0.last.load(Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // What came in meanwhile was the request's body.
        self.0.partial.store(false, Relaxed);
        if self.0.streams.fetch_sub(1, Relaxed) > 1 {
            self.0.load.subtract();
        }
    }
}

/// What is looked for in a connection's bytes.
#[derive(Debug)]
pub(super) enum Inspection {
    /// HTTP/1: heads with two readings.
    Heads(Heads),
    /// HTTP/2: frames that do no work. Boxed, so that an HTTP/1 connection does not hold the room.
    Frames(Box<Frames>),
}

/// A stream whose [`Watch`] is kept. It goes on inside an upgraded connection, so that a tunnel holds its slot.
#[derive(Debug)]
pub(super) struct Watched<T> {
    inner: T,
    /// Bytes already read to find out which protocol this is.
    ahead: Ahead,
    inspection: Inspection,
    /// What is left of [`SPOIL`] to be read.
    spoil: &'static [u8],
    watch: Arc<Watch>,
    ended: bool,
    unflushed: bool,
    slot: Slot,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, ahead: Ahead, inspection: Inspection, watch: Arc<Watch>, slot: Slot) -> Self {
        Self { inner, ahead, inspection, spoil: &[], watch, ended: false, unflushed: false, slot }
    }

    /// Whether the peer has closed its side.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether every byte of the responses so far is on its way: only then may another response be written by hand.
    pub(super) fn is_flushed(&self) -> bool {
        !self.unflushed
    }

    /// Looks at what has been read to `buf` since it held `before` bytes, and cuts off what must not be served.
    fn look(&mut self, buf: &mut ReadBuf<'_>, before: usize) -> Result<(), Flood> {
        match &mut self.inspection {
            Inspection::Heads(heads) => {
                self.watch.partial.store(true, Relaxed);
                match heads.read(&mut buf.filled_mut()[before..]) {
                    Seen::Fine => {}
                    Seen::Ambiguous { from } => {
                        buf.set_filled(before + from);
                        self.spoil = SPOIL;
                        self.give_spoil(buf);
                    }
                    Seen::MaySwitch { heads } => self.watch.last.store(heads, Relaxed),
                }
            }
            Inspection::Frames(frames) => {
                frames.read(&buf.filled()[before..], Instant::now)?;
                self.watch.unfinished.store(frames.unfinished(), Relaxed);
            }
        }
        Ok(())
    }

    fn give_spoil(&mut self, buf: &mut ReadBuf<'_>) {
        let (now, later) = self.spoil.split_at(self.spoil.len().min(buf.remaining()));
        buf.put_slice(now);
        self.spoil = later;
    }

    /// Notes what became of `bufs`.
    fn note_write(&mut self, bufs: &[IoSlice<'_>], polled: &Poll<io::Result<usize>>) {
        self.unflushed = true;
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
                self.watch.written.fetch_add(taken, Relaxed);
                self.watch.stalled.store(false, Relaxed);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.watch.stalled.store(true, Relaxed),
        }
    }
}

impl<T: AsyncWrite + Unpin> Watched<T> {
    /// Counts a flood, and tells its peer where that can be done at once.
    fn refuse(&mut self, cx: &mut Context<'_>) -> io::Error {
        self.watch.flooded.store(true, Relaxed);
        self.slot.count_flood();
        let goaway = match &self.inspection {
            Inspection::Frames(frames) => frames.goaway(),
            Inspection::Heads(_) => None,
        };
        if let Some(goaway) = goaway {
            // A peer that does not even take this will see the end of the connection.
            let _ = Pin::new(&mut self.inner).poll_write(cx, &goaway);
            let _ = Pin::new(&mut self.inner).poll_flush(cx);
        }
        io::ErrorKind::QuotaExceeded.into()
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let this = &mut *self;
        if !this.spoil.is_empty() {
            this.give_spoil(buf);
            return Poll::Ready(Ok(()));
        }
        this.ahead.give(buf);
        let is_ahead = buf.filled().len() > before;
        // The rest of a head whose begin is given is here already, most of the time.
        let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            if this.look(buf, before) == Err(Flood) {
                buf.set_filled(before);
                return Poll::Ready(Err(this.refuse(cx)));
            }
        } else if let Poll::Ready(Ok(())) = polled {
            this.ended = true;
        }
        // An end or an error behind the given bytes shows at the next read.
        if is_ahead { Poll::Ready(Ok(())) } else { polled }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
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
        let polled = if bufs.len() > 1 && bufs.iter().map(|buf| buf.len()).sum::<usize>() <= SMALL {
            let mut joined = [0; SMALL];
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
                self.unflushed = false;
                self.watch.stalled.store(false, Relaxed);
            }
            // TLS takes bytes before the socket does.
            Poll::Pending => self.watch.stalled.store(true, Relaxed),
            Poll::Ready(Err(_)) => {}
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The first bytes of a connection, read before its protocol was known; never more than HTTP/2's preface.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Ahead {
    bytes: [u8; Self::MOST],
    start: u8,
    end: u8,
}

impl Ahead {
    pub(super) const MOST: usize = 24;

    /// Where the next bytes are to be read to.
    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[usize::from(self.end)..]
    }

    /// Counts `read` bytes in [`Ahead::room`] as read.
    pub(super) fn filled(&mut self, read: usize) {
        self.end = self.end.saturating_add(u8::try_from(read).unwrap_or(u8::MAX)).min(24);
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }

    /// Gives what is left to `buf`.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let given = self.as_slice().len().min(buf.remaining());
        buf.put_slice(&self.as_slice()[..given]);
        self.start += u8::try_from(given).unwrap_or(0);
    }
}
