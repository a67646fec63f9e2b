//! A WebSocket (RFC 6455) that echoes every message, without a WebSocket library.

use std::{io, time::Duration};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header, request::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use super::super::{reply, server::Reply};

/// The suffix of the key before it is hashed (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Longest payload of a frame, in bytes.
const MAX_PAYLOAD: u64 = 16 * 1024 * 1024;
/// A connection without frames for this long is closed.
const IDLE: Duration = Duration::from_secs(300);

/// Answers 101 and echoes until either side closes the connection.
pub(super) fn accept(head: &Parts, upgrade: OnUpgrade, stopped: CancellationToken) -> Reply {
    let asks = |name, word: &str| {
        let value = head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).unwrap_or("");
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY);
    let Some(key) = key.filter(|_| asks(header::UPGRADE, "websocket") && asks(header::CONNECTION, "upgrade")) else {
        let refusal = reply::error(StatusCode::UPGRADE_REQUIRED, "upgrade_required", "this is a WebSocket");
        return reply::with(refusal, header::UPGRADE, "websocket");
    };
    let accept = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key.as_bytes(), GUID.as_bytes()].concat());
    let accept = HeaderValue::from_str(&STANDARD.encode(accept));
    tokio::spawn(async move {
        let echoing = async {
            let Ok(upgraded) = upgrade.await else { return };
            // A broken connection needs no report.
            let _ = echo(TokioIo::new(upgraded)).await;
        };
        stopped.run_until_cancelled(echoing).await;
    });
    let mut reply = Reply::new(reply::full(bytes::Bytes::new()));
    *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    reply.headers_mut().extend(accept.ok().map(|accept| (header::SEC_WEBSOCKET_ACCEPT, accept)));
    reply::with(reply::with(reply, header::CONNECTION, "Upgrade"), header::UPGRADE, "websocket")
}

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<()> {
    loop {
        let (first, payload) = tokio::time::timeout(IDLE, frame(&mut stream)).await.map_err(io::Error::other)??;
        match first & 0x0f {
            PONG => {}
            PING => send(&mut stream, 0x80 | PONG, &payload).await?,
            CLOSE => {
                send(&mut stream, 0x80 | CLOSE, &payload).await?;
                return stream.shutdown().await;
            }
            // Each fragment is echoed in its own frame, so that messages keep their fragments.
            _ => send(&mut stream, first, &payload).await?,
        }
    }
}

/// The first byte (FIN and opcode) and the payload, unmasked (RFC 6455 section 5.2).
async fn frame(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    // Section 5.1: the server closes the connection of a client that does not mask.
    if second & 0x80 == 0 || length > MAX_PAYLOAD {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first, payload))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), first: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}
