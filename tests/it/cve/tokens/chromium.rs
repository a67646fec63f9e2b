//! The cookies in a real Chromium after a logout.

use std::{fs, path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Setup, TestStack, secs};

async fn visit(stack: &TestStack) -> Value {
    stack.provider.set_auto_login(Some("mina"));
    let visit = Command::new("node")
        .arg("logout.mjs")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e"))
        .env("HOME_URL", stack.gateway.public_url().as_str())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let visit = tokio::time::timeout(secs(120), visit).await.expect("the visit ends").unwrap();
    assert!(visit.status.success(), "{}", String::from_utf8_lossy(&visit.stderr));
    serde_json::from_slice(&visit.stdout).unwrap()
}

fn is_left_without_a_session(seen: &Value, prefix: &str) {
    let names = |list: &[&str]| json!(list.iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>());
    assert_eq!(seen["loggedIn"], names(&["sb_at", "sb_did", "sb_rt"]), "{seen}");
    assert_eq!(seen["inFlight"].as_array().unwrap().len(), 4, "a login attempt: {seen}");
    assert_eq!((&seen["me"], &seen["logout"], &seen["stranger"]), (&json!(200), &json!(200), &json!(401)), "{seen}");
    // The device's label stays; it is not used as a proof.
    assert_eq!(seen["afterwards"], names(&["sb_did"]), "{seen}");
}

/// Also pull requests 39879 and 44104 of Envoy: what deletes a cookie must repeat what set it.
#[tokio::test]
async fn cve_2025_55162_after_a_logout_chromium_has_no_cookie_of_the_session() {
    let plain = TestStack::start().await;
    is_left_without_a_session(&visit(&plain).await, "");

    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    let toml = format!("session.host_prefix = true\n[server.tls]\ncert = \"{cert}\"\nkey = \"{key}\"");
    let secure = Setup::new().known_as("https://localhost").with(&toml).start().await;
    is_left_without_a_session(&visit(&secure).await, "__Host-");
}
