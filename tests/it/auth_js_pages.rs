//! Existing pages: the client libraries next-auth 4 and 5 in a real Next.js app (`examples/nextjs`), in a real
//! Chromium.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use vestibule::demo::backend::{EMAIL, PASSWORD};

use crate::harness::{NextApp, NextMode, OpenIdProvider, Setup, free_port, report, secs};

/// Visits the app through a gateway for that version of the client.
async fn visit(app: &NextApp, mode: NextMode, version: &str, compat: &str) -> Value {
    let port = free_port();
    let home = format!("http://127.0.0.1:{port}").parse().unwrap();
    let provider = OpenIdProvider::start_as("google", "/api/auth", &home, secs(600)).await;
    let stack = Setup::new()
        .without("providers.demo")
        .with(&provider.toml())
        .with(&format!(
            r#"
            [session]
            base_path = "/api/auth"
            compat = ["{compat}"]
            [upstreams.web]
            targets = ["{}"]
            bearer = "none"
            [[routes]]
            path = "/account/{{*rest}}"
            upstream = "web"
            access = "user"
            headers = {{ set = {{ x-user-id = "{{claims.sub}}", x-user-email = "{{claims.email}}", x-user-name = "{{claims.name}}" }} }}
            [[routes]]
            path = "/{{*rest}}"
            upstream = "web"
            access = "optional"
            "#,
            app.target()
        ))
        .backend_trusts_anyone()
        .port(port)
        .start()
        .await;
    let visit = Command::new("node")
        .arg("auth_js.mjs")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
        .env("HOME_URL", stack.gateway.public_url().as_str())
        .env("VERSION", version)
        .env("CASES", if mode == NextMode::Production { "all" } else { "basic" })
        .env("ISSUER", provider.issuer())
        .env("EMAIL", EMAIL)
        .env("PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let visit = tokio::time::timeout(secs(480), visit).await.expect("the visit ends").unwrap();
    assert!(visit.status.success(), "{}", String::from_utf8_lossy(&visit.stderr));
    serde_json::from_slice(&visit.stdout).unwrap()
}

// One test: both modes use the app's folder.
#[tokio::test]
async fn pages_of_next_auth_4_and_5_work_unchanged_in_production_and_in_development() {
    for mode in [NextMode::Production, NextMode::Development] {
        let app = NextApp::start(mode).await;
        let (with_4, with_5) = tokio::join!(visit(&app, mode, "4", "next-auth-4"), visit(&app, mode, "5", "authjs-5"));
        for (version, seen) in [("4", with_4), ("5", with_5)] {
            let count = |list: &str| seen[list].as_array().unwrap().len();
            let (passed, failed) = (count("passed"), count("failed"));
            let all = passed + failed;
            report(&format!("next-auth {version}, {mode:?}: {passed} of {all} cases in {} s", seen["seconds"]));
            assert_eq!(failed, 0, "next-auth {version}, {mode:?}: {:#}", seen["failed"]);
        }
    }
}
