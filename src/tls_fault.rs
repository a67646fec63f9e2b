//! Why a handshake with a server fails that another try cannot mend, in words.

use rustls::{CertificateError, InvalidMessage};

/// The fault among the causes of `error`, in words; `None` if another try may succeed.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut causes = std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>() {
        // `source` of an I/O error leaves out the error that it holds.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
        None => error.source(),
    });
    causes.find_map(|cause| match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(fault) => {
            Some(format!("its certificate is not accepted: {}", certificate_in_words(fault)))
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("it does not answer with TLS: is its address `http://`?".to_owned())
        }
        _ => None,
    })
}

fn certificate_in_words(fault: &CertificateError) -> String {
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

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use rustls::OtherError;

    use super::*;

    #[test]
    fn a_fault_is_told_in_words_also_from_within_other_errors() {
        let ca = CertificateError::Other(OtherError(Arc::new(webpki::Error::CaUsedAsEndEntity)));
        for (error, expected) in [
            (rustls::Error::InvalidCertificate(ca), Some("`CA:TRUE`")),
            (rustls::Error::InvalidCertificate(CertificateError::Expired), Some("it has expired")),
            (rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType), Some("is its address `http://`?")),
            (rustls::Error::DecryptError, None),
        ] {
            let told = in_words(&io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error)));
            assert_eq!(told.is_some(), expected.is_some(), "{told:?}");
            assert!(expected.is_none_or(|expected| told.unwrap().contains(expected)), "{expected:?}");
        }
    }
}
