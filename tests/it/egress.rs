//! The way out: the proxy and the certificates of the environment.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

/// A file with a provider on the Internet, one that is called directly, and a backend.
const FILE: &str = r#"
[server]
listen = "127.0.0.1:0"
public_url = "http://localhost:8080"

[providers.corp]
issuer = "https://id.proxied.test"
client_id = "an-id"
allow = "anyone"

[providers.near]
issuer = "https://id.direct.test"
client_id = "an-id"
allow = "anyone"

[upstreams.app]
targets = ["https://app.proxied.test"]
bearer = "none"

[[routes]]
path = "/{*rest}"
upstream = "app"
"#;

#[test]
fn calls_to_providers_go_through_the_proxy_of_the_environment_and_calls_to_backends_do_not() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gateway.toml"), FILE).unwrap();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in proxy.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            heard.lock().unwrap().push(String::from_utf8(head).unwrap());
            let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let mut check = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    check.args(["check", "--probe"]).current_dir(&folder).env_clear();
    check.env("HTTPS_PROXY", format!("http://me:secret@{address}")).env("NO_PROXY", "direct.test");
    let output = check.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("probe provider corp: discovery: the provider could not be reached: tunnel error"), "{text}");
    let asked = asked.lock().unwrap();
    assert!(!asked.is_empty(), "{text}");
    for head in asked.iter() {
        assert!(head.starts_with("CONNECT id.proxied.test:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("proxy-authorization: basic bwu6c2vjcmv0\r\n"), "{head}");
    }
}
