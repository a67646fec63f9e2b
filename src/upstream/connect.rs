//! Opens a stream to a target: TCP, TLS or a Unix socket, behind one type.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{settings::Target, target::TargetState};

/// Most bytes of a head and its body that are copied into one buffer and sent by one `send`, which costs the kernel
/// less than `writev`; for more bytes the copy would cost more than it saves.
const COALESCED_BYTES: usize = 4096;

/// The bytes to and from a target.
pub(super) enum UpstreamStream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// Opens a stream to `target`. The caller sets the deadline.
pub(super) async fn connect(target: &TargetState, tls: &Arc<rustls::ClientConfig>) -> io::Result<UpstreamStream> {
    match &target.target {
        Target::Http { host, port } => Ok(UpstreamStream::Tcp(tcp(target, host, *port).await?)),
        Target::Https { host, port } => {
            let name = target.server_name.clone().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            let stream = tcp(target, host, *port).await?;
            Ok(UpstreamStream::Tls(Box::new(TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?)))
        }
        Target::Unix(path) => Ok(UpstreamStream::Unix(UnixStream::connect(path).await?)),
    }
}

async fn tcp(target: &TargetState, host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = match target.address {
        Some(address) => TcpStream::connect((address, port)).await?,
        None => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl AsyncRead for UpstreamStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
            Self::Unix(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for UpstreamStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
            Self::Unix(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [buf] = bufs {
            return self.poll_write(cx, buf);
        }
        if bufs.iter().map(|buf| buf.len()).sum::<usize>() <= COALESCED_BYTES {
            let mut whole = [0; COALESCED_BYTES];
            let mut end = 0;
            for buf in bufs {
                whole[end..end + buf.len()].copy_from_slice(buf);
                end += buf.len();
            }
            return self.poll_write(cx, &whole[..end]);
        }
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Unix(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
            Self::Unix(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Self::Unix(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
