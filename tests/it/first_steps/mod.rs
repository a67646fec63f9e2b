//! The first ten minutes: `init`, `dev` and `demo` as newcomers use them.

mod compose;
mod dev;
mod init;

use std::net::SocketAddr;

use url::Url;
use vestibule::clock::Clock;

use crate::harness::{Browser, Process, free_port};

/// A browser for a gateway that a process runs, at the address that people type.
fn browser(public_url: &str, port: u16) -> Browser {
    let home: Url = public_url.parse().unwrap();
    Browser::new(&home, SocketAddr::from(([127, 0, 0, 1], port)), Clock::system())
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
