//! From hyper's call to the [`Handler`]: the panic guard, the end of a request.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONNECTION};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, service::Service};

use super::{
    Handler, Shutdown,
    io::{InFlight, Watch},
    stream::Taking,
};
use crate::handle::Peer;

/// One connection's service.
#[expect(clippy::type_complexity, reason = "a name for the future would cost a box around it, once per request")]
pub(super) fn service<H: Handler>(
    handler: H,
    peer: Peer,
    watch: Arc<Watch>,
    shutdown: Shutdown,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Answer<H::Body>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Answer<H::Body>>, Infallible>> + Send + 'static,
> {
    hyper::service::service_fn(move |request: Request<Incoming>| {
        let (handler, peer, shutdown) = (handler.clone(), peer.clone(), shutdown.clone());
        let in_flight = watch.begin();
        async move {
            let version = request.version();
            let is_last = in_flight.is_last();
            // Nothing is shared with the handler that a panic could leave half done: its state is its own.
            let answered = AssertUnwindSafe(async { handler.handle(peer, request).await }).catch_unwind().await;
            let mut response = match answered {
                Ok(response) => response.map(|body| Answer::new(body, version, in_flight)),
                Err(_panic) => {
                    tracing::error!("a handler panicked; its request is answered 500");
                    Answer::bare(StatusCode::INTERNAL_SERVER_ERROR, in_flight)
                }
            };
            let is_http1 = version < Version::HTTP_2 && response.status() != StatusCode::SWITCHING_PROTOCOLS;
            // `has_begun`, while others are still accepting: the peer moves on by itself, and no request is lost to a
            // close. `is_last`: what came behind a request for a WebSocket that is not granted was not looked at.
            if is_http1 && (is_last || shutdown.has_begun()) {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
    })
}

/// What of an answer is given to an HTTP/2 stream at a time: as much as a peer has to take within `write_timeout`.
const PIECE: usize = 16 * 1024;

/// A response's body; the request ends when it is dropped.
#[derive(Debug)]
pub(super) struct Answer<B> {
    body: Option<B>,
    /// In HTTP/2: what its stream is told, and what is left of the body's last piece.
    stream: Option<(Arc<Taking>, Bytes)>,
    _in_flight: InFlight,
}

impl<B: Body> Answer<B> {
    fn new(body: B, version: Version, in_flight: InFlight) -> Self {
        let taking = if version == Version::HTTP_2 { Taking::current() } else { None };
        if let Some(taking) = taking.as_ref().filter(|_| !body.is_end_stream()) {
            // The head is on its way.
            taking.gave();
        }
        Self { body: Some(body), stream: taking.map(|taking| (taking, Bytes::new())), _in_flight: in_flight }
    }
}

impl<B> Answer<B> {
    fn bare(status: StatusCode, in_flight: InFlight) -> Response<Self> {
        let mut response = Response::new(Self { body: None, stream: None, _in_flight: in_flight });
        *response.status_mut() = status;
        response
    }

    fn rest(&self) -> u64 {
        self.stream.as_ref().map_or(0, |(_, rest)| rest.len() as u64)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let Some((taking, rest)) = &mut this.stream else { return Pin::new(body).poll_frame(cx) };
        taking.has_room();
        if rest.is_empty() {
            match ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => *rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        taking.gave();
        let piece = rest.split_to(rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
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
