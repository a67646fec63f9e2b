//! A worker: one thread with one runtime, and the connections given to it.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    handler::Handler,
    negotiate::WorkerContext,
    slot::{ConnectionSlot, WorkerLoad},
};

/// An accepted connection on its way to a worker; it belongs to no runtime yet.
pub(super) struct AcceptedConnection {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) slot: ConnectionSlot,
}

/// The accepting side's handle on a worker.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) load: WorkerLoad,
    /// Bounded by the connections' permits.
    pub(super) connections: mpsc::UnboundedSender<AcceptedConnection>,
}

/// Starts worker `index`. The receiver gets a message, or an error, when the worker has ended.
pub(super) fn start<H: Handler>(
    index: usize,
    context: impl FnOnce(usize) -> WorkerContext<H> + Send + 'static,
    cut: CancellationToken,
) -> io::Result<(Worker, oneshot::Receiver<()>)> {
    let (connections, mut accepted) = mpsc::unbounded_channel::<AcceptedConnection>();
    let (ended, end) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
        runtime.block_on(async {
            let context = Arc::new(context(index));
            let serve = async {
                while let Some(AcceptedConnection { stream, peer, slot }) = accepted.recv().await {
                    match tokio::net::TcpStream::from_std(stream) {
                        Ok(stream) => drop(tokio::spawn(Arc::clone(&context).serve(stream, peer, slot))),
                        Err(error) => tracing::error!(%error, "an accepted connection cannot be served"),
                    }
                }
                // No more connections come; the open ones go on until they end or are cut.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = cut.cancelled() => {}
                () = serve => {}
            }
        });
        // Drops every task that still runs, which closes its sockets.
        drop(runtime);
        let _ = ended.send(());
    })?;
    Ok((Worker { load: WorkerLoad::default(), connections }, end))
}
