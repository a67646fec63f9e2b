//! Logins, tokens and sessions: forged, mixed up, replayed.

mod chromium;
mod claims;
mod cookies;
mod flow;
mod forged;
mod missing;
mod sizes;

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Issuer, Raw, Setup, TestStack, Upstream, raw};

/// A high limit, so that a test does not reach it.
const MANY_GUESSES: &str = "limits.failures_per_client = \"1000000/h\"\n";

/// A gateway that accepts raw access tokens of that issuer, with `/page` for those who have one.
async fn takes_access_tokens(issuer: &Issuer, page: &Upstream) -> TestStack {
    takes_access_tokens_as(&issuer.verify_toml(), page).await
}

async fn takes_access_tokens_as(verify_toml: &str, page: &Upstream) -> TestStack {
    let page = page.target();
    let toml = format!(
        "{MANY_GUESSES}session.seal = false\n{verify_toml}\n[upstreams.page]\ntargets = [\"{page}\"]\n[[routes]]\npath = \"/page\"\nupstream = \"page\"\naccess = \"user\""
    );
    TestStack::with(&toml).await
}

/// A gateway that is the authority, with that issuer as the provider `kit`, whose ID tokens log in.
fn takes_id_tokens(issuer: &Issuer) -> Setup {
    let toml = format!("{MANY_GUESSES}{}", issuer.provider_toml());
    let gateway = "[authority]\nkind = \"gateway\"\n[authority.gateway]\naudience = \"app\"\n";
    Setup::new().without("authority").with(gateway).with(&toml)
}

/// Shows an access token.
async fn show(stack: &TestStack, token: &str) -> Answer {
    stack.browser().plain(Method::GET, "/page").header("cookie", &format!("sb_at={token}")).await
}

/// Logs in with an ID token, as an app does.
async fn log_in(stack: &TestStack, token: &str) -> Answer {
    stack.browser().plain(Method::POST, "/auth/kit").json(&json!({ "id_token": token, "deviceName": "test" })).await
}

/// The heads of the answers to requests that are sent one after the other on one connection.
async fn heads(stack: &TestStack, requests: impl Iterator<Item = String>) -> Vec<String> {
    let mut connection = Raw::connect(stack.gateway.address()).await;
    let mut heads = Vec::new();
    for request in requests {
        connection.send(request).await;
        heads.push(connection.answer().await.0);
    }
    heads
}

/// A request for a page with that cookie.
fn asks(stack: &TestStack, path: &str, cookie: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", stack.gateway.host())
}

fn all_are(heads: &[String], status: u16) {
    let other = heads.iter().find(|head| raw::status(head) != status);
    assert!(other.is_none(), "{}", other.unwrap());
}

/// Checks that the gateway serves requests.
async fn is_alive(stack: &TestStack) {
    stack.browser().fetch("/public/ping").await.is(200);
}

/// Changed claims of a token.
type Changes = (&'static str, Value);
