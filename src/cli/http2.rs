//! Whether a target of an upstream speaks HTTP/2 alone, which the gateway does not speak to upstreams.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::upstream::Target;

/// How long the target may take to send something. Without an answer nothing is said.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// A question that changes nothing (RFC 9110 section 9.3.7).
const REQUEST: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Whether a target without TLS answers a request of HTTP/1.1 with a frame of HTTP/2.
pub(super) async fn is_spoken_alone(target: &Target) -> bool {
    let asked = async {
        match target {
            Target::Http { host, port } => ask(TcpStream::connect((host.as_str(), *port)).await?).await,
            Target::Unix(path) => ask(UnixStream::connect(path).await?).await,
            Target::Https { .. } => Ok(false),
        }
    };
    matches!(timeout(LONGEST_WAIT, asked).await, Ok(Ok(true)))
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<bool> {
    stream.write_all(REQUEST).await?;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    Ok(is_frame(head))
}

/// Whether these bytes begin a connection of HTTP/2: the head of a SETTINGS or GOAWAY frame on stream 0, of at most
/// 16 KiB (RFC 9113 sections 3.4 and 4.1).
fn is_frame([first, second, _, kind, _, stream @ ..]: [u8; 9]) -> bool {
    let (settings, go_away) = (4, 7);
    first == 0 && second <= 0x40 && (kind == settings || kind == go_away) && stream == [0; 4]
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn answers(bytes: &'static [u8]) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(bytes).await.unwrap();
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        is_spoken_alone(&Target::Http { host: "127.0.0.1".to_owned(), port }).await
    }

    #[tokio::test]
    async fn a_target_that_answers_with_frames_speaks_http_2_alone() {
        assert!(answers(b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64").await, "SETTINGS");
        assert!(answers(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01").await, "GOAWAY");
        assert!(!answers(b"HTTP/1.1 405 Method Not Allowed\r\n\r\n").await);
        assert!(!answers(b"220 mail.example ESMTP\r\n").await);
        assert!(!answers(b"").await, "it says nothing");
    }
}
