//! Certificates of peers that are not accepted, in words.

use rustls::CertificateError;

use super::NoAnswer;

/// The peer's certificate is not accepted. Another try fails in the same way.
#[derive(Debug, thiserror::Error)]
#[error("its certificate is not accepted: {0}")]
pub struct CertificateFault(String);

impl CertificateFault {
    /// The fault among the causes of `error`, in words.
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>() {
            // `source` of an I/O error leaves out the error that it holds.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        });
        let fault = causes.into_iter().find_map(|cause| match cause.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(fault)) => Some(fault),
            _ => None,
        })?;
        Some(Self(in_words(fault)))
    }
}

fn in_words(fault: &CertificateError) -> String {
    let words = match fault {
        CertificateError::UnknownIssuer => {
            "it is of an authority that is not known here; give that authority's certificate (a provider has the key `ca`; else SSL_CERT_FILE)"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "it is not valid yet: do the clocks agree?"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for other names than the address"
        }
        CertificateError::Other(other)
            if other.0.downcast_ref::<webpki::Error>().is_some_and(|e| *e == webpki::Error::CaUsedAsEndEntity) =>
        {
            "it is an authority's certificate (`CA:TRUE`) that the server uses as its own; make the server one of its own, signed by that authority"
        }
        other => return other.to_string(),
    };
    words.to_owned()
}

/// Whether the peer was not called because of its certificate.
pub fn has_bad_certificate(error: &NoAnswer) -> bool {
    matches!(error, NoAnswer::Unsent { source, .. } if source.is::<CertificateFault>())
}
