//! `vestibule init`: each of the four cases is written, passes the check, runs, and its app sees the person.

use std::{fs, path::Path};

use serde_json::json;
use tempfile::TempDir;
use vestibule::{
    clock::Clock,
    demo::{
        BackendOptions, TrustedProvider,
        backend::{EMAIL, PASSWORD},
    },
    secret::Random,
};

use super::{browser, log_in_by_mail, provider};
use crate::harness::{Backend, Process, Upstream, free_port};

/// A folder with what `init` has written, with these options.
async fn written(case: &str, options: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    let (code, said) = vestibule(&[&["init", "--case", case, "--dir", dir], options].concat()).await;
    assert_eq!(code, 0, "{said}");
    let (code, said) = vestibule(&["check", "--deny-warnings", "--config", &file(folder.path())]).await;
    assert_eq!(code, 0, "{said}");
    folder
}

async fn vestibule(arguments: &[&str]) -> (i32, String) {
    let mut process = Process::start("", arguments);
    let code = process.ended().await.code().unwrap();
    (code, process.output())
}

fn file(folder: &Path) -> String {
    folder.join("gateway.toml").to_str().unwrap().to_owned()
}

/// Runs what was written, at that port of loopback.
async fn run(folder: &TempDir, port: u16) -> Process {
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["run", "--config", &file(folder.path())];
    let process = Process::start_with("", &arguments, &[("VESTIBULE_SERVER__LISTEN", &listen)]);
    process.until_said("listening").await;
    process
}

#[tokio::test]
async fn an_app_without_logins_sees_who_logged_in_at_the_provider() {
    let (provider, app, port) = (provider("localhost").await, Upstream::saying("hello").await, free_port());
    let public_url = format!("http://localhost:{port}");
    let (issuer, target) = (provider.issuer(), app.target());
    let options = ["--public-url", &public_url, "--upstream", &target, "--issuer", &issuer, "--client-id", "vestibule"];
    let folder = written("app", &options).await;
    fs::write(folder.path().join("client-secret"), provider.client_secret().expose()).unwrap();
    let _gateway = run(&folder, port).await;

    let browser = browser(&public_url, port);
    assert_eq!(browser.navigate("/").await.status.as_u16(), 302, "a stranger is sent to the login");
    browser.login_with("id", "/", "jun").await;
    assert_eq!(browser.navigate("/").await.is(200).text(), "hello");
    let seen = app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("x-user-email")), (Some("demo-jun"), Some("jun@example.test")));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn behind_a_proxy_the_app_sees_who_logged_in_at_the_provider() {
    let (provider, app, port) = (provider("app.example.test").await, Upstream::saying("hello").await, free_port());
    let (issuer, target) = (provider.issuer(), app.target());
    let public_url = "https://app.example.test";
    let options = ["--public-url", public_url, "--upstream", &target, "--issuer", &issuer, "--client-id", "vestibule"];
    let folder = written("proxy", &options).await;
    fs::write(folder.path().join("client-secret"), provider.client_secret().expose()).unwrap();
    let _gateway = run(&folder, port).await;

    let browser = browser(public_url, port);
    browser.login_with("id", "/", "jun").await;
    browser.navigate("/").header("x-forwarded-for", "203.0.113.7").await.is(200);
    let seen = app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("x-real-ip")), (Some("demo-jun"), Some("203.0.113.7")));
}

#[tokio::test]
async fn an_api_with_its_own_tokens_gets_them_as_bearer() {
    let provider = provider("localhost").await;
    let trusted = TrustedProvider { issuer: provider.issuer(), audience: "nobody".to_owned() };
    let api = Backend::start(BackendOptions::new(Clock::system(), Random::system(), trusted)).await.unwrap();
    let port = free_port();
    let public_url = format!("http://localhost:{port}");
    let folder = written("api", &["--public-url", &public_url, "--upstream", api.origin()]).await;
    let _gateway = run(&folder, port).await;

    let browser = browser(&public_url, port);
    browser.fetch("/api/me").await.is(401);
    browser.post("/auth/login").json(&json!({ "email": EMAIL, "password": PASSWORD })).await.is(200);
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["email"], EMAIL);
    browser.post("/auth/refresh").await.is(200);
    assert_eq!(api.refresh_calls(), 1, "the refresh call is the API's own");
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["gen"], 2);
    browser.post("/auth/logout").await.is(200);
    browser.fetch("/api/me").await.is(401);
}

#[tokio::test]
async fn without_any_provider_a_code_by_mail_logs_in() {
    let (app, port) = (Upstream::saying("hello").await, free_port());
    let public_url = format!("http://localhost:{port}");
    let folder = written("none", &["--public-url", &public_url, "--upstream", &app.target()]).await;
    let _gateway = run(&folder, port).await;

    let browser = browser(&public_url, port);
    log_in_by_mail(&browser, &folder.path().join("outbox.jsonl"), "mina@example.test").await;
    browser.navigate("/").await.is(200);
    let seen = app.last();
    assert_eq!(seen.header("x-user-email"), Some("mina@example.test"));
    assert!(seen.header("authorization").is_some_and(|token| token.starts_with("Bearer ey")));
}

#[tokio::test]
async fn nothing_is_overwritten_and_a_folder_that_cannot_be_written_is_said() {
    let folder = written("api", &[]).await;
    let before = fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let dir = folder.path().to_str().unwrap();
    let (code, said) = vestibule(&["init", "--case", "app", "--dir", dir]).await;
    assert!(code == 1 && said.contains("exists, nothing was written") && said.contains("--output"), "{said}");
    assert_eq!(fs::read_to_string(folder.path().join("gateway.toml")).unwrap(), before);
    let (code, said) = vestibule(&["init", "--case", "app", "--dir", dir, "--output", "other.toml"]).await;
    assert!(code == 0 && folder.path().join("other.toml").exists(), "{said}");
    // Root may write everywhere but here.
    let (code, said) = vestibule(&["init", "--case", "app", "--dir", "/proc/self"]).await;
    assert!(code == 1 && said.contains("cannot be written") && said.contains("--dir"), "{said}");
    let (code, said) = vestibule(&["init", "--dir", dir, "--output", "third.toml"]).await;
    assert!(code == 1 && said.contains("--case app"), "without a terminal nothing is asked: {said}");
}
