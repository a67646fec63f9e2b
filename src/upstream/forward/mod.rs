//! Forwards a request: a target, a connection, the head of the answer, and what may be sent a second time.

mod exchange;
mod framing;

use std::{io, sync::Arc};

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
    answer::{AnswerBody, Silence, is_stream},
    balance::Upstream,
    body::{RequestBody, UploadProgress},
    connect::connect,
    connection::{AnswerConnection, UpstreamConnection},
    error::{AnswerFault, ForwardError, Stage},
    pool,
    settings::RequestDeadlines,
};

impl Upstream {
    /// Sends `request` to one target and waits for the head of its answer, which is never a switch of protocols.
    /// Informational answers (1xx) are dropped. Version, target and framing of the request are set here; its other
    /// headers are prepared by the caller ([`super::headers::prepare_request`]). `copy` is a copy of its head, if the
    /// caller has one.
    ///
    /// If a target accepts no connection another is tried, ejected ones last. A request is sent again only if nothing
    /// of it was written, or once if it is safe, has no body and its connection closed without an answer. Then another
    /// target is preferred, because this one may be about to restart; an only target gets it again only if the
    /// connection had been used before.
    pub async fn forward(
        &self,
        request: Request<RequestBody>,
        copy: Option<&Request<()>>,
        deadlines: RequestDeadlines,
    ) -> Result<Response<AnswerBody>, ForwardError> {
        let mut request = ready_to_send(request)?;
        let upload = request.body_mut().watch(deadlines);
        let passes_trailers = asks_for_trailers(&request);
        let now = Instant::now();
        let mut first = self.next_index(now);
        let target = &self.targets()[first];
        if let Some(addresses) = &target.addresses {
            addresses.refresh_if_due(now);
        }

        let mut may_repeat = is_safe(&request);
        if let Some(connection) = pool::take(target.id, now) {
            let own_copy = (may_repeat && copy.is_none()).then(|| copy_of(&request));
            if !may_repeat {
                connection.check_before_sending();
            }
            match exchange(connection, request, now, deadlines, upload.as_ref()).await {
                ExchangeOutcome::Answered(answer, connection) => {
                    return into_answer(answer, connection, deadlines, upload, passes_trailers);
                }
                ExchangeOutcome::Unsent(unsent, _) => {
                    pool::forget(target.id);
                    request = unsent;
                    // The trial of an ejected target stays one.
                    if !target.is_ejected() {
                        first = self.another_than(first);
                    }
                }
                ExchangeOutcome::Failed(ForwardError::Broken(_), _) if may_repeat => {
                    pool::forget(target.id);
                    let again = own_copy.or_else(|| copy.cloned()).unwrap_or_default();
                    request = ready_to_send(again.map(|()| RequestBody::empty()))?;
                    first = self.another_than(first);
                    may_repeat = false;
                }
                ExchangeOutcome::Failed(error, connection) => return Err(counted(error, connection)),
            }
        }

        // Boxed, because its future is large and runs seldom.
        let (answer, connection) =
            Box::pin(self.exchange_over_new_connection(request, first, deadlines, upload.as_ref(), may_repeat)).await?;
        into_answer(answer, connection, deadlines, upload, passes_trailers)
    }

    /// Sends `request` over a new connection to the first target that accepts one: beginning with index `first`, then
    /// the others in random order, at last those that are ejected. Nothing was sent to a target that accepted no
    /// connection. If `may_repeat` and the connection closes without an answer, the request is sent once more, to the
    /// next target.
    pub(super) async fn exchange_over_new_connection(
        &self,
        mut request: Request<RequestBody>,
        first: usize,
        deadlines: RequestDeadlines,
        upload: Option<&Arc<UploadProgress>>,
        mut may_repeat: bool,
    ) -> Result<(Response<Incoming>, AnswerConnection), ForwardError> {
        let mut broken = None;
        let mut failure = ForwardError::Unreachable(io::ErrorKind::NotConnected.into());
        let mut tried = Vec::new();
        loop {
            let next = if tried.is_empty() { Some(first) } else { self.stand_in_for(&tried) };
            let Some(index) = next else { return Err(broken.unwrap_or(failure)) };
            tried.push(index);
            let target = &self.targets()[index];
            let now = Instant::now();
            let connecting = tokio::time::timeout(self.settings().connect_timeout, connect(target, &self.tls));
            let connection = match connecting.await {
                Ok(Ok(stream)) => {
                    let age = self.settings().max_connection_age;
                    UpstreamConnection::new(target, stream, age, Instant::now()).await.map_err(io::Error::other)
                }
                Ok(Err(error)) => Err(error),
                Err(_) => {
                    target.refused(now);
                    failure = ForwardError::Timeout(Stage::Connect);
                    continue;
                }
            };
            let copy = (may_repeat && self.targets().len() > 1).then(|| copy_of(&request));
            let outcome = match connection {
                Ok(connection) => exchange(connection, request, Instant::now(), deadlines, upload).await,
                Err(error) => {
                    target.refused(now);
                    failure = ForwardError::Unreachable(error);
                    continue;
                }
            };
            match outcome {
                ExchangeOutcome::Answered(answer, connection) => return Ok((answer, connection)),
                ExchangeOutcome::Unsent(unsent, error) => {
                    target.refused(now);
                    failure = ForwardError::Unreachable(io::Error::other(error));
                    request = unsent;
                }
                ExchangeOutcome::Failed(error, connection) => {
                    let error = counted(error, connection);
                    match copy {
                        Some(copy) if matches!(error, ForwardError::Broken(_)) => {
                            may_repeat = false;
                            broken = Some(error);
                            request = copy.map(|()| RequestBody::empty());
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }
}

/// Counts a failure against the target, if the failure is the target's.
fn counted(error: ForwardError, mut connection: AnswerConnection) -> ForwardError {
    match error {
        ForwardError::Broken(_) | ForwardError::Timeout(_) | ForwardError::BadAnswer(_) => {
            connection.request().failed();
        }
        ForwardError::Unreachable(_)
        | ForwardError::RequestTooLarge
        | ForwardError::RequestBroken(_)
        | ForwardError::RequestStalled => {}
    }
    error
}

/// Whether the request may be repeated: its method is safe (RFC 9110 section 9.2.1) and it has no body.
pub(super) fn is_safe(request: &Request<RequestBody>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) && request.body().is_end_stream()
}

fn copy_of(request: &Request<RequestBody>) -> Request<()> {
    let mut copy = Request::new(());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}

/// The answer for the visitor, unless its framing is ambiguous or it switches protocols.
pub(super) fn into_answer(
    mut answer: Response<Incoming>,
    connection: AnswerConnection,
    deadlines: RequestDeadlines,
    upload: Option<Arc<UploadProgress>>,
    passes_trailers: bool,
) -> Result<Response<AnswerBody>, ForwardError> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(counted(ForwardError::BadAnswer(AnswerFault::Upgrade), connection));
    }
    if let Err(error) = check_framing(&mut answer) {
        return Err(counted(error, connection));
    }
    if let Some(upload) = &upload {
        upload.answered();
    }
    let silence = if is_stream(answer.headers()) { Silence::IsUsual } else { Silence::IsFault };
    Ok(answer.map(|body| AnswerBody::new(body, connection, deadlines, silence, upload, passes_trailers)))
}

#[cfg(test)]
mod tests;
