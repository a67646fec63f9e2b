//! Forwards a request: a target, a connection, the head of the answer, and what may be sent a second time.

mod exchange;
mod framing;

use std::{io, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::Instant;

pub(super) use self::framing::{asks_for_trailers, ready_to_send};
use self::{
    exchange::{ExchangeOutcome, exchange},
    framing::check_framing,
};
use super::{
    answer::AnswerBody,
    balance::Upstream,
    body::{RequestBody, UploadProgress},
    connect::connect,
    connection::UpstreamConnection,
    error::{AnswerFault, ForwardError, Stage},
    pool,
    settings::RequestDeadlines,
    target::TargetState,
};
use crate::clock::Clock;

/// A connection that has been idle for this long may have been closed by the target unnoticed. Only then the request's
/// head is copied, so that requests to a busy upstream never are.
const MAY_BE_CLOSED_AFTER: Duration = Duration::from_millis(2);

impl Upstream {
    /// Sends `request` to one target and waits for the head of its answer, which is never a switch of protocols.
    /// Informational answers (1xx) are dropped. Version, target and framing of the request are set here; its other
    /// headers are prepared by the caller ([`super::headers::prepare_request`]).
    ///
    /// If a target accepts no connection the next is tried. A request is sent twice only if nothing of it was written,
    /// or if it is safe and has no body, and its connection had been idle for so long that the target may have closed
    /// it.
    pub async fn forward(
        &self,
        request: Request<RequestBody>,
        deadlines: RequestDeadlines,
        clock: &Clock,
    ) -> Result<Response<AnswerBody>, ForwardError> {
        let mut request = ready_to_send(request)?;
        let upload = request.body_mut().watch(deadlines);
        let passes_trailers = asks_for_trailers(&request);
        let first = self.next_index(clock);
        let target = &self.targets()[first];

        let now = Instant::now();
        if let Some((connection, idle)) = pool::take(target.id, now) {
            let copy = if idle >= MAY_BE_CLOSED_AFTER { copy_if_safe(&request) } else { None };
            match exchange(connection, request, now, deadlines, upload.as_ref()).await {
                ExchangeOutcome::Answered(answer, connection) => {
                    target.succeeded();
                    return into_answer(answer, connection, deadlines, upload, passes_trailers);
                }
                ExchangeOutcome::Unsent(unsent, _) => {
                    pool::forget(target.id);
                    request = unsent;
                }
                ExchangeOutcome::Failed(error) => match copy {
                    Some(copy) if matches!(error, ForwardError::Broken(_)) => {
                        pool::forget(target.id);
                        request = copy;
                    }
                    _ => return Err(self.count_failure(target, error, clock)),
                },
            }
        }

        // Boxed, because its future is large and runs seldom.
        let (answer, connection) =
            Box::pin(self.exchange_over_new_connection(request, first, deadlines, upload.as_ref(), clock)).await?;
        into_answer(answer, connection, deadlines, upload, passes_trailers)
    }

    /// Sends `request` over a new connection to the first target that accepts one, beginning with index `first`.
    pub(super) async fn exchange_over_new_connection(
        &self,
        mut request: Request<RequestBody>,
        first: usize,
        deadlines: RequestDeadlines,
        upload: Option<&Arc<UploadProgress>>,
        clock: &Clock,
    ) -> Result<(Response<Incoming>, Option<Box<UpstreamConnection>>), ForwardError> {
        let mut failure = ForwardError::Unreachable(io::ErrorKind::NotConnected.into());
        for step in 0..self.targets().len() {
            let target = &self.targets()[(first + step) % self.targets().len()];
            if step > 0 && target.is_ejected(clock.now()) {
                continue;
            }
            let connecting = tokio::time::timeout(self.settings().connect_timeout, connect(target, &self.tls));
            let connection = match connecting.await {
                Ok(Ok(stream)) => UpstreamConnection::new(target.id, stream).await.map_err(io::Error::other),
                Ok(Err(error)) => Err(error),
                Err(_) => {
                    target.failed(clock.now(), &self.random);
                    failure = ForwardError::Timeout(Stage::Connect);
                    continue;
                }
            };
            let outcome = match connection {
                Ok(connection) => exchange(connection, request, Instant::now(), deadlines, upload).await,
                Err(error) => {
                    target.failed(clock.now(), &self.random);
                    failure = ForwardError::Unreachable(error);
                    continue;
                }
            };
            match outcome {
                ExchangeOutcome::Answered(answer, connection) => {
                    target.succeeded();
                    return Ok((answer, connection));
                }
                ExchangeOutcome::Unsent(unsent, error) => {
                    target.failed(clock.now(), &self.random);
                    failure = ForwardError::Unreachable(io::Error::other(error));
                    request = unsent;
                }
                ExchangeOutcome::Failed(error) => return Err(self.count_failure(target, error, clock)),
            }
        }
        Err(failure)
    }

    /// Counts a failure against the target, if the failure is the target's.
    fn count_failure(&self, target: &TargetState, error: ForwardError, clock: &Clock) -> ForwardError {
        if matches!(error, ForwardError::Broken(_)) {
            target.failed(clock.now(), &self.random);
        }
        error
    }
}

/// A copy of the request, if it is safe to send twice (RFC 9110 section 9.2.1) and has no body.
fn copy_if_safe(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !is_safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

/// The answer for the visitor, unless its framing is ambiguous or it switches protocols.
pub(super) fn into_answer(
    mut answer: Response<Incoming>,
    connection: Option<Box<UpstreamConnection>>,
    deadlines: RequestDeadlines,
    upload: Option<Arc<UploadProgress>>,
    passes_trailers: bool,
) -> Result<Response<AnswerBody>, ForwardError> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
    }
    check_framing(&mut answer)?;
    if let Some(upload) = &upload {
        upload.answered();
    }
    Ok(answer.map(|body| AnswerBody::new(body, connection, deadlines.idle, upload, passes_trailers)))
}

#[cfg(test)]
mod tests;
