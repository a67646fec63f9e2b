//! Certificates of authorities in PEM, for the keys `ca`. What a file holds instead is said in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer,
        pem::{PemObject, SectionKind},
    },
};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{BasicConstraints, KeyUsage, KeyUsages},
};

use crate::{
    clock::Clock,
    config::schema::{context::Context, tree::Place},
    received,
};

const HELP: &str = "the file holds the authority's certificate in PEM (`-----BEGIN CERTIFICATE-----`)";

/// A certificate as far as it matters here.
struct Parsed {
    /// Whether it says that it is an authority's (RFC 5280 section 4.2.1.9). Version 1 cannot say it.
    is_authority: bool,
    /// Whether its issuer is its own subject.
    is_self_issued: bool,
    /// The end of its validity, since 1970.
    not_after: Duration,
}

/// The certificates in `pem`; `None` if one of them cannot be an authority's, with a complaint at `place`.
pub(super) fn read(pem: &[u8], place: &Place, cx: &mut Context<'_>) -> Option<Vec<CertificateDer<'static>>> {
    let pem = &*received::content(pem);
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if certificates.is_empty() {
        cx.complain(place, without_certificate(pem), HELP);
        return None;
    }
    let now = Clock::system().now().system_time().duration_since(UNIX_EPOCH).unwrap_or_default();
    for (index, der) in certificates.iter().enumerate() {
        let which = match certificates.len() {
            1 => "this certificate".to_owned(),
            _ => format!("certificate {} in this file", index + 1),
        };
        let Some(parsed) = parsed(der).filter(|_| RootCertStore::empty().add(der.clone()).is_ok()) else {
            cx.complain(place, "there is no certificate in this file", HELP);
            return None;
        };
        if !parsed.is_authority && !parsed.is_self_issued {
            let message = format!("{which} is a server's, not an authority's");
            cx.complain(place, message, "give the certificate of the authority that signed it");
            return None;
        }
        if parsed.not_after <= now {
            let message = format!("{which} has expired on {}", day(parsed.not_after));
            cx.complain(place, message, "give the authority's current certificate");
            return None;
        }
        if !parsed.is_authority {
            let message = format!("{which} is a server's own, not an authority's");
            let help =
                "it is accepted from that server alone, until the server has a new one; better give an authority's";
            cx.warn(place, message, help);
        }
    }
    Some(certificates)
}

/// What a text without a certificate holds.
fn without_certificate(pem: &[u8]) -> &'static str {
    let first = <(SectionKind, Vec<u8>)>::from_pem_slice(pem).map(|(kind, _)| kind);
    match first {
        _ if pem.trim_ascii().is_empty() => "this file is empty",
        Ok(SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey) => {
            "this is a private key, not a certificate"
        }
        _ if memchr::memmem::find(pem, b"PRIVATE KEY-----").is_some() => "this is a private key, not a certificate",
        Ok(SectionKind::PublicKey) => "this is a public key, not a certificate",
        Ok(SectionKind::Csr) => "this is a request for a certificate, not a certificate",
        _ => "there is no certificate in this file",
    }
}

fn parsed(der: &CertificateDer<'_>) -> Option<Parsed> {
    let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
    let constraints = certificate.get::<BasicConstraints>().ok()?.map(|(_, constraints)| constraints.ca);
    let usage = certificate.get::<KeyUsage>().ok()?.map(|(_, usage)| usage.0.contains(KeyUsages::KeyCertSign));
    Some(Parsed {
        is_authority: constraints.unwrap_or(certificate.extensions.is_none()) && usage.unwrap_or(true),
        is_self_issued: certificate.issuer == certificate.subject,
        not_after: certificate.validity.not_after.to_unix_duration(),
    })
}

/// The day of a time since 1970, as in `06 Nov 1994`.
fn day(since: Duration) -> String {
    let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since);
    date.get(5..16).unwrap_or_default().to_owned()
}
