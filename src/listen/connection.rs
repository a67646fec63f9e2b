//! One connection from its first byte: PROXY protocol header, TLS, which HTTP.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, task::Context};

use hyper::server::conn::{http1 as hyper1, http2 as hyper2};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    Handler, Limits, Shutdown,
    clients::Clients,
    deadline::Deadlines,
    frames::Frames,
    head::Heads,
    http1, http2,
    io::{Ahead, Inspection, Watch, Watched},
    proxy_protocol::Proxies,
    stream::Streams,
    worker::Slot,
};
use crate::handle::Peer;

/// The connection preface of HTTP/2 (RFC 9113 section 3.4), which no other protocol's request line resembles.
const PREFACE: &[u8; Ahead::MOST] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The HTTP of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    Http1,
    Http2,
}

/// What the connections of one worker share.
pub(super) struct Front<H> {
    pub(super) handler: H,
    pub(super) http1: hyper1::Builder,
    pub(super) http2: hyper2::Builder<Streams>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) proxies: Option<Proxies>,
    /// Counted for visitors alone.
    pub(super) clients: Option<Arc<Clients>>,
    pub(super) limits: Arc<Limits>,
    pub(super) shutdown: Shutdown,
    /// A child of the shutdown's token, so that workers do not share a lock.
    pub(super) draining: CancellationToken,
}

/// What serving a connection takes besides its bytes.
pub(super) struct Connection<H> {
    pub(super) handler: H,
    pub(super) peer: Peer,
    pub(super) watch: Arc<Watch>,
    pub(super) deadlines: Deadlines,
    pub(super) draining: Draining,
    pub(super) shutdown: Shutdown,
    pub(super) limits: Arc<Limits>,
}

impl<H: Handler> Front<H> {
    /// Serves one accepted connection to its end.
    pub(super) async fn serve(self: Arc<Self>, mut stream: TcpStream, peer: SocketAddr, mut slot: Slot) {
        let address = match &self.proxies {
            None => peer.ip(),
            Some(proxies) => match proxies.visitor(&mut stream, peer).await {
                Ok(address) => address,
                Err(error) => {
                    // Not louder: a balancer's bare connection test looks the same.
                    tracing::debug!(%error, "connection dropped");
                    return;
                }
            },
        };
        if let Some(clients) = &self.clients {
            let Ok(place) = clients.admit(address) else {
                tracing::debug!(%address, "connection dropped: the client has too many");
                return;
            };
            slot.hold(place);
        }
        let accepted = Instant::now();
        let Some(tls) = &self.tls else {
            let Some((ahead, protocol)) = timeout(self.limits.head, sniff(&mut stream)).await.ok().flatten() else {
                return;
            };
            return self.serve_http(stream, ahead, protocol, Peer::new(address, false), accepted, slot).await;
        };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
                let peer = Peer::new(address, true);
                // Boxed, so that a connection without TLS does not hold the room for one with it.
                Box::pin(self.serve_http(stream, Ahead::default(), protocol, peer, Instant::now(), slot)).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
    }

    async fn serve_http<T>(
        self: Arc<Self>,
        stream: T,
        ahead: Ahead,
        protocol: Protocol,
        peer: Peer,
        since: Instant,
        slot: Slot,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watch = Watch::new(slot.load());
        let inspection = match protocol {
            Protocol::Http1 => {
                Inspection::Heads(Heads::new(usize::try_from(self.limits.head_bytes).unwrap_or(usize::MAX)))
            }
            Protocol::Http2 => Inspection::Frames(Box::new(Frames::new(since))),
        };
        let io = Watched::new(stream, ahead, inspection, Arc::clone(&watch), slot);
        let connection = Connection {
            handler: self.handler.clone(),
            peer,
            deadlines: Deadlines::new(Arc::clone(&watch), Arc::clone(&self.limits), since),
            watch,
            draining: Draining::new(self.draining.clone(), self.shutdown.clone()),
            shutdown: self.shutdown.clone(),
            limits: Arc::clone(&self.limits),
        };
        match protocol {
            Protocol::Http1 => http1::serve(&self.http1, io, connection).await,
            // Boxed for the same reason: HTTP/2 takes the more room of the two.
            Protocol::Http2 => Box::pin(http2::serve(&self.http2, io, connection)).await,
        }
    }
}

/// Reads until it is clear whether the peer speaks HTTP/2 with prior knowledge; done here once, the HTTP/1.1 path pays
/// nothing for the possibility. `None`: the peer has gone.
async fn sniff(stream: &mut TcpStream) -> Option<(Ahead, Protocol)> {
    let mut ahead = Ahead::default();
    while PREFACE.starts_with(ahead.as_slice()) {
        if ahead.as_slice().len() == PREFACE.len() {
            return Some((ahead, Protocol::Http2));
        }
        match stream.read(ahead.room()).await {
            Ok(read) if read > 0 => ahead.filled(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => return None,
        }
    }
    Some((ahead, Protocol::Http1))
}

/// A connection's ear for the end of accepting.
pub(super) struct Draining {
    begun: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    listening: bool,
    shutdown: Shutdown,
}

impl Draining {
    fn new(token: CancellationToken, shutdown: Shutdown) -> Self {
        Self { begun: Some(Box::pin(token.cancelled_owned())), listening: false, shutdown }
    }

    /// True once: at the first poll after it began. To be polled by one task alone: it is woken as the task was at the
    /// first poll, so that no lock is taken at each of the others.
    pub(super) fn just_begun(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(begun) = &mut self.begun else { return false };
        let was_listening = std::mem::replace(&mut self.listening, true);
        let has_begun = if was_listening { self.shutdown.is_draining() } else { begun.as_mut().poll(cx).is_ready() };
        if has_begun {
            self.begun = None;
        }
        has_begun
    }
}
