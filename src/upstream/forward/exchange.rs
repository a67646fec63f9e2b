//! One request over one connection, up to the head of its answer.

use std::{
    error::Error as _,
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::{task::coop::unconstrained, time::Instant};

use super::super::{
    body::{RequestBody, RequestError, UploadPhase, UploadProgress},
    connection::{AnswerConnection, UpstreamConnection},
    error::{AnswerFault, ForwardError, Stage},
    settings::RequestDeadlines,
};
use crate::alarm::after;

/// The outcome of sending a request over a connection.
pub(super) enum ExchangeOutcome {
    /// The head of the answer, and its connection.
    Answered(Response<Incoming>, AnswerConnection),
    /// Nothing of the request was written.
    Unsent(Request<RequestBody>, hyper::Error),
    /// There is no answer. Whether that counts against the target is decided by the caller.
    Failed(ForwardError, AnswerConnection),
}

/// Sends `request` over `connection` and waits for the head of its answer.
pub(super) async fn exchange(
    mut connection: Box<UpstreamConnection>,
    request: Request<RequestBody>,
    now: Instant,
    deadlines: RequestDeadlines,
    upload: Option<&Arc<UploadProgress>>,
) -> ExchangeOutcome {
    connection.request.begin(now);
    // Exempt from tokio's budget: it is polled with a waker that does nothing, so it must not yield.
    let mut answer = pin!(unconstrained(connection.sender.try_send_request(request)));
    let mut connection = AnswerConnection::Open(connection);
    let mut since = now;
    let mut seen = 0;
    let mut has_ended = false;
    let answered = poll_fn(|cx| {
        let AnswerConnection::Open(driven) = &mut connection else { return answer.as_mut().poll(cx).map(Ok) };
        // Only the connection can make the answer ready, and it is polled here: the answer needs no waker of this task.
        let no_waker = &mut Context::from_waker(Waker::noop());
        has_ended = driven.poll(cx).is_ready();
        if let Poll::Ready(answered) = answer.as_mut().poll(no_waker) {
            return Poll::Ready(Ok(answered));
        }
        if has_ended {
            // hyper returns an unsent request once the connection is dropped.
            connection.close();
            return answer.as_mut().poll(cx).map(Ok);
        }
        let (limit, stage) = match upload {
            Some(upload) => {
                let moves = upload.moves();
                if moves != seen {
                    seen = moves;
                    since = Instant::now();
                }
                match upload.phase() {
                    UploadPhase::WaitingForVisitor => return Poll::Pending,
                    UploadPhase::WaitingForUpstream => {
                        // As with answers: few visitors wait for the end of `idle`.
                        if !driven.request.is_counted() {
                            let patience = deadlines.first_byte.min(deadlines.idle);
                            ready!(driven.alarm.poll_until(after(since, patience), cx));
                            driven.request.failed();
                        }
                        (deadlines.idle, Stage::Send)
                    }
                    UploadPhase::Done => (deadlines.first_byte, Stage::Answer),
                }
            }
            None => (deadlines.first_byte, Stage::Answer),
        };
        driven.alarm.poll_until(after(since, limit), cx).map(|()| Err(stage))
    })
    .await;
    match answered {
        Ok(Ok(answer)) => {
            if let AnswerConnection::Open(connection) = &mut connection {
                connection.obey_keep_alive(answer.headers());
            }
            connection.request().answered(answer.status());
            // After a switch of protocols the connection has ended too, but its stream is needed.
            if has_ended && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                connection.close();
            }
            ExchangeOutcome::Answered(answer, connection)
        }
        Ok(Err(mut failure)) => match failure.take_message() {
            Some(request) => ExchangeOutcome::Unsent(request, failure.into_error()),
            None => ExchangeOutcome::Failed(forward_error(failure.into_error()), connection),
        },
        Err(stage) => ExchangeOutcome::Failed(ForwardError::Timeout(stage), connection),
    }
}

/// Distinguishes failures of the upstream from failures of the visitor's body.
fn forward_error(error: hyper::Error) -> ForwardError {
    if error.is_parse() {
        return ForwardError::BadAnswer(AnswerFault::Unparsable(error));
    }
    match error.source().and_then(|source| source.downcast_ref::<RequestError>()) {
        Some(RequestError::TooLarge) => ForwardError::RequestTooLarge,
        Some(RequestError::Stalled) => ForwardError::RequestStalled,
        Some(RequestError::Broken(_) | RequestError::Taken) => ForwardError::RequestBroken(error),
        // A body shorter than its Content-Length.
        None if error.is_body_write_aborted() => ForwardError::RequestBroken(error),
        None => ForwardError::Broken(error),
    }
}
