//! A request to an upstream and the head of its answer: a target, a connection, and what may be tried again.

use std::{
    error::Error as _,
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header, uri::PathAndQuery};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::{task::coop::unconstrained, time::Instant};

use super::{
    AnswerBody, RequestBody, RequestError, Settings, Target, TargetState,
    body::{Phase, Progress},
    connect::connect,
    link::Link,
    pool,
};
use crate::{
    alarm::after,
    clock::{Clock, Timestamp},
    problem::{Problem, ProblemKind},
};

/// A connection that has been idle for this long may have been closed by the other side, unseen. Only then a copy of the request's
/// head is made, so that a busy upstream's requests are never copied.
const DOUBTFUL: Duration = Duration::from_millis(2);

/// A named group of targets, spoken to in HTTP/1.1 alone. Shared by all threads; its connections are each thread's own.
#[derive(Debug)]
pub struct Upstream {
    settings: Settings,
    targets: Vec<TargetState>,
    next: AtomicUsize,
    tls: Arc<rustls::ClientConfig>,
}

/// How long a request may wait.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From the whole request sent to the first byte of the answer.
    pub first_byte: Duration,
    /// The longest silence of a body, either way, once under way. There is no limit to the whole.
    pub idle: Duration,
    /// Bytes a second that the visitor has to send on average while its body is waited for and no answer has begun; 0: no
    /// minimum.
    pub body_rate: u64,
}

