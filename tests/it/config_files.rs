//! The configuration file: its errors, the commands that read it, and changes while the gateway runs.

use std::fs;

use crate::harness::{Process, TestStack, free_port};

async fn said(toml: &str, arguments: &[&str]) -> (i32, String) {
    let mut process = Process::start(toml, arguments);
    let code = process.ended().await.code().unwrap();
    (code, process.output())
}

#[tokio::test]
async fn all_mistakes_are_reported_at_once_with_line_and_column() {
    let stack = TestStack::start().await;
    let file = stack
        .file(free_port(), "")
        .replace("public_url", "publik_url")
        .replace("upstream = \"backend\"", "upstream = \"bakend\"");
    for command in ["check", "run"] {
        let (code, output) = said(&file, &[command]).await;
        assert_eq!(code, 1, "{output}");
        assert!(output.contains("did you mean `public_url`?"), "{output}");
        assert!(output.contains("bakend") && output.matches("gateway.toml:").count() >= 2, "{output}");
    }
}

#[tokio::test]
async fn a_missing_file_is_reported_in_one_sentence() {
    let (code, output) = said("", &["run", "--config", "nowhere.toml"]).await;
    assert_eq!(code, 1);
    assert!(output.contains("nowhere.toml") && output.lines().count() < 10, "{output}");
}

#[tokio::test]
async fn a_valid_file_passes_check_and_explain_describes_a_request() {
    let stack = TestStack::start().await;
    let file = stack.file(free_port(), "");
    let (code, output) = said(&file, &["check"]).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = said(&file, &["explain", "GET", "/api/users/me"]).await;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("/api/{*rest}") && output.contains("backend"), "{output}");
}

#[tokio::test]
async fn development_is_a_note_of_check_and_of_run_but_no_warning() {
    let port = free_port();
    let file = format!(
        "[server]\nlisten = \"0.0.0.0:{port}\"\npublic_url = \"http://localhost:{port}\"\ndevelopment = true\n\
         [authority]\nkind = \"provider\"\n[providers.google]\nclient_id = \"x\"\n\
         [upstreams.app]\ntargets = [\"http://127.0.0.1:1\"]\nbearer = \"none\"\n\
         [[routes]]\npath = \"/{{*rest}}\"\nupstream = \"app\"\n"
    );
    let (code, output) = said(&file, &["check", "--deny-warnings"]).await;
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("note: `development`: cookies go over http"), "{output}");
    let mut gateway = Process::run(&file).await;
    assert!(gateway.output().contains("note: `development`"), "{}", gateway.output());
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn check_with_probe_contacts_what_the_file_names() {
    let stack = TestStack::start().await;
    let file = stack.file(free_port(), "");
    let (code, output) = said(&file, &["check", "--probe"]).await;
    assert_eq!(code, 0, "{output}");
    for found in ["probe store memory: ok\n", ": ok (discovery, ", "probe upstream backend http://127.0.0.1:"] {
        assert!(output.contains(found), "{output}");
    }
    let dead = format!("http://127.0.0.1:{}", free_port());
    let file = stack.file(free_port(), &format!("[upstreams.gone]\ntargets = [\"{dead}\"]\n"));
    let (code, output) = said(&file, &["check"]).await;
    assert_eq!(code, 0, "{output}");
    let (code, output) = said(&file, &["check", "--probe"]).await;
    assert_eq!(code, 1, "{output}");
    assert!(output.contains(&format!("probe upstream gone {dead}: connection refused\n")), "{output}");
}

#[tokio::test]
async fn a_changed_file_is_picked_up_and_sessions_stay() {
    let stack = TestStack::start().await;
    let (port, key) = (free_port(), "session.keys = [\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]\n");
    let process = Process::run(&stack.file(port, key)).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    browser.fetch("/api/me").await.is(200);
    let admins = format!(
        "{key}[[routes]]\npath = \"/api/{{*rest}}\"\nupstream = \"backend\"\naccess = {{ roles = [\"admin\"] }}"
    );
    fs::write(process.file(), stack.file(port, &admins)).unwrap();
    process.until_said("configuration reloaded").await;
    browser.fetch("/api/me").await.is(403).says("valid");
}

#[tokio::test]
async fn a_changed_file_with_a_mistake_changes_nothing_and_is_logged_with_line_and_column() {
    let stack = TestStack::start().await;
    let port = free_port();
    let process = Process::run(&stack.file(port, "")).await;
    let browser = stack.browser_at(port);
    browser.login_as("mina").await;
    fs::write(process.file(), stack.file(port, "").replace("access = \"user\"", "access = \"usr\"")).unwrap();
    process.signal("HUP");
    process.until_said("the running configuration stays").await;
    let output = process.output();
    let line = output.lines().find(|line| line.contains("the running configuration stays")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    let place = line.to_string();
    assert!(place.contains("\"line\":") && place.contains("\"column\":") && place.contains("gateway.toml"), "{place}");
    browser.fetch("/api/me").await.is(200).says("valid");
}

#[tokio::test]
async fn a_setting_can_come_from_the_environment() {
    let stack = TestStack::start().await;
    let environment = [("VESTIBULE_SERVER__PUBLIC_URL".to_owned(), "not a url".to_owned())].into();
    let text = stack.file(free_port(), "");
    let random = vestibule::secret::Random::system();
    let complaints = vestibule::config::parse(&text, "gateway.toml", std::path::Path::new(""), &environment, &random);
    assert!(complaints.unwrap_err().to_string().contains("VESTIBULE_SERVER__PUBLIC_URL"));
}
