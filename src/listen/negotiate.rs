//! The start of a connection: PROXY protocol header, the client's connection limit, TLS, HTTP version.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper::server::conn::{http1 as hyper1, http2 as hyper2};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{
    activity::Activity,
    clients::ClientConnections,
    connection::{ConnectionContext, DrainSignal},
    deadline::ConnectionDeadlines,
    frames::Http2Frames,
    handler::Handler,
    head::HeadInspector,
    http1, http2,
    io::{InspectedIo, Inspection},
    proxy_protocol::ProxyProtocol,
    settings::Limits,
    shutdown::Shutdown,
    slot::ConnectionSlot,
    sniff::{HttpVersion, ReadAhead, sniff},
    stream::StreamExecutor,
};
use crate::{head_memory::HeadMemory, scheme::Scheme};

/// What the connections of one worker share.
pub(super) struct WorkerContext<H> {
    pub(super) handler: H,
    pub(super) http1: hyper1::Builder,
    pub(super) http2: hyper2::Builder<StreamExecutor>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// `None` for the admin and health addresses, whose clients are not counted.
    pub(super) clients: Option<Arc<ClientConnections>>,
    /// The heads of all HTTP/2 connections.
    pub(super) heads: Arc<HeadMemory>,
    pub(super) limits: Arc<Limits>,
    pub(super) shutdown: Shutdown,
    /// A child of the shutdown's token, so that workers do not share a lock.
    pub(super) draining: CancellationToken,
}

/// An accepted connection after the PROXY protocol header and the TLS handshake.
struct NegotiatedClient {
    address: IpAddr,
    scheme: Scheme,
    /// When the wait for its first request began.
    since: Instant,
    slot: ConnectionSlot,
}

/// Its bytes.
enum NegotiatedStream {
    Plain(TcpStream, ReadAhead, HttpVersion),
    /// Boxed, so that the future of a connection without TLS is not as large as one with TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl<H: Handler> WorkerContext<H> {
    /// Serves one accepted connection to its end.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: ConnectionSlot) {
        // In this order, so that bytes that have arrived count.
        let negotiated = tokio::select! {
            biased;
            negotiated = self.negotiate(stream, peer, slot) => negotiated,
            () = self.may_close_idle() => None,
        };
        match negotiated {
            Some((NegotiatedStream::Plain(stream, ahead, version), client)) => {
                self.serve_http(stream, ahead, version, client).await;
            }
            Some((NegotiatedStream::Tls(stream), client)) => {
                let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let version = if is_http2 { HttpVersion::Http2 } else { HttpVersion::Http1 };
                Box::pin(self.serve_http(*stream, ReadAhead::default(), version, client)).await;
            }
            None => {}
        }
    }

    /// `None`: the connection is to be closed.
    async fn negotiate(
        &self,
        mut stream: TcpStream,
        peer: SocketAddr,
        mut slot: ConnectionSlot,
    ) -> Option<(NegotiatedStream, NegotiatedClient)> {
        let address = match &self.proxy_protocol {
            None => peer.ip(),
            Some(proxy_protocol) => match proxy_protocol.client_address(&mut stream, peer).await {
                Ok(address) => address,
                Err(error) => {
                    // Only at debug level: the TCP health check of a load balancer looks the same.
                    tracing::debug!(%error, "connection closed");
                    return None;
                }
            },
        };
        let address = address.to_canonical();
        if let Some(clients) = &self.clients {
            let Ok(client_slot) = clients.admit(address) else {
                tracing::debug!(%address, "connection closed: the client has too many connections");
                return None;
            };
            slot.add_client_slot(client_slot);
        }
        let since = Instant::now();
        let Some(tls) = &self.tls else {
            let (ahead, version) = timeout(self.limits.head, sniff(&mut stream)).await.ok().flatten()?;
            let client = NegotiatedClient { address, scheme: Scheme::Http, since, slot };
            return Some((NegotiatedStream::Plain(stream, ahead, version), client));
        };
        match timeout(self.limits.handshake, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let client = NegotiatedClient { address, scheme: Scheme::Https, since: Instant::now(), slot };
                return Some((NegotiatedStream::Tls(Box::new(stream)), client));
            }
            Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
            Err(_) => tracing::debug!("TLS handshake took too long"),
        }
        None
    }

    /// Completes `idle_while_draining` after draining began: a connection that brought no request by then brings none.
    async fn may_close_idle(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(self.limits.idle_while_draining).await;
    }

    async fn serve_http<T>(self: Arc<Self>, stream: T, ahead: ReadAhead, version: HttpVersion, client: NegotiatedClient)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let NegotiatedClient { address, scheme, since, slot } = client;
        let activity = Activity::new(slot.load());
        let inspection = match version {
            HttpVersion::Http1 => {
                let max_head_bytes = usize::try_from(self.limits.head_bytes).unwrap_or(usize::MAX);
                Inspection::Heads(HeadInspector::new(max_head_bytes))
            }
            HttpVersion::Http2 => Inspection::Frames(Box::new(Http2Frames::new(since))),
        };
        let io = InspectedIo::new(stream, ahead, inspection, Arc::clone(&activity), slot);
        let connection = ConnectionContext {
            handler: self.handler.clone(),
            peer: self.handler.peer(address, scheme),
            address,
            deadlines: ConnectionDeadlines::new(Arc::clone(&activity), Arc::clone(&self.limits), since),
            activity,
            draining: DrainSignal::new(self.draining.clone(), self.shutdown.clone()),
            shutdown: self.shutdown.clone(),
            limits: Arc::clone(&self.limits),
        };
        match version {
            HttpVersion::Http1 => http1::serve(&self.http1, io, connection).await,
            // Boxed for the same reason: the future of HTTP/2 is the larger of the two.
            HttpVersion::Http2 => Box::pin(http2::serve(&self.http2, io, connection, &self.heads)).await,
        }
    }
}
