//! Handshakes with peers that cannot succeed.

use super::NoAnswer;
use crate::tls_fault;

/// The peer's certificate is not accepted, or it does not speak TLS. Another try fails in the same way.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CertificateFault(String);

impl CertificateFault {
    /// The fault among the causes of `error`, in words.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        tls_fault::in_words(error).map(Self)
    }
}

/// Whether the peer was not called because of its certificate.
pub fn has_bad_certificate(error: &NoAnswer) -> bool {
    matches!(error, NoAnswer::Unsent { source, .. } if source.is::<CertificateFault>())
}
