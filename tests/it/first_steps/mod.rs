//! The first ten minutes: `init`, `dev` and `demo` as newcomers use them.

mod compose;
mod dev;
mod init;
mod readme;

use std::{fs, net::SocketAddr, path::Path};

use serde_json::json;
use url::Url;
use vestibule::{clock::Clock, demo::ProviderOptions, secret::Random};

use crate::harness::{Browser, Process, Provider, free_port};

/// A browser for a gateway that a process runs, at the address that people type.
fn browser(public_url: &str, port: u16) -> Browser {
    let home: Url = public_url.parse().unwrap();
    Browser::new(&home, SocketAddr::from(([127, 0, 0, 1], port)), Clock::system())
}

/// A provider that sends people back to that host, at any port.
async fn provider(redirect_host: &str) -> Provider {
    vestibule::assemble::install_cryptography();
    let mut options = ProviderOptions::new(Clock::system(), Random::system());
    options.redirect_hosts.push(redirect_host.to_owned());
    Provider::start(options).await.unwrap()
}

/// Logs in with the code that the gateway has written to `outbox`.
async fn log_in_by_mail(browser: &Browser, outbox: &Path, email: &str) {
    browser.post("/auth/email/send").json(&json!({ "email": email })).await.is(200);
    let outbox = fs::read_to_string(outbox).unwrap();
    let message: serde_json::Value = serde_json::from_str(outbox.lines().next().unwrap()).unwrap();
    let text = message["text"].as_str().unwrap();
    let code = text.split(|c: char| !c.is_ascii_digit()).find(|run| run.len() == 6).unwrap();
    browser.post("/auth/email/verify").json(&json!({ "email": email, "code": code })).await.is(200);
}

/// The first line of what the process has said, once it has said `text`.
async fn first_line(process: &Process, text: &str) -> String {
    process.until_said(text).await;
    process.output().lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_demo_says_its_address_first_and_that_it_is_open_to_the_network() {
    let port = free_port();
    let mut demo = Process::start("", &["demo", "--listen", &format!("0.0.0.0:{port}")]);
    let page = format!("http://localhost:{port}/");
    assert_eq!(first_line(&demo, "It is open to the network").await, page);
    demo.until_said("listening").await;

    // The provider is behind the gateway, so one port is enough for a container. Jun is an admin, Mina is not.
    for (person, status) in [("jun", 200), ("mina", 403)] {
        let browser = browser(&page, port);
        browser.login_as(person).await;
        assert_eq!(browser.navigate("/admin").await.status.as_u16(), status, "{person}");
        assert_eq!(browser.navigate("/").await.status.as_u16(), 200);
    }
    demo.signal("TERM");
    assert_eq!(demo.ended().await.code(), Some(0));

    let on_loopback = Process::start("", &["demo", "--listen", "127.0.0.1:0"]);
    assert!(first_line(&on_loopback, "Open this page").await.starts_with("http://127.0.0.1:"));
    on_loopback.until_said("listening").await;
    assert!(!on_loopback.output().contains("open to the network"), "{}", on_loopback.output());
}
