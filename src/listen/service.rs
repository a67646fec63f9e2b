//! Between hyper and the [`Handler`]: catches panics, records the end of each request, paces HTTP/2 answers.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::{
    activity::{Activity, RequestGuard},
    handler::Handler,
    shutdown::Shutdown,
    stream::StreamProgress,
};
use crate::head_memory::{ConnectionHeads, HeadGuard, RefusedStream, TooManyHeads};

/// Answers the requests of one connection.
pub(super) struct Answerer<H: Handler> {
    pub(super) handler: H,
    pub(super) peer: H::Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) shutdown: Shutdown,
}

impl<H: Handler> Answerer<H> {
    /// Counts the head of an HTTP/2 request, and its body if the handler is going to wait for it.
    pub(super) fn admit(
        &self,
        heads: &Arc<ConnectionHeads>,
        request: &Request<Incoming>,
    ) -> Result<HeadGuard, TooManyHeads> {
        let head = heads.admit(request)?;
        let is_awaited = !request.body().is_end_stream() && self.handler.awaits_body(request.uri().path());
        if is_awaited { head.expect_body() } else { Ok(head) }
    }

    /// Answers a request. A request whose answer says so ([`RefusedStream`]) is refused.
    pub(super) fn answer(
        &self,
        request: Request<Incoming>,
        head: HeadGuard,
    ) -> impl Future<Output = Result<Response<ResponseBody<H::Body>>, h2::Error>> + Send + use<H> {
        let (handler, peer, shutdown) = (self.handler.clone(), self.peer.clone(), self.shutdown.clone());
        let guard = self.activity.begin_request();
        async move {
            let version = request.version();
            let is_last = guard.is_last();
            // The handler shares nothing with the connection that a panic could leave half changed.
            let answered = AssertUnwindSafe(async { handler.handle(peer, request, head).await }).catch_unwind().await;
            let mut response = match answered {
                Ok(response) if response.extensions().get::<RefusedStream>().is_some() => {
                    guard.note_refused();
                    return Err(h2::Reason::REFUSED_STREAM.into());
                }
                Ok(response) => response.map(|body| ResponseBody::new(body, version, guard)),
                Err(_panic) => {
                    tracing::error!("a handler panicked; its request is answered 500");
                    ResponseBody::empty(StatusCode::INTERNAL_SERVER_ERROR, guard)
                }
            };
            let is_http1 = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
            // At shutdown: peers reconnect elsewhere while this process still accepts, and no request is lost.
            // After a refused WebSocket handshake: the bytes after it were not inspected.
            if is_http1 && (is_last || shutdown.has_begun()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    }
}

/// Bytes of an answer given to an HTTP/2 stream at a time; a peer has to read them within `write_timeout`.
const CHUNK_BYTES: usize = 16 * 1024;

/// The body of a response; the request ends when it is dropped.
#[derive(Debug)]
pub(super) struct ResponseBody<B> {
    body: Option<B>,
    /// In HTTP/2: the progress of its stream, and the rest of the data frame read last.
    stream: Option<(Arc<StreamProgress>, Bytes)>,
    _guard: RequestGuard,
}

impl<B: Body> ResponseBody<B> {
    fn new(body: B, version: Version, guard: RequestGuard) -> Self {
        let progress = if version == Version::HTTP_2 { StreamProgress::current() } else { None };
        if let Some(progress) = progress.as_ref().filter(|_| !body.is_end_stream()) {
            // The head is the first part given.
            progress.gave();
        }
        Self { body: Some(body), stream: progress.map(|progress| (progress, Bytes::new())), _guard: guard }
    }
}

impl<B> ResponseBody<B> {
    fn empty(status: StatusCode, guard: RequestGuard) -> Response<Self> {
        let mut response = Response::new(Self { body: None, stream: None, _guard: guard });
        *response.status_mut() = status;
        response
    }

    fn rest(&self) -> u64 {
        self.stream.as_ref().map_or(0, |(_, rest)| rest.len() as u64)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for ResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let Some((progress, rest)) = &mut this.stream else { return Pin::new(body).poll_frame(cx) };
        progress.has_room();
        if rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        progress.gave();
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest() == 0 && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.body else { return SizeHint::with_exact(0) };
        let (mut hint, rest) = (body.size_hint(), self.rest());
        if rest > 0 {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + rest);
            }
            hint.set_lower(hint.lower() + rest);
        }
        hint
    }
}
