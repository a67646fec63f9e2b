//! The admin and health listeners: few connections, plain HTTP, served beside the workers and to the very end.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Handler, Limits, Shutdown,
    accept::{Table, accept},
    connection::Front,
    http1, http2,
    worker::{Dealt, Load, Worker},
};
use crate::{
    handle::Peer,
    telemetry::{Pages, Surface},
};

/// A probe and a scraper need two; a flood here must not take the visitors' file descriptors.
const CONNECTIONS: usize = 64;

/// Answers with [`Pages`].
#[derive(Clone)]
struct Answering {
    pages: Pages,
    surface: Surface,
}

impl Handler for Answering {
    type Body = Full<Bytes>;

    async fn handle(&self, _peer: Peer, request: Request<Incoming>) -> Response<Self::Body> {
        self.pages.answer(self.surface, &request.into_parts().0)
    }
}

/// Serves `surface` until it is dropped.
pub(super) async fn serve(listener: TcpListener, pages: Pages, surface: Surface, limits: Arc<Limits>, end: Shutdown) {
    let (dealt, mut hand) = mpsc::unbounded_channel();
    let table = Table {
        workers: [Worker { load: Load::default(), dealt }].into(),
        permits: Arc::new(Semaphore::new(CONNECTIONS)),
        alive: TaskTracker::new(),
        metrics: None,
    };
    let front = Arc::new(Front {
        handler: Answering { pages, surface },
        http1: http1::builder(&limits),
        http2: http2::builder(&limits),
        tls: None,
        proxies: None,
        clients: None,
        limits,
        shutdown: end,
        // Never: readiness is asked for until the last request is done.
        draining: CancellationToken::new(),
    });
    let mut connections = JoinSet::new();
    let serving = async {
        loop {
            tokio::select! {
                Some(Dealt { stream, peer, slot }) = hand.recv() => {
                    if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                        connections.spawn(Arc::clone(&front).serve(stream, peer, slot));
                    }
                }
                Some(_ended) = connections.join_next() => {}
                else => break,
            }
        }
    };
    tokio::select! {
        () = accept(listener, table, CancellationToken::new()) => {}
        () = serving => {}
    }
}
