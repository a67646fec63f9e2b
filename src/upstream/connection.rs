//! An HTTP/1.1 connection to a target, driven by the task that uses it; no task is spawned for it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::HeaderMap;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{
    addresses::ConnectedAddress,
    body::RequestBody,
    connect::NewStream,
    idle_check::{CheckedStream, IdleCheck},
    target::{SentRequest, TargetState},
};
use crate::{
    alarm::{Alarm, after},
    answer_limits, keep_alive,
};

/// How long a connection may be idle if the target does not say; shorter than the 75 s of nginx.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// hyper's two halves of a connection, and a timer for the task that waits for it.
pub(super) struct UpstreamConnection {
    /// The request that was sent last.
    pub(super) request: SentRequest,
    pub(super) sender: SendRequest<RequestBody>,
    pub(super) driver: Connection<TokioIo<CheckedStream>, RequestBody>,
    pub(super) alarm: Alarm,
    idle_check: IdleCheck,
    /// The address that it leads to, if the target's host is a name.
    address: Option<ConnectedAddress>,
    /// When it is too old for another request.
    retires: Instant,
    /// How long the target keeps it open without a request.
    keep_alive: Duration,
    /// Until when it may be used again.
    usable_until: Instant,
}

/// The source of an answer's body.
pub(super) enum AnswerConnection {
    /// The connection, which may bring more of the answer.
    Open(Box<UpstreamConnection>),
    /// The connection has ended; what it brought is in the body.
    Ended(SentRequest),
}

impl AnswerConnection {
    /// Closes the connection.
    pub(super) fn close(&mut self) {
        if let Self::Open(connection) = self {
            *self = Self::Ended(connection.request.take());
        }
    }

    /// The request that it answers.
    pub(super) fn request(&mut self) -> &mut SentRequest {
        match self {
            Self::Open(connection) => &mut connection.request,
            Self::Ended(request) => request,
        }
    }
}

impl UpstreamConnection {
    /// Begins HTTP/1.1 on a new stream. After `max_age` the connection gets no further request.
    pub(super) async fn new(
        target: &Arc<TargetState>,
        stream: NewStream,
        max_age: Duration,
        now: Instant,
    ) -> hyper::Result<Box<Self>> {
        let (idle_check, stream, address) = {
            let NewStream { stream, address } = stream;
            let (check, stream) = CheckedStream::new(stream);
            (check, stream, address)
        };
        let (sender, driver) = http1::Builder::new()
            .max_headers(answer_limits::HEADERS)
            .max_header_size(answer_limits::HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        let retires = after(now, max_age);
        Ok(Box::new(Self {
            request: SentRequest::new(Arc::clone(target), now),
            sender,
            driver,
            alarm: Alarm::default(),
            idle_check,
            address,
            retires,
            keep_alive: IDLE_TIMEOUT,
            usable_until: retires,
        }))
    }

    /// Moves bytes in both directions; ready when the connection has ended. An error is reported by hyper to the
    /// request or to the body of its answer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(cx).map(drop)
    }

    /// Asks the kernel, before the next request is written, whether the target has closed the connection. Without that
    /// only what the reactor has already seen is known, which costs no system call. For requests that must not be sent
    /// twice.
    pub(super) fn check_before_sending(&self) {
        self.idle_check.request();
    }

    /// Obeys the `Keep-Alive` of an answer.
    pub(super) fn obey_keep_alive(&mut self, headers: &HeaderMap) {
        if let Some(usable) = keep_alive::usable_for(headers) {
            self.keep_alive = usable.min(IDLE_TIMEOUT);
        }
    }

    /// Whether another request may be sent. Also replaces this task's waker in the connection, so that its next use
    /// does not wake this task.
    pub(super) fn prepare_for_reuse(&mut self, now: Instant) -> bool {
        self.usable_until = (now + self.keep_alive).min(self.retires);
        now < self.usable_until
            && self.poll(&mut Context::from_waker(Waker::noop())).is_pending()
            && self.sender.is_ready()
    }

    /// Whether an idle connection may be used at `now`: neither too old nor idle for too long, and to an address that
    /// the target still has.
    pub(super) fn is_usable(&mut self, now: Instant) -> bool {
        now < self.usable_until
            && match (&self.request.target().addresses, &mut self.address) {
                (Some(addresses), Some(address)) => addresses.has(address),
                _ => true,
            }
    }

    /// Makes it older by `span`.
    #[cfg(test)]
    pub(super) fn age(&mut self, span: Duration) {
        self.usable_until -= span;
        self.retires -= span;
    }
}
