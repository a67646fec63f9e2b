//! Serves one HTTP/2 connection to its end.

use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Handler, Limits, connection::Connection, deadline::Expired, io::Watched, service::service, stream::Streams,
};

/// Enough for an upload to fill a fast line, small enough that 128 streams are no flood.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// Response bytes kept per stream for a peer that reads slowly.
const SEND_BUFFER: usize = 64 * 1024;
/// A peer that vanished without a word is noticed within these two.
const PING: Duration = Duration::from_secs(20);
const PING_ANSWER: Duration = Duration::from_secs(20);

/// The settings of every HTTP/2 connection. Extended CONNECT (RFC 8441) stays off.
pub(super) fn builder(limits: &Limits) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams { stalled: limits.stalled });
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_bytes)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_ANSWER);
    builder
}

/// Serves `io`.
pub(super) async fn serve<T, H>(builder: &http2::Builder<Streams>, io: Watched<T>, connection: Connection<H>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let Connection { handler, peer, watch, mut deadlines, mut draining, shutdown, limits: _ } = connection;
    let address = peer.address;
    let service = service(handler, peer, Arc::clone(&watch), shutdown);
    let mut http = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut leaving = false;
    poll_fn(|cx| {
        loop {
            if http.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if !draining.just_begun(cx) {
                match ready!(deadlines.poll_expired(cx)) {
                    Expired::Idle if !leaving => {}
                    Expired::Idle | Expired::Head | Expired::Stalled => return Poll::Ready(()),
                }
            }
            // GOAWAY tells the peer which of its requests were taken, so none is lost by going at once.
            http.as_mut().graceful_shutdown();
            deadlines.part();
            leaving = true;
        }
    })
    .await;
    if watch.is_flooded() {
        tracing::debug!(%address, "connection closed: too many frames that do no work");
    }
}
