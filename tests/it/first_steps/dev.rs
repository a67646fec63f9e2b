//! `vestibule dev`: one's own app behind the gateway, with people to log in as and a panel.

use std::{net::SocketAddr, path::Path, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    process::Command,
};
use vestibule::{
    clock::Clock,
    demo::{BackendOptions, ProviderOptions, TrustedProvider},
    secret::Random,
};

use super::{browser, first_line};
use crate::harness::{Answer, Backend, Browser, Process, Provider, Upstream, WebSocket, free_port, ok, secs};

/// `dev` in front of an app at that address.
async fn dev(app: &str, more: &[&str]) -> (Process, Browser) {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let dev = Process::start("", &[&["dev", "--upstream", app, "--listen", &listen], more].concat());
    let page = first_line(&dev, "Session panel").await;
    assert_eq!(page, format!("http://localhost:{port}/"));
    dev.until_said("listening").await;
    (dev, browser(&page, port))
}

async fn control(browser: &Browser, path: &str) -> Answer {
    browser.post(&format!("/auth/dev/control/{path}")).await
}

/// The kinds of events so far, oldest first.
async fn events(browser: &Browser) -> Vec<String> {
    let answer = browser.fetch("/auth/dev/control/events").await.is(200).json();
    let kind = |event: &Value| event["kind"].as_str().unwrap().to_owned();
    answer["events"].as_array().unwrap().iter().map(kind).collect()
}

#[tokio::test]
async fn the_app_sees_the_person_and_a_401_and_an_expired_token_that_nobody_notices() {
    let app = Upstream::saying("the app").await;
    let (mut dev, browser) = dev(&app.target(), &[]).await;
    assert_eq!(browser.navigate("/x").await.status.as_u16(), 302, "a stranger is sent to the login");
    browser.login_as("jun").await;
    assert_eq!(browser.navigate("/x?y=1").await.is(200).text(), "the app");
    let seen = app.last();
    assert_eq!(seen.line(), "GET /x?y=1 HTTP/1.1");
    assert_eq!((seen.header("x-user-id"), seen.header("x-user-role")), (Some("demo-jun"), Some("admin")));
    let first = seen.header("authorization").unwrap().to_owned();

    control(&browser, "unauthorized?count=1").await.is(200);
    browser.fetch("/x").await.is(200).says("refreshed");
    let second = app.last().header("authorization").unwrap().to_owned();
    assert_ne!(first, second, "the request came again with a new token");
    let seen = events(&browser).await;
    assert!(seen.ends_with(&["unauthorized".to_owned(), "refresh".to_owned(), "replay".to_owned()]), "{seen:?}");

    // The panel: the next token lives a second.
    control(&browser, "token-life?seconds=1").await.is(200);
    browser.post("/auth/refresh").await.is(200);
    let short = browser.cookie("sb_at");
    while browser.fetch("/x").await.is(200).auth_status() != Some("refreshed") {
        tokio::task::yield_now().await;
    }
    assert_ne!(browser.cookie("sb_at"), short);

    control(&browser, "refuse-refresh").await.is(200);
    browser.post("/auth/refresh").await.is(401).says("invalid");
    assert!(!browser.is_logged_in());
    dev.signal("TERM");
    assert_eq!(dev.ended().await.code(), Some(0));
}

#[tokio::test]
async fn the_panel_is_below_the_base_path_and_its_buttons_are_for_itself_alone() {
    let app = Upstream::saying("the app").await;
    let (dev, browser) = dev(&app.target(), &["--access", "optional"]).await;
    assert!(dev.output().contains("/auth/dev\n"), "{}", dev.output());
    let panel = browser.navigate("/auth/dev").await.is(200).text();
    assert!(panel.contains("/auth/dev/panel.js") && !panel.contains("{{"), "{panel}");
    for file in ["panel.js", "demo.css", "icon.svg"] {
        browser.fetch(&format!("/auth/dev/{file}")).await.is(200);
    }
    browser.foreign_form("/auth/dev/control/refuse-refresh", "https://evil.example").await.is(403);
    browser.fetch("/auth/nothing").await.is(404);
    assert!(app.heard().is_empty(), "no request about the panel reaches the app");
    assert_eq!(browser.navigate("/dev").await.is(200).text(), "the app", "with --access optional");
    assert_eq!(app.last().header("x-user-id"), None);

    // A code by SMS arrives on the panel.
    browser.post("/auth/sms/send").json(&serde_json::json!({ "phone": "010-1234-5678" })).await.is(200);
    let outbox = browser.fetch("/auth/dev/control/events").await.json();
    let message = outbox["events"].as_array().unwrap().iter().find(|event| event["kind"] == "message").unwrap();
    assert_eq!(message["message"]["channel"], "sms");
}

#[tokio::test]
async fn an_app_that_is_not_up_yet_gets_a_page_that_waits() {
    let port = free_port();
    let (_dev, browser) = dev(&format!("http://localhost:{port}"), &["--access", "optional"]).await;
    let waiting = browser.navigate("/").await.is(503);
    assert_eq!(waiting.header("retry-after"), Some("1"));
    let text = waiting.text();
    assert!(text.contains("http-equiv=\"refresh\"") && text.contains(&format!("localhost:{port}")), "{text}");
    assert!(text.contains("href=\"/auth/dev\""), "{text}");
    browser.fetch("/api").await.is(502);

    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await.unwrap();
            stream.write_all(ok("up").as_bytes()).await.unwrap();
        }
    });
    assert_eq!(browser.navigate("/").await.is(200).text(), "up");
}

#[tokio::test]
async fn a_websocket_of_the_apps_dev_server_passes() {
    vestibule::assemble::install_cryptography();
    let (clock, random) = (Clock::system(), Random::system());
    let provider = Provider::start(ProviderOptions::new(clock.clone(), random.clone())).await.unwrap();
    let trusted = TrustedProvider { issuer: provider.issuer(), audience: "nobody".to_owned() };
    let app = Backend::start(BackendOptions::new(clock, random, trusted)).await.unwrap();
    let (_dev, browser) = dev(app.origin(), &[]).await;
    browser.login_as("mina").await;
    let mut socket = WebSocket::open(&browser, "/public/ws").await.unwrap();
    assert_eq!(socket.echo("hot reload").await, "hot reload");
}

#[tokio::test]
async fn a_developer_uses_the_panel_in_a_browser() {
    let app = free_port();
    let (dev, browser) = dev(&format!("http://127.0.0.1:{app}"), &[]).await;
    let visit = Command::new("node")
        .arg("dev.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
        .env("PAGE", browser.home().as_str())
        .env("APP_PORT", app.to_string())
        .env("SCREENSHOTS", Path::new(env!("CARGO_TARGET_TMPDIR")).join("dev"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let visit = tokio::time::timeout(secs(240), visit).await.expect("the visit ends").unwrap();
    let (said, complaints) = (String::from_utf8_lossy(&visit.stdout), String::from_utf8_lossy(&visit.stderr));
    assert!(visit.status.success(), "{said}{complaints}\n{}", dev.output());
}
