//! Serves one HTTP/1.1 connection to its end or to its upgrade.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Poll, ready},
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    Handler, Limits,
    connection::Connection,
    deadline::Expired,
    io::{Phase, Watched},
    service::service,
};

/// hyper would let a connection's buffers grow to four times this for large bodies.
const BUFFER: usize = 128 * 1024;
/// Bytes of a refused request that are read on and thrown away before we let go of its connection.
const LINGER_BYTES: usize = 1024 * 1024;
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// How many header lines hyper takes unless it is told. A number that it is told costs an allocation per request.
const USUAL_LINES: usize = 100;

/// The settings of every HTTP/1.1 connection.
pub(super) fn builder(limits: &Limits) -> http1::Builder {
    let bytes = usize::try_from(limits.head_bytes).unwrap_or(usize::MAX);
    let lines = usize::try_from(limits.head_lines).unwrap_or(usize::MAX);
    let mut builder = http1::Builder::new();
    if lines > USUAL_LINES {
        builder.max_headers(lines);
    }
    builder
        .half_close(false)
        .title_case_headers(false)
        .header_read_timeout(None)
        .max_header_size(bytes)
        .max_buf_size(BUFFER.max(bytes));
    builder
}

/// Serves `io`.
pub(super) async fn serve<T, H>(builder: &http1::Builder, io: Watched<T>, connection: Connection<H>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let Connection { handler, peer, watch, mut deadlines, mut draining, shutdown, limits } = connection;
    let service = service(handler, peer, watch.clone(), shutdown);
    let mut http = builder.serve_connection(TokioIo::new(io), service).with_upgrades();
    let mut expired = None;
    poll_fn(|cx| {
        loop {
            // A parse error was answered 400 or 431 by hyper; any other error is the peer's going away.
            if Pin::new(&mut http).poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if draining.just_begun(cx) {
                if watch.phase() == Phase::Idle {
                    deadlines.part();
                } else {
                    Pin::new(&mut http).graceful_shutdown();
                    continue;
                }
            }
            expired = Some(ready!(deadlines.poll_expired(cx)));
            return Poll::Ready(());
        }
    })
    .await;
    // `None`: upgraded, and so not ours any more.
    let Some(parts) = http.into_parts() else { return };
    hang_up(parts.io.into_inner(), expired, &limits).await;
}

async fn hang_up<T: AsyncRead + AsyncWrite + Unpin>(mut io: Watched<T>, expired: Option<Expired>, limits: &Limits) {
    if expired == Some(Expired::Stalled) {
        return;
    }
    let farewell = async {
        if expired == Some(Expired::Head) && io.is_flushed() {
            io.write_all(TOO_SLOW).await?;
        }
        io.shutdown().await?;
        // Closing with unread bytes would send a reset, and a reset can overtake the answer just written.
        let mut discarded = 0;
        // On the heap: on the stack it would be part of every connection for as long as it lives.
        let mut scrap = vec![0; 4096];
        while !io.has_ended() && discarded < LINGER_BYTES {
            discarded += io.read(&mut scrap).await?;
        }
        std::io::Result::Ok(())
    };
    // Whether the peer has seen it all is not for us to know.
    let _ = timeout(limits.linger, farewell).await;
}
