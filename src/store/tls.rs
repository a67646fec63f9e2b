//! TLS settings for connections to a store's server.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    pki_types::{CertificateDer, pem, pem::PemObject as _},
};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// The file of trusted certificates cannot be read, or is not PEM.
    #[error("{0}")]
    Unreadable(pem::Error),
    /// A certificate in this file is not valid X.509.
    #[error("{0}")]
    Certificate(rustls::Error),
    /// This file contains no certificate.
    #[error("it contains no certificate")]
    NoCertificate,
    /// The system's certificates cannot be used.
    #[error("{0}")]
    Setup(rustls::Error),
}

/// A configuration that trusts no certificate, for a client that requires one although TLS is off.
pub(super) fn none() -> Result<ClientConfig, TlsError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Trusts the certificates in the PEM file `ca`; without one, those that the system trusts.
pub(super) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let builder = builder()?;
    let Some(ca) = ca else {
        return Ok(builder.with_platform_verifier().map_err(TlsError::Setup)?.with_no_client_auth());
    };
    let mut trusted = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(TlsError::Unreadable)? {
        trusted.add(certificate.map_err(TlsError::Unreadable)?).map_err(TlsError::Certificate)?;
    }
    if trusted.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    Ok(builder.with_root_certificates(trusted).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(TlsError::Setup)
}
