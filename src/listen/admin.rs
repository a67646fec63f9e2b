//! The admin and health addresses: few connections, HTTP without TLS, served on the background runtime until the last
//! visitor's request is done.

use std::{net::IpAddr, sync::Arc};

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
    accept::{WorkerPool, accept},
    handler::Handler,
    http1, http2,
    negotiate::WorkerContext,
    settings::Limits,
    shutdown::Shutdown,
    slot::WorkerLoad,
    worker::{AcceptedConnection, Worker},
};
use crate::{
    head_memory::{HeadGuard, HeadMemory},
    scheme::Scheme,
    telemetry::{AdminListener, AdminPages},
};

/// Connections at a time to one of these addresses. A probe and a scraper need two; more must not take the visitors'
/// file descriptors.
const CONNECTIONS: usize = 64;

/// Answers with [`AdminPages`].
#[derive(Clone)]
struct PagesHandler {
    pages: AdminPages,
    surface: AdminListener,
}

impl Handler for PagesHandler {
    type Peer = ();
    type Body = Full<Bytes>;

    fn peer(&self, _address: IpAddr, _scheme: Scheme) {}

    async fn handle(&self, (): (), request: Request<Incoming>, _head: HeadGuard) -> Response<Self::Body> {
        self.pages.answer(self.surface, &request.into_parts().0)
    }
}

/// Serves `surface` until the future is dropped.
pub(super) async fn serve(
    listener: TcpListener,
    pages: AdminPages,
    surface: AdminListener,
    limits: Arc<Limits>,
    shutdown: Shutdown,
) {
    let (connections, mut accepted) = mpsc::unbounded_channel();
    let pool = WorkerPool {
        workers: [Worker { load: WorkerLoad::default(), connections }].into(),
        permits: Arc::new(Semaphore::new(CONNECTIONS)),
        alive: TaskTracker::new(),
        metrics: None,
    };
    let context = Arc::new(WorkerContext {
        handler: PagesHandler { pages, surface },
        http1: http1::builder(&limits),
        http2: http2::builder(&limits),
        tls: None,
        proxy_protocol: None,
        clients: None,
        heads: HeadMemory::new(limits.heads),
        limits,
        shutdown,
        // Never cancelled: probes ask for readiness until the last request is done.
        draining: CancellationToken::new(),
    });
    let mut tasks = JoinSet::new();
    let serving = async {
        loop {
            tokio::select! {
                Some(AcceptedConnection { stream, peer, slot }) = accepted.recv() => {
                    if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                        tasks.spawn(Arc::clone(&context).serve(stream, peer, slot));
                    }
                }
                Some(_ended) = tasks.join_next() => {}
                else => break,
            }
        }
    };
    tokio::select! {
        () = accept(listener, pool, CancellationToken::new()) => {}
        () = serving => {}
    }
}
