//! TLS: HTTP/1.1 and HTTP/2 by ALPN, and certificates that are renewed while the gateway runs.

use std::{fs, path::Path};

use http::Version;
use rustls::RootCertStore;
use tempfile::TempDir;

use crate::harness::{Protocol, Raw, Setup, TestStack};

/// Writes a certificate for `localhost` into that folder; returns the roots that trust it.
fn certificate(folder: &Path) -> RootCertStore {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    // The key first: the gateway reads both files when the certificate changes.
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    roots
}

async fn stack() -> (TestStack, TempDir, RootCertStore) {
    let folder = tempfile::tempdir().unwrap();
    vestibule::assemble::install_cryptography();
    let roots = certificate(folder.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    let tls = format!("[server.tls]\ncert = \"{cert}\"\nkey = \"{key}\"");
    let stack = Setup::new().known_as("https://localhost").with(&tls).start().await;
    (stack, folder, roots)
}

#[tokio::test]
async fn both_versions_are_spoken_and_the_cookies_are_secure() {
    let (stack, _folder, roots) = stack().await;
    for (protocol, version) in [(Protocol::Http1, Version::HTTP_11), (Protocol::Http2, Version::HTTP_2)] {
        let browser = stack.browser().over(protocol).trusting(roots.clone());
        let answer = browser.login_as("mina").await;
        assert_eq!(answer.version, version);
        for name in ["sb_at", "sb_rt", "sb_did"] {
            assert!(answer.set_cookie(name).unwrap().contains("; Secure"), "{answer}");
        }
        browser.fetch("/api/me").await.is(200).says("valid");
    }
    assert_eq!(stack.backend.recorded_at("/api/me")[0].header("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn plain_http_on_a_tls_port_gets_no_answer() {
    let (stack, _folder, _roots) = stack().await;
    let answer = Raw::exchange(stack.gateway.address(), "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    assert_eq!(stack.backend.counters().requests.len(), 0);
}

#[tokio::test]
async fn a_renewed_certificate_is_picked_up() {
    let (stack, folder, old) = stack().await;
    stack.browser().trusting(old).fetch("/public/ping").await.is(200);
    let renewed = certificate(folder.path());
    let browser = stack.browser().trusting(renewed);
    crate::harness::within_time_limit("the new certificate", async {
        while !browser.is_trusted().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    browser.fetch("/public/ping").await.is(200);
}
