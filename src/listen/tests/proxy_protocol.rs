//! The PROXY protocol, as the handler sees its addresses.

use super::*;

#[tokio::test]
async fn the_proxy_protocol_is_read_from_trusted_proxies_only() {
    let trusting = |net: &str| {
        let trusted_proxies = vec![net.parse().unwrap()];
        start(Settings { proxy_protocol: true, trusted_proxies, ..settings() }, Limits::default())
    };
    let gateway = trusting("127.0.0.0/8");
    let v1 = |line: &str| format!("PROXY {line}\r\n{LAST_GET}");
    let seen = gateway.raw(v1("TCP4 192.0.2.7 192.0.2.1 4711 443")).await;
    assert!(seen.contains("[HTTP/1.1 192.0.2.7 "), "{seen}");
    let seen = gateway.raw(v1("TCP6 2001:db8::7 2001:db8::1 4711 443")).await;
    assert!(seen.contains("[HTTP/1.1 2001:db8::7 "), "{seen}");
    assert!(gateway.raw(v1("UNKNOWN")).await.contains("[HTTP/1.1 127.0.0.1 "));
    assert!(gateway.raw(v2(1, &[192, 0, 2, 9])).await.contains("[HTTP/1.1 192.0.2.9 "));
    assert!(gateway.raw(v2(0, &[192, 0, 2, 9])).await.contains("[HTTP/1.1 127.0.0.1 "), "LOCAL");
    let mut mapped = [0; 16];
    mapped[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 9]);
    assert!(gateway.raw(v2(1, &mapped)).await.contains("[HTTP/1.1 192.0.2.9 "), "mapped");

    for none in [LAST_GET.to_owned(), v1("TCP4 nonsense"), v1(&"x".repeat(200))] {
        let mut stream = gateway.connect().await;
        stream.write_all(none.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // The connection is dropped with its bytes unread, so it may end with a reset.
        let _ = timeout(TEST_TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the connection ends");
        assert!(answer.is_empty());
    }

    let gateway = trusting("192.0.2.0/24");
    assert!(gateway.raw(v1("TCP4 192.0.2.7 192.0.2.1 4711 443")).await.starts_with("HTTP/1.1 400 "));
    assert!(gateway.raw(v2(1, &[192, 0, 2, 9])).await.starts_with("HTTP/1.1 400 "));
    assert!(gateway.raw(LAST_GET).await.contains("[HTTP/1.1 127.0.0.1 "));
}

/// A version 2 header with `source` and a TLV after it, and a request.
fn v2(command: u8, source: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    let family = if source.len() == 4 { 0x11 } else { 0x21 };
    let length = u8::try_from(source.len() * 2 + 4 + 4).unwrap();
    header.extend([0x20 | command, family, 0, length]);
    header.extend(source);
    header.extend(source);
    header.extend([0x12, 0x67, 0x01, 0xbb, 4, 0, 1, 42]);
    [&header, LAST_GET.as_bytes()].concat()
}

#[tokio::test]
async fn a_missing_proxy_header_ends_the_connection_at_its_deadline() {
    let settings =
        Settings { proxy_protocol: true, trusted_proxies: vec!["127.0.0.1/32".parse().unwrap()], ..settings() };
    let gateway = start(settings, Limits { proxy_header: SHORT, ..Limits::default() });
    assert_eq!(gateway.raw("PROXY TCP4 192.0").await, "");
}
