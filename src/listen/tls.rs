//! The certificate: read, checked, and replaced for new handshakes when its files change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use notify::{
    Event, EventKind, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::settings::TlsFiles;
use crate::received;

/// Time between a change and reading the files: certificate and key are two writes.
const SETTLE_TIME: Duration = Duration::from_millis(100);
/// The files are also read this often, because some file systems (network mounts) report no changes.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: TlsFiles,
    current: Arc<CurrentCertificate>,
    /// The files as last read, usable or not, so that an unusable pair is logged once.
    last_read: Mutex<PemFiles>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file is not PEM, or has no item of the expected kind.
    #[error("{} is not PEM, or has no item of the expected kind", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// The error of the parser.
        source: pem::Error,
    },
    /// Both files can be read but not used together: the key does not fit, or the algorithm is unknown.
    #[error("certificate and key do not work together")]
    Pair(#[source] rustls::Error),
}

#[derive(PartialEq, Eq)]
struct PemFiles {
    cert: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for PemFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PemFiles(***)")
    }
}

#[derive(Debug)]
struct CurrentCertificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads and checks the files.
    pub(super) fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        let pems = PemFiles::read(&files)?;
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(pems.certified(&files)?)));
        Ok(Self { files, current, last_read: Mutex::new(pems) })
    }

    /// Accepts TLS with the newest usable certificate.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, CertificateError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Pair)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(CertificateError::Pair)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Watches the files for as long as the future is polled. An unusable pair leaves the one in use.
    pub(super) async fn follow(self: Arc<Self>) {
        let (notice, mut changes) = mpsc::channel(1);
        // Kept alive by this scope. Without a watcher the files are read at each `POLL_INTERVAL`.
        let _watcher = self.watcher(notice).inspect_err(
            |error| tracing::warn!(%error, "cannot watch the certificate's folder; its files are read every minute"),
        );
        loop {
            tokio::select! {
                Some(()) = changes.recv() => tokio::time::sleep(SETTLE_TIME).await,
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
            let _already_noticed = changes.try_recv();
            let certificate = Arc::clone(&self);
            let reloaded = tokio::task::spawn_blocking(move || certificate.reload()).await;
            match reloaded {
                Ok(Ok(Reload::Swapped)) => tracing::info!("new certificate in use"),
                Ok(Ok(Reload::Unchanged)) => {}
                Ok(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "the new certificate is not used, the old one stays");
                }
                Err(error) => tracing::error!(%error, "reading the certificate failed"),
            }
        }
    }

    fn reload(&self) -> Result<Reload, CertificateError> {
        let pems = PemFiles::read(&self.files)?;
        let mut last_read = self.last_read.lock().unwrap_or_else(PoisonError::into_inner);
        if *last_read == pems {
            return Ok(Reload::Unchanged);
        }
        *last_read = pems;
        self.current.0.store(Arc::new(last_read.certified(&self.files)?));
        Ok(Reload::Swapped)
    }

    /// Watches the folders and not the files: editors rename files, and Kubernetes swaps a symbolic link beside them.
    fn watcher(&self, notice: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_write(event.kind)) {
                // If the channel is full, a notice is waiting already.
                let _ = notice.try_send(());
            }
        })?;
        let (cert, key) = (folder(&self.files.cert), folder(&self.files.key));
        watcher.watch(cert, RecursiveMode::NonRecursive)?;
        if key != cert {
            watcher.watch(key, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    }
}

enum Reload {
    Swapped,
    Unchanged,
}

impl PemFiles {
    fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)?.into() })
    }

    fn certified(&self, files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
        certified(chain(&self.cert, &files.cert)?, key(&self.key, &files.key)?)
    }
}

impl TlsFiles {
    /// All faults of the files: first of each one, else of the two together.
    pub fn faults(&self) -> Vec<CertificateError> {
        let cert = read(&self.cert).and_then(|pem| chain(&pem, &self.cert));
        let key = read(&self.key).and_then(|pem| key(&zeroize::Zeroizing::new(pem), &self.key));
        match (cert, key) {
            (Ok(cert), Ok(key)) => certified(cert, key).err().into_iter().collect(),
            (cert, key) => cert.err().into_iter().chain(key.err()).collect(),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    fs::read(path).map_err(|source| CertificateError::File { path: path.to_owned(), source })
}

fn chain(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(&received::content(pem)).collect::<Result<Vec<_>, _>>();
    let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
    chain.map_err(|source| CertificateError::Pem { path: path.to_owned(), source })
}

fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(&received::content(pem))
        .map_err(|source| CertificateError::Pem { path: path.to_owned(), source })
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateError> {
    let certified = CertifiedKey::from_der(chain, key, &provider()).map_err(CertificateError::Pair)?;
    certified.keys_match().map_err(CertificateError::Pair)?;
    Ok(certified)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Whether an event may have changed a file: reading is an event too, and must not cause another reading.
fn is_write(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
