//! Joins two streams after a switch of protocols, until both have ended, both are silent, or the session is over.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, timeout},
};

use super::{
    connect::UpstreamStream,
    upgrade::SwitchedConnection,
    websocket::{WebSocketFrames, close_frame},
};
use crate::alarm::{Alarm, after};

/// Bytes buffered per direction; a WebSocket takes well under 40 kB of memory in all.
const BUFFER_BYTES: usize = 8192;

/// Time for the end of an unfinished frame, and again for the visitor to close: both together are less than the 5 s in
/// which a stream ends after its session.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the gateway ends a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelEnd {
    /// The session it was opened in is over: WebSocket close code 4401.
    SessionOver,
    /// This process is shutting down: WebSocket close code 1001.
    GoingAway,
}

/// How a tunnel ended.
#[derive(Debug)]
pub enum TunnelOutcome {
    /// Both sides have ended.
    Closed,
    /// Reading from or writing to one side failed.
    Broken(io::Error),
    /// Nothing was sent in either direction for too long.
    Idle,
    /// The gateway ended it.
    Ended(TunnelEnd),
}

/// Copies in both directions until one of the outcomes in [`TunnelOutcome`]. When the gateway ends a WebSocket, the
/// visitor gets a close frame, unless an unfinished frame takes longer than 2 s; any other protocol is cut.
pub async fn tunnel(
    visitor: Upgraded,
    upstream: SwitchedConnection,
    end: impl Future<Output = TunnelEnd>,
    idle: Duration,
) -> TunnelOutcome {
    join(TokioIo::new(visitor), upstream, end, idle).await
}

async fn join<V>(
    visitor: V,
    upstream: SwitchedConnection,
    end: impl Future<Output = TunnelEnd>,
    idle: Duration,
) -> TunnelOutcome
where
    V: AsyncRead + AsyncWrite + Unpin,
{
    let SwitchedConnection { stream, early, is_websocket } = upstream;
    let frames = is_websocket.then(WebSocketFrames::default);
    let mut tunnel = Tunnel {
        visitor,
        upstream: stream,
        down: Direction::new(early, frames),
        up: Direction::new(Bytes::new(), None),
    };
    let outcome = tunnel.run(end, idle).await;
    let code = match outcome {
        TunnelOutcome::Closed | TunnelOutcome::Broken(_) => return outcome,
        TunnelOutcome::Ended(TunnelEnd::SessionOver) => (4401, "session over"),
        TunnelOutcome::Ended(TunnelEnd::GoingAway) => (1001, "going away"),
        TunnelOutcome::Idle => (1001, "idle"),
    };
    tunnel.close_websocket(close_frame(code.0, code.1)).await;
    outcome
}

struct Tunnel<V> {
    visitor: V,
    upstream: UpstreamStream,
    /// From the upstream to the visitor.
    down: Direction,
    /// From the visitor to the upstream.
    up: Direction,
}

impl<V: AsyncRead + AsyncWrite + Unpin> Tunnel<V> {
    async fn run(&mut self, end: impl Future<Output = TunnelEnd>, idle: Duration) -> TunnelOutcome {
        let mut end = pin!(end);
        let mut alarm = Alarm::default();
        let mut since = Instant::now();
        poll_fn(|cx| {
            if let Poll::Ready(end) = end.as_mut().poll(cx) {
                return Poll::Ready(TunnelOutcome::Ended(end));
            }
            let moved = self.down.moved + self.up.moved;
            let down = self.down.poll_copy(&mut self.upstream, &mut self.visitor, cx);
            let up = self.up.poll_copy(&mut self.visitor, &mut self.upstream, cx);
            match (down, up) {
                (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => {
                    return Poll::Ready(TunnelOutcome::Broken(error));
                }
                (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(TunnelOutcome::Closed),
                _ => {}
            }
            if self.down.moved + self.up.moved != moved {
                since = Instant::now();
            }
            alarm.poll_until(after(since, idle), cx).map(|()| TunnelOutcome::Idle)
        })
        .await
    }

    /// Sends a close frame between two frames of a WebSocket. If that fails the streams are just dropped.
    async fn close_websocket(&mut self, frame: Vec<u8>) {
        if self.down.frames.is_none() {
            return;
        }
        let closing = async {
            poll_fn(|cx| self.down.poll_to_frame_end(&mut self.upstream, &mut self.visitor, cx)).await?;
            if !self.down.frames.as_ref().is_some_and(WebSocketFrames::is_closed) {
                self.visitor.write_all(&frame).await?;
            }
            self.visitor.shutdown().await
        };
        if !matches!(timeout(CLOSE_TIMEOUT, closing).await, Ok(Ok(()))) {
            return;
        }
        // Reads until the visitor has closed: closing a socket with unread bytes resets the connection, and the visitor
        // might never see the close frame.
        let mut rest = [0; 1024];
        let closed = async { while !matches!(self.visitor.read(&mut rest).await, Ok(0) | Err(_)) {} };
        let _ = timeout(CLOSE_TIMEOUT, closed).await;
    }
}

/// One direction of a tunnel.
struct Direction {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes that were read before the tunnel was set up.
    early: Bytes,
    /// Tracked only in the direction in which the gateway may send a close frame.
    frames: Option<WebSocketFrames>,
    /// Bytes written so far.
    moved: u64,
    state: DirectionState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DirectionState {
    Open,
    /// The reader has ended; the writer is to be shut down.
    Ending,
    Ended,
}

impl Direction {
    fn new(early: Bytes, frames: Option<WebSocketFrames>) -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            early,
            frames,
            moved: 0,
            state: DirectionState::Open,
        }
    }

    /// Copies until the reader has ended and the writer is shut down.
    fn poll_copy<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.state {
                DirectionState::Ended => return Poll::Ready(Ok(())),
                DirectionState::Ending => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.state = DirectionState::Ended;
                }
                DirectionState::Open => {
                    let waiting = self.waiting().len();
                    if waiting > 0 {
                        ready!(self.poll_write(waiting, writer, cx))?;
                    } else if self.poll_fill(reader, cx)?.is_pending() {
                        // Written bytes must not stay in a TLS buffer while nothing follows.
                        ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Copies until no frame is unfinished.
    fn poll_to_frame_end<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let Some(frames) = &self.frames else { return Poll::Ready(Ok(())) };
            if frames.is_between_frames() {
                return Poll::Ready(Ok(()));
            }
            if self.state != DirectionState::Open {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let wanted = frames.rest_of_frame(self.waiting());
            if wanted > 0 {
                ready!(self.poll_write(wanted, writer, cx))?;
            } else {
                ready!(self.poll_fill(reader, cx))?;
            }
        }
    }

    fn waiting(&self) -> &[u8] {
        if self.early.is_empty() { &self.buffer[self.start..self.end] } else { &self.early }
    }

    fn poll_fill<R: AsyncRead + Unpin>(&mut self, reader: &mut R, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(reader).poll_read(cx, &mut buffer))?;
        (self.start, self.end) = (0, buffer.filled().len());
        if self.end == 0 {
            self.state = DirectionState::Ending;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes at most the first `limit` of the waiting bytes.
    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        limit: usize,
        writer: &mut W,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = &self.waiting()[..limit];
        let written = ready!(Pin::new(writer).poll_write(cx, waiting))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        if let Some(mut frames) = self.frames.take() {
            frames.pass(&self.waiting()[..written]);
            self.frames = Some(frames);
        }
        if self.early.is_empty() {
            self.start += written;
        } else {
            let _ = self.early.split_to(written);
        }
        self.moved += written as u64;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
