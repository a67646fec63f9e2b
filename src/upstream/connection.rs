//! An HTTP/1.1 connection to a target, driven by the task that uses it; no task is spawned for it.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;

use super::{body::RequestBody, connect::UpstreamStream};
use crate::alarm::Alarm;

/// hyper's two halves of a connection, and a timer for the task that waits for it.
pub(super) struct UpstreamConnection {
    /// The id of its target.
    pub(super) target: u64,
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) driver: Connection<TokioIo<UpstreamStream>, RequestBody>,
    pub(super) alarm: Alarm,
}

impl UpstreamConnection {
    /// Begins HTTP/1.1 on a new stream.
    pub(super) async fn new(target: u64, stream: UpstreamStream) -> hyper::Result<Box<Self>> {
        let (sender, driver) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        Ok(Box::new(Self { target, sender, driver, alarm: Alarm::default() }))
    }

    /// Moves bytes in both directions; ready when the connection has ended. An error is reported by hyper to the
    /// request or to the body of its answer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(cx).map(drop)
    }

    /// Whether another request may be sent. Also replaces this task's waker in the connection, so that its next use
    /// does not wake this task.
    pub(super) fn prepare_for_reuse(&mut self) -> bool {
        self.poll(&mut Context::from_waker(Waker::noop())).is_pending() && self.sender.is_ready()
    }
}