/// Why there is no answer: one variant for each thing that can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// No target took the request; nothing was sent (502).
    #[error("no target of the upstream took the request")]
    Unreachable(#[source] io::Error),
    /// The target broke off before its answer; it may have acted (502).
    #[error("the upstream broke off before its answer")]
    Broken(#[source] hyper::Error),
    /// The target was too slow (504).
    #[error("the upstream was too slow: {0:?}")]
    Timeout(Stage),
    /// The visitor's body is over the route's limit (413).
    #[error("the request's body is over the limit")]
    RequestTooLarge,
    /// The visitor's body broke off or is no body (400, close).
    #[error("the request's body broke off")]
    RequestBroken(#[source] hyper::Error),
    /// The visitor was silent in the middle of its body, or sent it too slowly (408, close).
    #[error("the visitor was too slow")]
    RequestStalled,
    /// The answer is not to be passed on (502).
    #[error("the upstream's answer is not to be passed on")]
    BadAnswer(#[source] AnswerFault),
}

impl From<ForwardError> for Problem {
    fn from(error: ForwardError) -> Self {
        let kind = match error {
            ForwardError::Unreachable(_) => ProblemKind::UpstreamUnreachable,
            ForwardError::Broken(_) => ProblemKind::UpstreamBroke,
            ForwardError::BadAnswer(_) => ProblemKind::UpstreamAnswerInvalid,
            ForwardError::Timeout(_) => ProblemKind::UpstreamTimeout,
            ForwardError::RequestTooLarge => ProblemKind::BodyTooLarge,
            ForwardError::RequestBroken(_) => ProblemKind::BodyBroken,
            ForwardError::RequestStalled => ProblemKind::BodyTooSlow,
        };
        Self::new(kind).caused_by(error)
    }
}

/// What was waited for in vain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// A connection.
    Connect,
    /// Room for more of the request's body.
    Send,
    /// The first byte of the answer.
    Answer,
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerFault {
    /// It is not HTTP/1.1.
    #[error("it cannot be parsed")]
    Unparsable(#[source] hyper::Error),
    /// Two parsers could disagree about its end (RFC 9112 section 6.3), or it is coded in a way that was not asked for.
    #[error("its framing is ambiguous")]
    Framing,
    /// It switches protocols unasked, or does not say to which.
    #[error("it switches protocols")]
    Upgrade,
}

impl Upstream {
    /// An upstream with no connections yet. `tls` is what `https` targets are checked by.
    pub fn new(settings: Settings, tls: Arc<rustls::ClientConfig>) -> Self {
        let mut tls = tls;
        if settings.targets.iter().any(|target| matches!(target, Target::Https { .. })) {
            // HTTP/1.1 is all that is spoken to upstreams.
            Arc::make_mut(&mut tls).alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let targets = settings.targets.iter().cloned().map(TargetState::new).collect();
        Self { settings, targets, next: AtomicUsize::new(0), tls }
    }

    /// What it was made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The name routes and calls use.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Its targets, with their health.
    pub fn targets(&self) -> &[TargetState] {
        &self.targets
    }

    /// Makes a connection to `target` within `connect_timeout` and closes it.
    pub async fn try_target(&self, target: &TargetState) -> io::Result<()> {
        match tokio::time::timeout(self.settings.connect_timeout, connect(target, &self.tls)).await {
            Ok(connected) => connected.map(drop),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// The next target in turn that is not ejected. Where all are, the one that was ejected first: it is the likeliest to be back.
    pub fn pick(&self, now: Timestamp) -> &TargetState {
        &self.targets[self.pick_index(now)]
    }

    fn pick_index(&self, now: Timestamp) -> usize {
        let count = self.targets.len();
        if count == 1 {
            return 0;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let in_turn = || (0..count).map(|i| turn.wrapping_add(i) % count);
        in_turn()
            .find(|&i| !self.targets[i].is_ejected(now))
            .or_else(|| in_turn().min_by_key(|&i| self.targets[i].ejected_until()))
            .unwrap_or(0)
    }

    /// Sends `request` to one target and waits for the head of its answer, which is never a switch of protocols. Informational
    /// answers (1xx) are dropped. The request's version, target and framing are put right here; its other headers are the
    /// caller's ([`super::headers::prepare_request`]).
    ///
    /// Where a target takes no connection the next is tried. A request is sent twice only if nothing of it was written, or if it is
    /// safe and has no body, and its connection had been idle for long enough to have been closed meanwhile.
    pub async fn forward(
        &self,
        request: Request<RequestBody>,
        deadlines: Deadlines,
        clock: &Clock,
    ) -> Result<Response<AnswerBody>, ForwardError> {
        let mut request = ready_to_send(request)?;
        let upload = request.body_mut().watch(deadlines);
        let passes_trailers = asks_for_trailers(&request);
        let first = self.first(clock);
        let target = &self.targets[first];

        let now = Instant::now();
        if let Some((link, idle)) = pool::take(target.id, now) {
            let spare = if idle >= DOUBTFUL { copy_of_safe(&request) } else { None };
            match exchange(link, request, now, deadlines, upload.as_ref()).await {
                Exchange::Answered(answer, link) => {
                    target.succeeded();
                    return passed_on(answer, link, deadlines, upload, passes_trailers);
                }
                Exchange::Unsent(unsent, _) => {
                    pool::forget(target.id);
                    request = unsent;
                }
                Exchange::Failed(error) => match spare {
                    Some(spare) if matches!(error, ForwardError::Broken(_)) => {
                        pool::forget(target.id);
                        request = spare;
                    }
                    _ => return Err(blamed(target, error, clock)),
                },
            }
        }

        // Boxed: it is seldom run, and large.
        let (answer, link) = Box::pin(self.exchange_afresh(request, first, deadlines, upload.as_ref(), clock)).await?;
        passed_on(answer, link, deadlines, upload, passes_trailers)
    }

    /// Sends `request` over a new connection to the first target, from `first` on, that takes it.
    pub(super) async fn exchange_afresh(
        &self,
        mut request: Request<RequestBody>,
        first: usize,
        deadlines: Deadlines,
        upload: Option<&Arc<Progress>>,
        clock: &Clock,
    ) -> Result<(Response<Incoming>, Option<Box<Link>>), ForwardError> {
        let mut failure = ForwardError::Unreachable(io::ErrorKind::NotConnected.into());
        for step in 0..self.targets.len() {
            let target = &self.targets[(first + step) % self.targets.len()];
            if step > 0 && target.is_ejected(clock.now()) {
                continue;
            }
            let connecting = tokio::time::timeout(self.settings.connect_timeout, connect(target, &self.tls));
            let link = match connecting.await {
                Ok(Ok(stream)) => Link::new(target.id, stream).await.map_err(io::Error::other),
                Ok(Err(error)) => Err(error),
                Err(_) => {
                    target.failed(clock.now());
                    failure = ForwardError::Timeout(Stage::Connect);
                    continue;
                }
            };
            let exchanged = match link {
                Ok(link) => exchange(link, request, Instant::now(), deadlines, upload).await,
                Err(error) => {
                    target.failed(clock.now());
                    failure = ForwardError::Unreachable(error);
                    continue;
                }
            };
            match exchanged {
                Exchange::Answered(answer, link) => {
                    target.succeeded();
                    return Ok((answer, link));
                }
                Exchange::Unsent(unsent, error) => {
                    target.failed(clock.now());
                    failure = ForwardError::Unreachable(io::Error::other(error));
                    request = unsent;
                }
                Exchange::Failed(error) => return Err(blamed(target, error, clock)),
            }
        }
        Err(failure)
    }

    pub(super) fn first(&self, clock: &Clock) -> usize {
        if self.targets.len() == 1 { 0 } else { self.pick_index(clock.now()) }
    }
}

/// What became of a request that was given to a connection.
enum Exchange {
    /// The head of the answer, and the connection if more is to come over it.
    Answered(Response<Incoming>, Option<Box<Link>>),
    /// Nothing of it was written.
    Unsent(Request<RequestBody>, hyper::Error),
    Failed(ForwardError),
}

/// Sends `request` over `link` and waits for the head of its answer.
async fn exchange(
    mut link: Box<Link>,
    request: Request<RequestBody>,
    now: Instant,
    deadlines: Deadlines,
    upload: Option<&Arc<Progress>>,
) -> Exchange {
    // Exempt from tokio's budget: it is polled with a waker that wakes nobody, so it must not ask to be woken for its turn.
    let mut answer = pin!(unconstrained(link.sender.try_send_request(request)));
    let mut link = Some(link);
    let mut since = now;
    let mut seen = 0;
    let mut is_over = false;
    let answered = poll_fn(|cx| {
        // The connection alone answers, and it is polled here: no waker of this task need be left with the answer.
        let unwoken = &mut Context::from_waker(Waker::noop());
        if let Some(driven) = &mut link {
            is_over = driven.poll(cx).is_ready();
            if let Poll::Ready(answered) = answer.as_mut().poll(unwoken) {
                return Poll::Ready(Ok(answered));
            }
        }
        if is_over {
            // A request that was not taken comes back when the connection is gone.
            link = None;
            return answer.as_mut().poll(cx).map(Ok);
        }
        let Some(driven) = &mut link else { return Poll::Ready(Err(Stage::Answer)) };
        let (limit, stage) = match upload {
            Some(upload) => {
                let moves = upload.moves();
                if moves != seen {
                    seen = moves;
                    since = Instant::now();
                }
                match upload.phase() {
                    Phase::Waiting => return Poll::Pending,
                    Phase::Sending => (deadlines.idle, Stage::Send),
                    Phase::Done => (deadlines.first_byte, Stage::Answer),
                }
            }
            None => (deadlines.first_byte, Stage::Answer),
        };
        driven.alarm.poll_until(after(since, limit), cx).map(|()| Err(stage))
    })
    .await;
    match answered {
        // After a switch of protocols the connection is over too, but its stream is wanted.
        Ok(Ok(answer)) if is_over && answer.status() != StatusCode::SWITCHING_PROTOCOLS => {
            Exchange::Answered(answer, None)
        }
        Ok(Ok(answer)) => Exchange::Answered(answer, link),
        Ok(Err(mut failure)) => match failure.take_message() {
            Some(request) => Exchange::Unsent(request, failure.into_error()),
            None => Exchange::Failed(reason(failure.into_error())),
        },
        Err(stage) => Exchange::Failed(ForwardError::Timeout(stage)),
    }
}

/// Whose fault a failed exchange is.
fn reason(error: hyper::Error) -> ForwardError {
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

/// Counts a failure if it is the target's.
fn blamed(target: &TargetState, error: ForwardError, clock: &Clock) -> ForwardError {
    if matches!(error, ForwardError::Broken(_)) {
        target.failed(clock.now());
    }
    error
}

/// The request in the form an origin server gets it in: HTTP/1.1, origin-form (RFC 9112 section 3.2.1), framed as its body is.
pub(super) fn ready_to_send(mut request: Request<RequestBody>) -> Result<Request<RequestBody>, ForwardError> {
    if request.body().is_too_large() {
        return Err(ForwardError::RequestTooLarge);
    }
    *request.version_mut() = Version::HTTP_11;
    if let Some(authority) = request.uri().authority() {
        if !request.headers().contains_key(header::HOST)
            && let Ok(host) = HeaderValue::from_str(authority.as_str())
        {
            request.headers_mut().insert(header::HOST, host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    }
    let length = request.body().size_hint().exact();
    let headers = request.headers_mut();
    headers.remove(header::TRANSFER_ENCODING);
    match length {
        Some(0) if said_length(headers) != Some(0) => drop(headers.remove(header::CONTENT_LENGTH)),
        Some(0) => {}
        Some(length) if said_length(headers) == Some(length) => {}
        Some(length) => drop(headers.insert(header::CONTENT_LENGTH, length.into())),
        None => {
            headers.remove(header::CONTENT_LENGTH);
            // Said here for every method: hyper takes a GET without it for one without a body.
            headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
    Ok(request)
}

fn said_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Whether trailers are asked for: a request says `TE: trailers` here or nothing ([`super::headers::prepare_request`]).
pub(super) fn asks_for_trailers(request: &Request<RequestBody>) -> bool {
    request.headers().contains_key(header::TE)
}

/// A copy of a request that may be sent twice (RFC 9110 section 9.2.1), if this is one.
fn copy_of_safe(request: &Request<RequestBody>) -> Option<Request<RequestBody>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    Some(copy)
}

pub(super) fn passed_on(
    mut answer: Response<Incoming>,
    link: Option<Box<Link>>,
    deadlines: Deadlines,
    upload: Option<Arc<Progress>>,
    passes_trailers: bool,
) -> Result<Response<AnswerBody>, ForwardError> {
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ForwardError::BadAnswer(AnswerFault::Upgrade));
    }
    check_framing(&mut answer)?;
    if let Some(upload) = &upload {
        upload.answered();
    }
    Ok(answer.map(|body| AnswerBody::new(body, link, deadlines.idle, upload, passes_trailers)))
}

/// Refuses an answer that two parsers could read differently.
fn check_framing(answer: &mut Response<Incoming>) -> Result<(), ForwardError> {
    *answer.version_mut() = Version::HTTP_11;
    let headers = answer.headers();
    if let Some(coding) = headers.get(header::TRANSFER_ENCODING)
        && (!coding.as_bytes().eq_ignore_ascii_case(b"chunked")
            || headers.get_all(header::TRANSFER_ENCODING).iter().nth(1).is_some()
            || headers.contains_key(header::CONTENT_LENGTH))
    {
        return Err(ForwardError::BadAnswer(AnswerFault::Framing));
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next() {
        // hyper takes `5, 5` and two equal lines for one length; whoever stands before us may not.
        if lengths.next().is_some() || !length.as_bytes().iter().all(u8::is_ascii_digit) {
            return Err(ForwardError::BadAnswer(AnswerFault::Framing));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
