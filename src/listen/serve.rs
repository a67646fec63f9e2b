//! Starts everything, and ends it in order.

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
    Handler, Listeners, Settings, Shutdown,
    accept::{Table, accept},
    admin,
    clients::Clients,
    connection::Front,
    http1, http2,
    proxy_protocol::Proxies,
    worker,
};
use crate::telemetry::{Metrics, Pages, Surface};

/// What a running server is made of.
#[derive(Debug)]
pub struct Server<H> {
    /// From [`super::bind`].
    pub listeners: Listeners,
    /// What the listeners were bound for.
    pub settings: Settings,
    /// How many threads serve visitors; [`Server::default_workers`] is one per core.
    pub workers: NonZeroUsize,
    /// What is done with a visitor's request.
    pub handler: H,
    /// What the admin and health listeners answer.
    pub pages: Pages,
    /// Where open connections are counted.
    pub metrics: Arc<Metrics>,
    /// How it is ended.
    pub shutdown: Shutdown,
    /// The runtime of all that is not a visitor's request: accepting, the admin pages, the certificate.
    pub background: Handle,
}

/// A server that runs. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Served {
    supervisor: JoinHandle<()>,
    _cut: DropGuard,
}

impl Served {
    /// Waits until the server has ended: shutdown begun, connections done or cut, workers gone.
    pub async fn ended(self) {
        if let Err(error) = self.supervisor.await {
            tracing::error!(%error, "the server's end was not orderly");
        }
    }
}

impl<H: Handler> Server<H> {
    /// One worker per core.
    pub fn default_workers() -> NonZeroUsize {
        thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
    }

    /// Starts the workers and accepts.
    pub fn serve(self) -> Result<Served, ServeError> {
        let limits = Arc::new(self.settings.limits.clone());
        let tls = match &self.listeners.certificate {
            None => None,
            Some(certificate) => Some(certificate.acceptor().map_err(ServeError::Tls)?),
        };
        let proxies = self
            .settings
            .proxy_protocol
            .then(|| Proxies { trusted: self.settings.trusted_proxies.clone(), deadline: limits.proxy_header });
        let clients = Arc::new(Clients::new(
            self.settings.connections_per_client,
            self.settings.trusted_proxies.clone(),
            Arc::clone(&self.metrics),
        ));
        let cut = self.shutdown.cutting();
        let mut workers = Vec::with_capacity(self.workers.get());
        let mut ends = Vec::with_capacity(self.workers.get());
        for index in 0..self.workers.get() {
            let (handler, limits, shutdown) = (self.handler.clone(), Arc::clone(&limits), self.shutdown.clone());
            let (tls, proxies, clients) = (tls.clone(), proxies.clone(), Some(Arc::clone(&clients)));
            let front = move |index| Front {
                handler: handler.for_worker(index),
                http1: http1::builder(&limits),
                http2: http2::builder(&limits),
                tls,
                proxies,
                clients,
                draining: shutdown.draining().child_token(),
                limits,
                shutdown,
            };
            let (worker, end) = worker::start(index, front, cut.clone()).map_err(ServeError::System)?;
            workers.push(worker);
            ends.push(end);
        }
        let alive = TaskTracker::new();
        let table = Table {
            workers: workers.into(),
            permits: Arc::new(Semaphore::new(
                usize::try_from(self.settings.connections).unwrap_or(Semaphore::MAX_PERMITS),
            )),
            alive: alive.clone(),
            metrics: Some(self.metrics),
        };

        let _entered = self.background.enter();
        let mut beside = Vec::new();
        let pages = [(self.listeners.admin, Surface::Admin), (self.listeners.health, Surface::Health)];
        for (listener, surface) in pages {
            let Some(listener) = listener else { continue };
            let listener = in_runtime(listener)?;
            let served =
                admin::serve(listener, self.pages.clone(), surface, Arc::clone(&limits), self.shutdown.clone());
            beside.push(AbortOnDropHandle::new(tokio::spawn(served)));
        }
        beside.extend(
            self.listeners.certificate.map(|certificate| AbortOnDropHandle::new(tokio::spawn(certificate.follow()))),
        );
        let stop = CancellationToken::new();
        let acceptor = tokio::spawn(accept(in_runtime(self.listeners.public)?, table, stop.clone()));
        let end = End {
            shutdown: self.shutdown,
            drain_delay: self.settings.drain_delay,
            drain: self.settings.drain,
            stop,
            acceptor,
            alive,
            workers: ends,
            beside,
        };
        Ok(Served { supervisor: tokio::spawn(end.in_order()), _cut: cut.drop_guard() })
    }
}

/// Why serving did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Threads, runtimes or sockets could not be had.
    #[error("cannot start the workers")]
    System(#[source] io::Error),
    /// TLS could not be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] super::tls::CertificateError),
}

fn in_runtime(listener: TcpListener) -> Result<tokio::net::TcpListener, ServeError> {
    tokio::net::TcpListener::from_std(listener).map_err(ServeError::System)
}

/// What has to end.
struct End {
    shutdown: Shutdown,
    drain_delay: Duration,
    drain: Duration,
    stop: CancellationToken,
    acceptor: JoinHandle<()>,
    alive: TaskTracker,
    workers: Vec<oneshot::Receiver<()>>,
    beside: Vec<AbortOnDropHandle<()>>,
}

impl End {
    async fn in_order(self) {
        let cutting = self.shutdown.cutting();
        tokio::select! {
            () = self.shutdown.begun().cancelled_owned() => {}
            // The server was dropped.
            () = cutting.cancelled() => self.shutdown.begin(),
        }
        // Not ready, still accepting: balancers need time to notice.
        let _cut_short = timeout(self.drain_delay, cutting.cancelled()).await;
        self.stop.cancel();
        if let Err(error) = self.acceptor.await {
            tracing::error!(%error, "accepting ended badly");
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
            tracing::warn!(connections = self.alive.len(), "cut at the end of the drain time");
        }
        self.shutdown.cut();
        for worker in self.workers {
            // An error is a worker that panicked: ended as well.
            let _ = worker.await;
        }
        drop(self.beside);
    }
}
