//! Serves one HTTP/2 connection to its end.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use futures_util::future::{Either, ready};
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    connection::ConnectionContext, deadline::Expired, handler::Handler, io::InspectedIo, service::Answerer,
    settings::Limits, stream::StreamExecutor,
};
use crate::head_memory::HeadMemory;

/// Bytes of flow control window per stream: enough for fast uploads, and bounded for 100 streams.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes of flow control window per connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Response bytes buffered per stream for a peer that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;
/// A dead peer is detected within the sum of these two.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The settings of every HTTP/2 connection. Extended CONNECT (RFC 8441) stays off.
pub(super) fn builder(limits: &Limits) -> http2::Builder<StreamExecutor> {
    let mut builder = http2::Builder::new(StreamExecutor { stalled: limits.stalled });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

/// Serves `io` to its end.
pub(super) async fn serve<T, H>(
    builder: &http2::Builder<StreamExecutor>,
    io: InspectedIo<T>,
    connection: ConnectionContext<H, H::Peer>,
    heads: &Arc<HeadMemory>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let ConnectionContext { handler, peer, address, activity, mut deadlines, mut draining, shutdown, limits: _ } =
        connection;
    let answerer = Answerer { handler, peer, activity: Arc::clone(&activity), shutdown };
    let (heads, refusals) = (heads.connection(), Arc::clone(&activity));
    let service = service_fn(move |request| {
        let Ok(head) = answerer.admit(&heads, &request) else {
            // The peer may send it again (RFC 9113 section 8.7).
            refusals.note_refused();
            return Either::Right(ready(Err(h2::Error::from(h2::Reason::REFUSED_STREAM))));
        };
        // Boxed, because hyper keeps room for it until the stream ends: a peer that reads nothing would hold the
        // kilobytes of a finished future, and so would one whose request is refused.
        Either::Left(Box::pin(answerer.answer(request, head)))
    });
    let mut http = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut has_sent_goaway = false;
    poll_fn(|cx| {
        loop {
            if http.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !draining.just_begun(cx) {
                match task::ready!(deadlines.poll_expired(cx)) {
                    Expired::Idle if !has_sent_goaway => {}
                    Expired::Idle | Expired::Head | Expired::Stalled => return Poll::Ready(()),
                }
            }
            // GOAWAY names the last request that is served, so sending it at once loses none.
            http.as_mut().graceful_shutdown();
            deadlines.begin_draining();
            has_sent_goaway = true;
        }
    })
    .await;
    if activity.is_flooded() {
        tracing::debug!(%address, "connection closed: too many frames that do no work");
    }
}
