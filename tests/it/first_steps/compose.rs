//! What `deploy/compose.yaml` runs, without containers: the gateway with its file, Redis, and the small app.

use std::{fs, process::Stdio};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use super::browser;
use crate::harness::{Process, StoreServer, free_port, within_time_limit};

#[tokio::test]
async fn the_composed_gateway_logs_the_made_up_person_in_and_refreshes() {
    let redis = StoreServer::redis().await;
    let store: toml::Table = redis.toml.parse().unwrap();
    let app = free_port();
    let mut node = Command::new("node")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/compose/app.mjs"))
        .env("PORT", app.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(node.stdout.take().unwrap()).lines();
    within_time_limit("the app", lines.next_line()).await.unwrap().unwrap();

    let file = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/compose/gateway.toml")).unwrap();
    let port = free_port();
    let public_url = format!("http://localhost:{port}");
    let environment = [
        ("VESTIBULE_SERVER__LISTEN", format!("0.0.0.0:{port}")),
        ("VESTIBULE_SERVER__PUBLIC_URL", public_url.clone()),
        ("VESTIBULE_UPSTREAMS__APP__TARGETS", format!("http://127.0.0.1:{app}")),
        ("VESTIBULE_STORE__URL", store["store"]["url"].as_str().unwrap().to_owned()),
    ];
    let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let gateway = Process::start_with(&file, &["run"], &environment);
    gateway.until_said("listening").await;

    let browser = browser(&public_url, port);
    assert_eq!(browser.navigate("/").await.status.as_u16(), 302);
    let login = |password: &str| json!({ "email": "mina@example.test", "password": password });
    browser.post("/auth/login").json(&login("wrong")).await.is(401);
    browser.post("/auth/login").json(&login("open sesame")).await.is(200);
    assert!(browser.navigate("/").await.is(200).text().contains("refreshed <b>0</b> times"));
    browser.post("/auth/refresh").await.is(200);
    assert!(browser.navigate("/").await.is(200).text().contains("refreshed <b>1</b> times"));
    browser.post("/tokens/refresh").json(&json!({})).await.is(404);
}
