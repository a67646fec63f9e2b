//! Opens a stream to a target: TCP, TLS or a Unix socket, behind one type.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    addresses::{Addresses, ConnectedAddress},
    settings::Target,
    target::TargetState,
};
use crate::tls_fault;

/// Most bytes of a head and its body that are copied into one buffer and sent by one `send`, which costs the kernel
/// less than `writev`; for more bytes the copy would cost more than it saves.
const COALESCED_BYTES: usize = 4096;

/// How long one address of a name may be silent before the next is tried beside it (RFC 8305 section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The bytes to and from a target.
pub(super) enum UpstreamStream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

/// A stream to a target, just opened.
pub(super) struct NewStream {
    pub(super) stream: UpstreamStream,
    /// The address that was connected to, if the target's host is a name.
    pub(super) address: Option<ConnectedAddress>,
}

/// Opens a stream to `target`. The caller sets the deadline.
pub(super) async fn connect(target: &TargetState, tls: &Arc<rustls::ClientConfig>) -> io::Result<NewStream> {
    match &target.target {
        Target::Http { port, .. } => {
            let (stream, address) = tcp(target, *port).await?;
            Ok(NewStream { stream: UpstreamStream::Tcp(stream), address })
        }
        Target::Https { port, .. } => {
            let name = target.server_name.clone().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
            let (stream, address) = tcp(target, *port).await?;
            let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
            let stream = stream.map_err(|error| match tls_fault::in_words(&error) {
                Some(words) => io::Error::new(error.kind(), words),
                None => error,
            })?;
            Ok(NewStream { stream: UpstreamStream::Tls(Box::new(stream)), address })
        }
        Target::Unix(path) => {
            Ok(NewStream { stream: UpstreamStream::Unix(UnixStream::connect(path).await?), address: None })
        }
    }
}

async fn tcp(target: &TargetState, port: u16) -> io::Result<(TcpStream, Option<ConnectedAddress>)> {
    let (stream, address) = match (target.address, &target.addresses) {
        (Some(address), _) => (TcpStream::connect((address, port)).await?, None),
        (None, Some(addresses)) => {
            let (stream, address) = to_name(addresses).await?;
            (stream, Some(addresses.connected(address)))
        }
        (None, None) => return Err(io::ErrorKind::InvalidInput.into()),
    };
    stream.set_nodelay(true)?;
    Ok((stream, address))
}

async fn to_name(addresses: &Arc<Addresses>) -> io::Result<(TcpStream, SocketAddr)> {
    let known = addresses.current().await?;
    match to_any(&known).await {
        Ok(connected) => Ok(connected),
        Err(error) => {
            let others = addresses.others_than(&known).await;
            if others.is_empty() { Err(error) } else { to_any(&others).await }
        }
    }
}

/// Connects to the first of `addresses` that accepts, alternating between IPv6 and IPv4. The next address is tried when
/// one has failed, or has not answered for [`ATTEMPT_DELAY`] (RFC 8305 section 5).
async fn to_any(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let attempt = async |address: SocketAddr| Ok((TcpStream::connect(address).await?, address));
    if let [only] = addresses {
        return attempt(*only).await;
    }
    let mut rest = alternating(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let next = rest.next();
        let is_last = next.is_none();
        attempts.extend(next.map(attempt));
        // Ends when the next address is to be tried.
        loop {
            let wait = if is_last { Duration::MAX } else { ATTEMPT_DELAY };
            match timeout(wait, attempts.next()).await {
                Ok(Some(Ok(connected))) => return Ok(connected),
                Ok(Some(Err(error))) => {
                    failure = error;
                    if !is_last {
                        break;
                    }
                }
                Ok(None) if is_last => return Err(failure),
                Ok(None) | Err(_) => break,
            }
        }
    }
}

/// The addresses in their order, but alternating between the two families, beginning with that of the first.
fn alternating(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_first_family = |address: &&SocketAddr| address.is_ipv6() == addresses[0].is_ipv6();
    let mut first = addresses.iter().filter(is_first_family);
    let mut second = addresses.iter().filter(|address| !is_first_family(address));
    let mut order = Vec::with_capacity(addresses.len());
    while order.len() < addresses.len() {
        order.extend(first.next());
        order.extend(second.next());
    }
    order
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn addresses_alternate_between_the_families_in_the_resolvers_order() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let given = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let order = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(alternating(&given), order);
        assert_eq!(alternating(&order[1..2]), order[1..2]);
    }

    #[tokio::test]
    async fn every_address_is_tried_and_one_that_is_silent_delays_the_next_only_briefly() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let live = listener.local_addr().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        assert_eq!(to_any(&[closed, live]).await.unwrap().1, live);
        assert_eq!(to_any(&[closed, closed]).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        // Its backlog is full: the kernel answers no further handshake.
        let silent = full_backlog();
        assert_eq!(to_any(&[silent.0, live]).await.unwrap().1, live);
    }

    /// A listener that accepts nothing, with connections that fill its backlog.
    fn full_backlog() -> (SocketAddr, Vec<std::net::TcpStream>, socket2::Socket) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut open = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
            open.push(stream);
        }
        (address, open, socket)
    }
}
