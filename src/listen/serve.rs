//! Starts the workers and the acceptors, and ends them in order at shutdown.

use std::{io, net::TcpListener, num::NonZeroUsize, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::{AbortOnDropHandle, TaskTracker},
};

use super::{
    accept::{WorkerPool, accept},
    admin,
    bind::Listeners,
    clients::ClientConnections,
    handler::Handler,
    http1, http2,
    negotiate::WorkerContext,
    proxy_protocol::ProxyProtocol,
    settings::Settings,
    shutdown::Shutdown,
    tls::CertificateError,
    worker,
};
use crate::{
    head_memory::HeadMemory,
    telemetry::{AdminListener, AdminPages, Metrics},
};

/// The parts of a server that is about to run.
#[derive(Debug)]
pub struct ServerParts<H> {
    /// From [`super::bind`].
    pub listeners: Listeners,
    /// The settings that the listeners were bound with.
    pub settings: Settings,
    /// Threads that serve visitors; [`ServerParts::default_workers`] is one per core.
    pub workers: NonZeroUsize,
    /// Answers visitors' requests.
    pub handler: H,
    /// The pages of the admin and health addresses.
    pub pages: AdminPages,
    /// Counts open connections.
    pub metrics: Arc<Metrics>,
    /// Ends the server.
    pub shutdown: Shutdown,
    /// The runtime for everything but visitors' requests: accepting, the admin pages, the certificate.
    pub background: Handle,
}

/// A running server. Dropping it cuts every connection.
#[derive(Debug)]
pub struct RunningServer {
    supervisor: JoinHandle<()>,
    _cut: DropGuard,
}

impl RunningServer {
    /// Waits until the server has ended: shutdown has begun, connections are done or cut, workers have ended.
    pub async fn ended(self) {
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the task that shuts the server down panicked");
        }
    }
}

impl<H: Handler> ServerParts<H> {
    /// One worker per core.
    pub fn default_workers() -> NonZeroUsize {
        thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }

    /// Starts the workers and begins to accept.
    pub fn serve(self) -> Result<RunningServer, ServeError> {
        let limits = Arc::new(self.settings.limits.clone());
        let tls = match &self.listeners.certificate {
            None => None,
            Some(certificate) => Some(certificate.acceptor().map_err(ServeError::Tls)?),
        };
        let proxy_protocol = self
            .settings
            .proxy_protocol
            .then(|| ProxyProtocol { trusted: self.settings.trusted_proxies.clone(), deadline: limits.proxy_header });
        let clients = Arc::new(ClientConnections::new(
            self.settings.connections_per_client,
            self.settings.trusted_proxies.clone(),
            Arc::clone(&self.metrics),
        ));
        let heads = HeadMemory::new(limits.heads);
        let cut = self.shutdown.cutting();
        let mut workers = Vec::with_capacity(self.workers.get());
        let mut ends = Vec::with_capacity(self.workers.get());
        for index in 0..self.workers.get() {
            let (handler, limits, shutdown) = (self.handler.clone(), Arc::clone(&limits), self.shutdown.clone());
            let (tls, proxy_protocol, clients) = (tls.clone(), proxy_protocol.clone(), Some(Arc::clone(&clients)));
            let heads = Arc::clone(&heads);
            let context = move |index| WorkerContext {
                handler: handler.for_worker(index),
                http1: http1::builder(&limits),
                http2: http2::builder(&limits),
                tls,
                proxy_protocol,
                clients,
                heads,
                draining: shutdown.draining().child_token(),
                limits,
                shutdown,
            };
            let (worker, end) = worker::start(index, context, cut.clone()).map_err(ServeError::System)?;
            workers.push(worker);
            ends.push(end);
        }
        let alive = TaskTracker::new();
        let pool = WorkerPool {
            workers: workers.into(),
            permits: Arc::new(Semaphore::new(
                usize::try_from(self.settings.connections).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            alive: alive.clone(),
            metrics: Some(self.metrics),
        };

        let _entered = self.background.enter();
        let mut background_tasks = Vec::new();
        let pages = [(self.listeners.admin, AdminListener::Admin), (self.listeners.health, AdminListener::Health)];
        for (listener, surface) in pages {
            let Some(listener) = listener else { continue };
            let listener = in_runtime(listener)?;
            let served =
                admin::serve(listener, self.pages.clone(), surface, Arc::clone(&limits), self.shutdown.clone());
            background_tasks.push(AbortOnDropHandle::new(tokio::spawn(served)));
        }
        background_tasks.extend(
            self.listeners.certificate.map(|certificate| AbortOnDropHandle::new(tokio::spawn(certificate.follow()))),
        );
        let stop = CancellationToken::new();
        let acceptor = tokio::spawn(accept(in_runtime(self.listeners.public)?, pool, stop.clone()));
        let end = ShutdownSequence {
            shutdown: self.shutdown,
            drain_delay: self.settings.drain_delay,
            drain: self.settings.drain,
            stop,
            acceptor,
            alive,
            workers: ends,
            background_tasks,
        };
        Ok(RunningServer { supervisor: tokio::spawn(end.run()), _cut: cut.drop_guard() })
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The system refused a thread, a runtime or a socket.
    #[error("cannot start the workers")]
    System(#[source] io::Error),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] CertificateError),
}

fn in_runtime(listener: TcpListener) -> Result<tokio::net::TcpListener, ServeError> {
    tokio::net::TcpListener::from_std(listener).map_err(ServeError::System)
}

/// The parts that end at shutdown, in the order of [`ShutdownSequence::run`].
struct ShutdownSequence {
    shutdown: Shutdown,
    drain_delay: Duration,
    drain: Duration,
    stop: CancellationToken,
    acceptor: JoinHandle<()>,
    alive: TaskTracker,
    workers: Vec<oneshot::Receiver<()>>,
    background_tasks: Vec<AbortOnDropHandle<()>>,
}

impl ShutdownSequence {
    async fn run(self) {
        let cutting = self.shutdown.cutting();
        tokio::select! {
            () = self.shutdown.begun().cancelled_owned() => {}
            // The server was dropped.
            () = cutting.cancelled() => self.shutdown.begin(),
        }
        // Not ready, but still accepting: load balancers need time to notice.
        let _cut_short = timeout(self.drain_delay, cutting.cancelled()).await;
        self.stop.cancel();
        if let Err(error) = self.acceptor.await {
            tracing::error!(%error, "the task that accepts connections panicked");
        }
        self.shutdown.drain();
        self.alive.close();
        let all_done = async {
            tokio::select! {
                () = self.alive.wait() => {}
                () = cutting.cancelled() => {}
            }
        };
        if timeout(self.drain, all_done).await.is_err() {
            tracing::warn!(connections = self.alive.len(), "connections cut at the end of the drain time");
        }
        self.shutdown.cut();
        for worker in self.workers {
            // An error means that the worker panicked, and so has ended too.
            let _ = worker.await;
        }
        drop(self.background_tasks);
    }
}
