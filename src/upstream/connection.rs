//! An HTTP/1.1 connection to a target, driven by whichever task has it in hand; nothing is spawned for it.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::{RequestBody, connect::Stream};
use crate::alarm::Alarm;

/// Both ends of hyper's connection, and the timer of whoever waits for it.
pub(super) struct Link {
    pub(super) target: u64,
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) connection: Connection<TokioIo<Stream>, RequestBody>,
    pub(super) alarm: Alarm,
}

impl Link {
    /// Puts HTTP/1.1 on a fresh stream.
    pub(super) async fn new(target: u64, stream: Stream) -> hyper::Result<Box<Self>> {
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Self { target, sender, connection, alarm: Alarm::default() }))
    }

    /// Moves bytes both ways; ready when the connection has come to its end. What it ended with reaches the request or the
    /// answer's body by itself.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.connection).poll(cx).map(drop)
    }

    /// Whether another request may be sent. Takes this task's waker out of the connection, so that its next user does not
    /// wake a task that has nothing to do with it.
    pub(super) fn settle(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }
}
