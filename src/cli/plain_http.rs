//! What a target of an upstream without TLS answers: anything but HTTP/1.1 is no target.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use crate::{received, upstream::Target};

/// How long the target may take to send something. Without an answer nothing is said.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// Most bytes that are read: a head, and the page of an error.
const LARGEST: u64 = 4096;
/// A question that changes nothing (RFC 9110 section 9.3.7).
const REQUEST: &[u8] = b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
/// What servers say, in HTTP, to a request without TLS at a port with TLS: nginx, Go, Apache.
const WANTS_TLS: [&[u8]; 3] =
    [b"HTTP request was sent to HTTPS port", b"HTTP request to an HTTPS server", b"SSL-enabled server port"];

/// Why the target is none, by its answer to a request of HTTP/1.1; `None` if it speaks that, says nothing, or has TLS.
pub(super) async fn fault_of(target: &Target) -> Option<String> {
    let mut answer = Vec::new();
    let asked = async {
        match target {
            Target::Http { host, port } => ask(TcpStream::connect((host.as_str(), *port)).await?, &mut answer).await,
            Target::Unix(path) => ask(UnixStream::connect(path).await?, &mut answer).await,
            Target::Https { .. } => Ok(()),
        }
    };
    // What has come counts also if more was expected.
    let _ = timeout(LONGEST_WAIT, asked).await;
    fault_in(&answer)
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, answer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(REQUEST).await?;
    stream.take(LARGEST).read_to_end(answer).await.map(drop)
}

fn fault_in(answer: &[u8]) -> Option<String> {
    const HTTP_1: &[u8] = b"HTTP/1.";
    let wants_tls = WANTS_TLS.iter().any(|words| memchr::memmem::find(answer, words).is_some());
    if wants_tls || is_alert(answer) {
        return Some("it speaks TLS: write `https://`".to_owned());
    }
    if is_frame(answer) {
        return Some("it speaks HTTP/2 alone, and the gateway speaks HTTP/1.1 to upstreams".to_owned());
    }
    let length = answer.len().min(HTTP_1.len());
    if answer[..length] == HTTP_1[..length] {
        return None;
    }
    let first_line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let said = received::for_log(&String::from_utf8_lossy(first_line), 60, &[]);
    Some(format!("it does not speak HTTP: it says `{said}`"))
}

/// Whether these bytes begin with an alert of TLS (RFC 8446 sections 5.1 and 6).
fn is_alert(answer: &[u8]) -> bool {
    matches!(answer, [21, 3, _, 0, 2, ..])
}

/// Whether these bytes begin a connection of HTTP/2: the head of a SETTINGS or GOAWAY frame on stream 0, of at most
/// 16 KiB (RFC 9113 sections 3.4 and 4.1).
fn is_frame(answer: &[u8]) -> bool {
    let (settings, go_away) = (4, 7);
    matches!(answer, [0, 0..=0x40, _, kind, _, 0, 0, 0, 0, ..] if [settings, go_away].contains(kind))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn fault(bytes: &'static [u8]) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.write_all(bytes).await.unwrap();
            let _ = socket.shutdown().await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        fault_of(&Target::Http { host: "127.0.0.1".to_owned(), port }).await
    }

    #[tokio::test]
    async fn a_target_that_answers_with_something_else_than_http_1_is_told_by_what_it_says() {
        for (answer, expected) in [
            (
                &b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"[..],
                Some("it speaks HTTP/2 alone, and the gateway speaks HTTP/1.1 to upstreams"),
            ),
            (
                b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
                Some("it speaks HTTP/2 alone, and the gateway speaks HTTP/1.1 to upstreams"),
            ),
            (b"\x15\x03\x01\x00\x02\x02\x46", Some("it speaks TLS: write `https://`")),
            (
                b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
                Some("it speaks TLS: write `https://`"),
            ),
            (b"SSH-2.0-OpenSSH_9.6\r\n", Some("it does not speak HTTP: it says `SSH-2.0-OpenSSH_9.6`")),
            (b"220 mail.example ESMTP\r\n250 ok\r\n", Some("it does not speak HTTP: it says `220 mail.example ESMTP`")),
            (b"HTTP/1.1 405 Method Not Allowed\r\n\r\n", None),
            (b"HTTP/1.0 501 Not Implemented\r\n\r\n", None),
            (b"HTT", None),
            (b"", None),
        ] {
            assert_eq!(fault(answer).await.as_deref(), expected);
        }
    }
}
