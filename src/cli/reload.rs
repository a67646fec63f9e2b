//! When the configuration is read again: at SIGHUP, and when its file changes.

use std::{path::Path, time::Duration};

use notify::{RecursiveMode, Watcher as _};
use tokio::{signal::unix::Signal, sync::mpsc};

/// Editors write in several steps: the file is read once it has not changed for this long.
const QUIET: Duration = Duration::from_millis(200);

/// Sends a cause each time the file at `path` is to be read again; `last` is its content when it was last read.
pub(super) fn changes(path: &Path, mut last: Option<Vec<u8>>, mut hangup: Signal) -> mpsc::Receiver<&'static str> {
    let (cause, causes) = mpsc::channel(1);
    let of_signal = cause.clone();
    tokio::spawn(async move { while hangup.recv().await.is_some() && of_signal.send("SIGHUP").await.is_ok() {} });
    let path = path.to_owned();
    tokio::spawn(async move {
        let (event, mut events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |_| {
            // If the channel is full, the file is read again anyway.
            let _ = event.try_send(());
        });
        // Watches the folder, not the file: editors rename files, and Kubernetes replaces symbolic links.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let watching = watcher.and_then(|mut w| w.watch(folder, RecursiveMode::NonRecursive).map(|()| w));
        let _watcher = match watching {
            Ok(watcher) => watcher,
            Err(error) => {
                tracing::warn!(%error, "the configuration file is not watched; SIGHUP reloads it");
                return;
            }
        };
        // Reads the file before the first event too: it may have changed before it was watched.
        loop {
            let now = tokio::fs::read(&path).await.ok();
            if now.is_some() && now != last {
                last = now;
                if cause.send("the file changed").await.is_err() {
                    return;
                }
            }
            if events.recv().await.is_none() {
                return;
            }
            while tokio::time::timeout(QUIET, events.recv()).await.is_ok() {}
        }
    });
    causes
}
