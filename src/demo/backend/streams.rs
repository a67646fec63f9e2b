//! Streamed bodies: server-sent events, downloads of any length, and a download that is cut off.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use super::{
    super::{
        reply,
        server::{Reply, ReplyBody},
    },
    BackendState,
};

/// Size of a download's frames, in bytes.
const FRAME_SIZE: usize = 16 * 1024;
/// Longest download, in bytes.
const MAX_DOWNLOAD: u64 = 16 * 1024 * 1024 * 1024;
/// Interval of comments in an event stream without events, so that neither side times out.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Server-sent events, one per interval, the first at once.
pub(super) fn ticks(interval_ms: u64, count: u64) -> Reply {
    let interval = Duration::from_millis(interval_ms.clamp(1, 60_000));
    let events = stream::unfold(0, move |n| async move {
        if n >= count {
            return None;
        }
        if n > 0 {
            tokio::time::sleep(interval).await;
        }
        Some((Bytes::from(format!("id: {n}\nevent: tick\ndata: {{\"n\":{n}}}\n\n")), n + 1))
    });
    event_stream(events)
}

/// The journal after event `seq` as server-sent events, until the reader closes the stream.
pub(super) fn journal(state: Arc<BackendState>, seq: u64) -> Reply {
    let changes = state.journal.changes();
    let events = stream::unfold((state, changes, seq, true), |(state, mut changes, seq, first)| async move {
        if !first {
            let quiet = tokio::time::timeout(KEEP_ALIVE, changes.wait_for(|last| *last > seq)).await.is_err();
            if quiet {
                return Some((Bytes::from_static(b": still here\n\n"), (state, changes, seq, false)));
            }
        }
        let events = state.journal.after(seq);
        let last = events.last().map_or(seq, |event| event.seq);
        // The first piece is never empty, so that the browser fires `open` at once.
        let mut text = String::from(if first { "retry: 1000\n\n" } else { "" });
        for event in &events {
            let data = serde_json::to_string(event).unwrap_or_default();
            text.extend(["id: ", &event.seq.to_string(), "\ndata: ", &data, "\n\n"]);
        }
        Some((Bytes::from(text), (state, changes, last, false)))
    });
    event_stream(events)
}

/// A body of that many bytes; each is the low byte of its position.
pub(super) fn download(bytes: u64) -> Reply {
    let bytes = bytes.min(MAX_DOWNLOAD);
    sized(bytes, pieces(bytes).map(Ok))
}

/// Half of the bytes that `content-length` says, then the connection is closed.
pub(super) fn cut(bytes: u64) -> Reply {
    let bytes = bytes.clamp(2, MAX_DOWNLOAD);
    let broken = stream::once(async {
        // hyper flushes its buffer while the body is pending; after an error it drops the buffer.
        tokio::task::yield_now().await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    sized(bytes, pieces(bytes / 2).map(Ok).chain(broken))
}

fn pieces(bytes: u64) -> impl stream::Stream<Item = Bytes> + Send {
    let pattern: Bytes = (0..FRAME_SIZE).map(|n| u8::try_from(n % 256).unwrap_or(0)).collect::<Vec<_>>().into();
    stream::unfold((pattern, bytes), |(pattern, left)| async move {
        let length = usize::try_from(left).map_or(FRAME_SIZE, |left| left.min(FRAME_SIZE));
        (length > 0).then(|| (pattern.slice(..length), (pattern.clone(), left - length as u64)))
    })
}

fn sized(bytes: u64, pieces: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static) -> Reply {
    let mut reply = Reply::new(body(pieces));
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    reply::with(reply, header::CONTENT_TYPE, "application/octet-stream")
}

fn event_stream(events: impl stream::Stream<Item = Bytes> + Send + 'static) -> Reply {
    let mut reply = Reply::new(body(events.map(Ok)));
    *reply.status_mut() = StatusCode::OK;
    let reply = reply::with(reply, header::CACHE_CONTROL, "no-store");
    reply::with(reply, header::CONTENT_TYPE, "text/event-stream")
}

fn body(pieces: impl stream::Stream<Item = io::Result<Bytes>> + Send + 'static) -> ReplyBody {
    StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync()
}
