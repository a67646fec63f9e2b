//! The files in README, one for each case: each passes the check without a warning, runs, and its app sees the person.

use std::fs;

use serde_json::json;
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

const APP: &str = "An app without logins";
const API: &str = "An API with its own tokens";
const PROXY: &str = "nginx, Traefik or Caddy in front";
const NONE: &str = "No provider at all";

/// The environment that README asks for.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("VESTIBULE_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
    ("GOOGLE_CLIENT_ID", "vestibule"),
    ("GOOGLE_CLIENT_SECRET", "a-secret-of-the-client"),
];

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// The file under that heading.
fn file(case: &str) -> String {
    let text = readme();
    let (_, section) = text.split_once(&format!("\n### {case}\n")).expect("README has the case");
    let (_, block) = section.split_once("```toml\n").expect("the case has a file");
    block.split_once("```").expect("the block has an end").0.to_owned()
}

/// Runs that file at that port of loopback, with these values in place of its own.
async fn run(file: &str, port: u16, values: &[(&str, &str)]) -> Process {
    let listen = format!("127.0.0.1:{port}");
    let environment = [&ENVIRONMENT[..], &[("VESTIBULE_SERVER__LISTEN", &listen)], values].concat();
    let process = Process::start_with(file, &["run"], &environment);
    process.until_said("listening").await;
    process
}

#[tokio::test]
async fn every_file_in_readme_passes_the_check_without_a_warning() {
    for case in [APP, API, PROXY, NONE] {
        let mut check = Process::start_with(&file(case), &["check", "--deny-warnings"], &ENVIRONMENT);
        let code = check.ended().await.code();
        assert_eq!(code, Some(0), "{case}: {}", check.output());
    }
    assert_eq!(readme().matches("```toml\n").count(), 4, "each block of README is one of the cases");
}

#[tokio::test]
async fn readme_puts_an_app_behind_a_provider_and_the_app_sees_the_person() {
    let (provider, app, port) = (provider("localhost").await, Upstream::saying("hello").await, free_port());
    let public_url = format!("http://localhost:{port}");
    let values = [
        ("VESTIBULE_SERVER__PUBLIC_URL", public_url.as_str()),
        ("VESTIBULE_PROVIDERS__GOOGLE__ISSUER", &provider.issuer()),
        ("VESTIBULE_UPSTREAMS__APP__TARGETS", &app.target()),
        ("GOOGLE_CLIENT_SECRET", provider.client_secret().expose()),
    ];
    let _gateway = run(&file(APP), port, &values).await;

    let browser = browser(&public_url, port);
    browser.login_with("google", "/", "jun").await;
    assert_eq!(browser.navigate("/").header("x-user-id", "mallory").await.is(200).text(), "hello");
    let seen = app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("x-user-email")), (Some("demo-jun"), Some("jun@example.test")));
}

#[tokio::test]
async fn readme_puts_a_proxy_in_front_and_the_app_sees_the_person_and_the_address() {
    let (provider, app, port) = (provider("app.example.com").await, Upstream::saying("hello").await, free_port());
    let values = [
        ("VESTIBULE_PROVIDERS__GOOGLE__ISSUER", provider.issuer()),
        ("VESTIBULE_UPSTREAMS__APP__TARGETS", app.target()),
        ("GOOGLE_CLIENT_SECRET", provider.client_secret().expose().to_owned()),
    ];
    let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
    let file = file(PROXY).replace("[\"example.com\"]", "[\"example.test\"]");
    let _gateway = run(&file, port, &values).await;

    let browser = browser("https://app.example.com", port);
    browser.login_with("google", "/", "jun").await;
    browser.navigate("/").header("x-forwarded-for", "203.0.113.7").await.is(200);
    let seen = app.last();
    assert_eq!((seen.header("x-user-id"), seen.header("x-real-ip")), (Some("demo-jun"), Some("203.0.113.7")));
}

#[tokio::test]
async fn readme_puts_an_api_behind_its_own_tokens() {
    let provider = provider("localhost").await;
    let trusted = TrustedProvider { issuer: provider.issuer(), audience: "nobody".to_owned() };
    let api = Backend::start(BackendOptions::new(Clock::system(), Random::system(), trusted)).await.unwrap();
    let port = free_port();
    let public_url = format!("http://localhost:{port}");
    let values =
        [("VESTIBULE_SERVER__PUBLIC_URL", public_url.as_str()), ("VESTIBULE_UPSTREAMS__API__TARGETS", api.origin())];
    let _gateway = run(&file(API), port, &values).await;

    let browser = browser(&public_url, port);
    browser.fetch("/api/me").await.is(401);
    browser.post("/auth/login").json(&json!({ "email": EMAIL, "password": PASSWORD })).await.is(200);
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["email"], EMAIL);
    browser.post("/auth/refresh").await.is(200);
    assert_eq!(browser.fetch("/api/me").await.is(200).json()["gen"], 2);
}

#[tokio::test]
async fn readme_logs_in_by_mail_where_there_is_no_provider() {
    let (app, port) = (Upstream::saying("hello").await, free_port());
    let public_url = format!("http://localhost:{port}");
    let target = app.target();
    let values =
        [("VESTIBULE_SERVER__PUBLIC_URL", public_url.as_str()), ("VESTIBULE_UPSTREAMS__APP__TARGETS", &target)];
    let gateway = run(&file(NONE), port, &values).await;

    let browser = browser(&public_url, port);
    log_in_by_mail(&browser, &gateway.file().with_file_name("outbox.jsonl"), "mina@example.test").await;
    browser.navigate("/").await.is(200);
    let seen = app.last();
    assert_eq!(seen.header("x-user-email"), Some("mina@example.test"));
    assert!(seen.header("authorization").is_some_and(|token| token.starts_with("Bearer ey")));
}
