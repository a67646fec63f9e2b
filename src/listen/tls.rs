//! The certificate: read, checked, watched, and swapped for new handshakes when its files change.

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

use super::TlsFiles;

/// Certificate and key are two writes: the second one is waited for this long, so that no half pair is tried.
const SETTLE: Duration = Duration::from_millis(100);
/// Some file systems (network mounts) report no changes: the files are also looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A certificate in use, and the files it came from.
#[derive(Debug)]
pub(super) struct Certificate {
    files: TlsFiles,
    current: Arc<Current>,
    /// What was last read, good or bad: a bad pair is complained of once.
    seen: Mutex<Pems>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file is not the PEM it should be.
    #[error("{} is not valid PEM of its kind", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: pem::Error,
    },
    /// The pair is readable and of no use: the key does not fit, the algorithm is unknown.
    #[error("certificate and key do not work together")]
    Pair(#[source] rustls::Error),
}

#[derive(PartialEq, Eq)]
struct Pems {
    cert: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Pems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pems(***)")
    }
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Reads and checks the files.
    pub(super) fn load(files: TlsFiles) -> Result<Self, CertificateError> {
        let pems = Pems::read(&files)?;
        let current = Arc::new(Current(ArcSwap::from_pointee(pems.certified(&files)?)));
        Ok(Self { files, current, seen: Mutex::new(pems) })
    }

    /// What makes TLS of a connection; it always presents the newest good certificate.
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

    /// Follows the files for as long as it is polled. A bad pair keeps the one in use.
    pub(super) async fn follow(self: Arc<Self>) {
        let (notice, mut changes) = mpsc::channel(1);
        // Kept alive by this scope. Where it cannot be had, looking again has to do.
        let _watcher = self
            .watcher(notice)
            .inspect_err(|error| tracing::warn!(%error, "cannot watch the certificate's folder, looking every minute"));
        loop {
            tokio::select! {
                Some(()) = changes.recv() => tokio::time::sleep(SETTLE).await,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
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
        let pems = Pems::read(&self.files)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == pems {
            return Ok(Reload::Unchanged);
        }
        *seen = pems;
        self.current.0.store(Arc::new(seen.certified(&self.files)?));
        Ok(Reload::Swapped)
    }

    /// The folders are watched and not the files: editors rename, and Kubernetes swaps a link beside them.
    fn watcher(&self, notice: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_write(event.kind)) {
                // A full channel already says so.
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

impl Pems {
    fn read(files: &TlsFiles) -> Result<Self, CertificateError> {
        Ok(Self { cert: read(&files.cert)?, key: read(&files.key)?.into() })
    }

    fn certified(&self, files: &TlsFiles) -> Result<CertifiedKey, CertificateError> {
        certified(chain(&self.cert, &files.cert)?, key(&self.key, &files.key)?)
    }
}

impl TlsFiles {
    /// Everything that is wrong with the files: each by itself, then the two together.
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
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) });
    chain.map_err(|source| CertificateError::Pem { path: path.to_owned(), source })
}

fn key(pem: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|source| CertificateError::Pem { path: path.to_owned(), source })
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

/// Reading the files is an event too, and must not lead to reading them again.
fn is_write(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
