//! Serves one HTTP/1.1 connection to its end or to its upgrade.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    activity::ConnectionPhase, connection::ConnectionContext, deadline::Expired, handler::Handler, io::InspectedIo,
    service::Answerer, settings::Limits,
};
use crate::head_memory::HeadGuard;

/// Most bytes that hyper buffers for one connection; its default is four times this.
const BUFFER_BYTES: usize = 128 * 1024;
/// Most bytes of a refused request that are read and dropped before its connection is closed.
const LINGER_BYTES: usize = 1024 * 1024;
/// RFC 9110 section 15.5.9.
const REQUEST_TIMEOUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Header lines that hyper accepts by default. Any other number costs it an allocation per request.
const DEFAULT_LINES: usize = 100;

/// The settings of every HTTP/1.1 connection.
pub(super) fn builder(limits: &Limits) -> http1::Builder {
    let bytes = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX);
    let lines = usize::try_from(limits.head_lines).unwrap_or(usize::MAX);
    let mut builder = http1::Builder::new();
    if lines > DEFAULT_LINES {
        builder.max_headers(lines);
    }
    builder
        .half_close(false)
        .title_case_headers(false)
        .header_read_timeout(None)
        .max_header_size(bytes)
        .max_buf_size(BUFFER_BYTES.max(bytes));
    builder
}

/// Serves `io` to its end or to its upgrade.
pub(super) async fn serve<T, H>(builder: &http1::Builder, io: InspectedIo<T>, connection: ConnectionContext<H, H::Peer>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let ConnectionContext { handler, peer, address: _, activity, mut deadlines, mut draining, shutdown, limits } =
        connection;
    let answerer = Answerer { handler, peer, activity: activity.clone(), shutdown };
    let service = service_fn(move |request| answerer.answer(request, HeadGuard::uncounted()));
    let mut http = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut expired = None;
    poll_fn(|cx| {
        loop {
            // hyper answers a parse error with 400 or 431; any other error means that the connection is broken.
            if Pin::new(&mut http).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if draining.just_begun(cx) {
                if activity.phase() == ConnectionPhase::Busy {
                    Pin::new(&mut http).graceful_shutdown();
                    continue;
                }
                // hyper would close at once, also where a part of the next head has arrived.
                deadlines.begin_draining();
            }
            expired = Some(ready!(deadlines.poll_expired(cx)));
            return Poll::Ready(());
        }
    })
    .await;
    // `None`: the connection was upgraded, and its tunnel owns the stream.
    let Some(parts) = http.into_parts() else { return };
    close(parts.io.into_inner(), expired, &limits).await;
}

/// Closes a connection so that the peer sees the last answer.
async fn close<T: AsyncRead + AsyncWrite + Unpin>(mut io: InspectedIo<T>, expired: Option<Expired>, limits: &Limits) {
    if expired == Some(Expired::Stalled) {
        return;
    }
    let closing = async {
        if expired == Some(Expired::Head) && io.is_flushed() {
            io.write_all(REQUEST_TIMEOUT).await?;
        }
        io.shutdown().await?;
        if expired == Some(Expired::Idle) {
            return Ok(());
        }
        // Closing with unread bytes would send a reset, which can overtake the answer just written.
        let mut discarded = 0;
        // On the heap: on the stack it would be part of every connection's future.
        let mut scratch = vec![0; 4096];
        while !io.has_ended() && discarded < LINGER_BYTES {
            discarded += io.read(&mut scratch).await?;
        }
        std::io::Result::Ok(())
    };
    // An error or a timeout changes nothing: the connection is dropped next.
    let _ = timeout(limits.linger, closing).await;
}
