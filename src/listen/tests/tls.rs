//! TLS: renewed certificates, early data, handshakes that are never completed.

use rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::*;

/// A certificate for `a.example`, and its files in `folder`.
pub(super) fn certificate_in(folder: &std::path::Path) -> (TlsFiles, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    let pair = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    std::fs::write(&files.cert, pair.cert.pem()).unwrap();
    std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    (files, pair)
}

#[test]
fn early_data_is_refused() {
    // RFC 8446 section 8: an attacker who records early data can replay it.
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate_in(folder.path());
    let acceptor = crate::listen::tls::Certificate::load(files).unwrap().acceptor().unwrap();
    assert_eq!(acceptor.config().max_early_data_size, 0);
    assert!(!acceptor.config().send_half_rtt_data);
}

#[tokio::test]
async fn tls_serves_both_http_versions_and_uses_a_renewed_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let write = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| {
        std::fs::write(&files.cert, pair.cert.pem()).unwrap();
        std::fs::write(&files.key, pair.signing_key.serialize_pem()).unwrap();
    };
    let [first, second] = [(); 2].map(|()| rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap());
    write(&first);
    let gateway =
        start(Settings { tls: Some(files.clone()), ..settings() }, Limits { handshake: NEVER, ..Limits::default() });

    let mut stream = handshake(gateway.address, &first, b"http/1.1").await.unwrap();
    stream.write_all(LAST_GET.as_bytes()).await.unwrap();
    assert!(rest(&mut stream).await.contains("[HTTP/1.1 127.0.0.1 tls=true"));

    let stream = handshake(gateway.address, &first, b"h2").await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://a.example/").body(Empty::new()).unwrap();
    assert_eq!(client.send_request(request).await.unwrap().version(), http::Version::HTTP_2);

    // Half a renewal: the old pair stays in use.
    std::fs::write(&files.cert, second.cert.pem()).unwrap();
    assert!(handshake(gateway.address, &first, b"http/1.1").await.is_ok());
    write(&second);
    let renewed = async { while handshake(gateway.address, &second, b"http/1.1").await.is_err() {} };
    timeout(TEST_TIMEOUT, renewed).await.expect("the new certificate is in use");
}

/// A handshake that accepts nothing but `pair`'s certificate.
async fn handshake(
    address: SocketAddr,
    pair: &rcgen::CertifiedKey<rcgen::KeyPair>,
    alpn: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("a.example").unwrap();
    TlsConnector::from(Arc::new(trusting(pair, alpn))).connect(name, stream).await
}

fn trusting(pair: &rcgen::CertifiedKey<rcgen::KeyPair>, alpn: &[u8]) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(pair.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

#[tokio::test]
async fn a_missing_tls_handshake_ends_the_connection_at_its_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate_in(folder.path());
    let gateway = start(Settings { tls: Some(files), ..settings() }, Limits { handshake: SHORT, ..Limits::default() });
    assert_eq!(gateway.raw("").await, "");
}

/// Also RUSTSEC-2024-0399; Traefik CVE-2026-22045, CVE-2026-26999, CVE-2026-32305.
#[tokio::test]
async fn rustls_rustsec_2024_0336_handshakes_that_stop_half_way_or_come_byte_by_byte_end() {
    let folder = tempfile::tempdir().unwrap();
    let (files, pair) = certificate_in(folder.path());
    let limits = Limits { handshake: Duration::from_millis(500), ..Limits::default() };
    let gateway = start(Settings { tls: Some(files), ..settings() }, limits);

    let name = ServerName::try_from("a.example").unwrap();
    let mut hello = Vec::new();
    let client = rustls::ClientConnection::new(Arc::new(trusting(&pair, b"http/1.1")), name);
    client.unwrap().write_tls(&mut hello).unwrap();
    let mut halves = Vec::new();
    for share in 1..=200 {
        let mut stream = gateway.connect().await;
        stream.write_all(&hello[..hello.len() * share / 201]).await.unwrap();
        halves.push(stream);
    }
    let mut bytewise = gateway.connect().await;
    bytewise.set_nodelay(true).unwrap();
    let ended = async {
        // A record of 16 KiB, with the first part of a ClientHello of 64 KiB.
        for byte in [0x16, 3, 1, 0x40, 0].into_iter().chain(std::iter::repeat(1)) {
            if bytewise.write_all(&[byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        for stream in &mut halves {
            let _end_or_reset = stream.read_to_end(&mut Vec::new()).await;
        }
    };
    timeout(TEST_TIMEOUT, ended).await.expect("the connections end");
    // Retried: on a slow machine a whole handshake may take longer than its deadline.
    let alive = async { while handshake(gateway.address, &pair, b"http/1.1").await.is_err() {} };
    timeout(TEST_TIMEOUT, alive).await.expect("others are served");
}
