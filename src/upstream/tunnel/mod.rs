//! Two streams joined after a switch of protocols, until one ends, both are silent, or the session is over.

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
    Switched,
    connect::Stream,
    websocket::{Frames, close_frame},
};
use crate::alarm::{Alarm, after};

/// Bytes on the way in one direction: with both directions a WebSocket stays well under 40 kB.
const BUFFER: usize = 8192;

/// How long the end of a frame is waited for, and then the visitor's goodbye: both together stay under the 5 s in which a stream ends
/// after its session.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a tunnel is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TunnelEnd {
    /// The session it was opened in is over: WebSocket close code 4401.
    SessionOver,
    /// This process stops: WebSocket close code 1001.
    GoingAway,
}

/// How a tunnel ended.
#[derive(Debug)]
pub enum TunnelOutcome {
    /// Both sides said all they had to say.
    Closed,
    /// One side broke off.
    Broken(io::Error),
    /// Nothing moved either way for too long.
    Idle,
    /// It was to end.
    Ended(TunnelEnd),
}

/// Copies both ways until one of the ends that [`TunnelOutcome`] names. A WebSocket is told why, between two frames if one
/// ends soon enough; anything else is cut.
pub async fn tunnel(
    visitor: Upgraded,
    upstream: Switched,
    end: impl Future<Output = TunnelEnd>,
    idle: Duration,
) -> TunnelOutcome {
    join(TokioIo::new(visitor), upstream, end, idle).await
}

async fn join<V>(visitor: V, upstream: Switched, end: impl Future<Output = TunnelEnd>, idle: Duration) -> TunnelOutcome
where
    V: AsyncRead + AsyncWrite + Unpin,
{
    let Switched { stream, early, is_websocket } = upstream;
    let frames = is_websocket.then(Frames::default);
    let mut tunnel =
        Tunnel { visitor, upstream: stream, down: Lane::new(early, frames), up: Lane::new(Bytes::new(), None) };
    let outcome = tunnel.run(end, idle).await;
    let code = match outcome {
        TunnelOutcome::Closed | TunnelOutcome::Broken(_) => return outcome,
        TunnelOutcome::Ended(TunnelEnd::SessionOver) => (4401, "session over"),
        TunnelOutcome::Ended(TunnelEnd::GoingAway) => (1001, "going away"),
        TunnelOutcome::Idle => (1001, "idle"),
    };
    tunnel.say_goodbye(close_frame(code.0, code.1)).await;
    outcome
}

struct Tunnel<V> {
    visitor: V,
    upstream: Stream,
    down: Lane,
    up: Lane,
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

    /// Ends a WebSocket between two frames. Whatever fails here, the streams are dropped next.
    async fn say_goodbye(&mut self, frame: Vec<u8>) {
        if self.down.frames.is_none() {
            return;
        }
        let last_words = async {
            poll_fn(|cx| self.down.poll_to_boundary(&mut self.upstream, &mut self.visitor, cx)).await?;
            if !self.down.frames.as_ref().is_some_and(Frames::is_closed) {
                self.visitor.write_all(&frame).await?;
            }
            self.visitor.shutdown().await
        };
        if !matches!(timeout(FAREWELL, last_words).await, Ok(Ok(()))) {
            return;
        }
        // Read on until the visitor has closed: a socket that is closed with bytes unread resets the connection, and the
        // close frame might never be seen.
        let mut rest = [0; 1024];
        let gone = async { while !matches!(self.visitor.read(&mut rest).await, Ok(0) | Err(_)) {} };
        let _ = timeout(FAREWELL, gone).await;
    }
}

/// One direction.
struct Lane {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes that came before the tunnel did.
    early: Bytes,
    /// Kept for the direction in which a frame of ours may have to be put.
    frames: Option<Frames>,
    moved: u64,
    state: LaneState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LaneState {
    Open,
    /// The reader has ended; the writer is to be told.
    Ending,
    Ended,
}

impl Lane {
    fn new(early: Bytes, frames: Option<Frames>) -> Self {
        Self {
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            early,
            frames,
            moved: 0,
            state: LaneState::Open,
        }
    }

    /// Copies until the reader ends and the writer has been told so.
    fn poll_copy<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.state {
                LaneState::Ended => return Poll::Ready(Ok(())),
                LaneState::Ending => {
                    ready!(Pin::new(&mut *writer).poll_shutdown(cx))?;
                    self.state = LaneState::Ended;
                }
                LaneState::Open => {
                    let waiting = self.waiting().len();
                    if waiting > 0 {
                        ready!(self.poll_write(waiting, writer, cx))?;
                    } else if self.poll_fill(reader, cx)?.is_pending() {
                        // What was written must not stay in a buffer of TLS while nothing follows.
                        ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Copies until the writer stands between two frames.
    fn poll_to_boundary<R, W>(&mut self, reader: &mut R, writer: &mut W, cx: &mut Context<'_>) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            let Some(frames) = &self.frames else { return Poll::Ready(Ok(())) };
            if frames.at_boundary() {
                return Poll::Ready(Ok(()));
            }
            if self.state != LaneState::Open {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            let wanted = frames.to_boundary(self.waiting());
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
            self.state = LaneState::Ending;
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
