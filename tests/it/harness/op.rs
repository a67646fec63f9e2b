//! A certified OpenID provider (npm oidc-provider) as a process: `tests/e2e/op.mjs`.

use std::{process::Stdio, time::Duration};

use http::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};
use url::Url;

use super::{Answer, Browser, within_time_limit};

/// The running provider; dropping it ends its process.
pub(crate) struct OpenIdProvider {
    issuer: String,
    name: &'static str,
    events: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl OpenIdProvider {
    /// Starts the provider for the client `vestibule` at that gateway, under the provider name `corp`.
    pub(crate) async fn start(gateway: &Url, access_token_life: Duration) -> Self {
        Self::start_as("corp", "/auth", gateway, access_token_life).await
    }

    /// The same under that provider name, for a gateway with that `session.base_path`.
    pub(crate) async fn start_as(
        name: &'static str,
        base_path: &str,
        gateway: &Url,
        access_token_life: Duration,
    ) -> Self {
        let mut process = Command::new("node")
            .arg("op.mjs")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
            .env("GATEWAY", gateway.as_str().trim_end_matches('/'))
            .env("CALLBACK", format!("{base_path}/callback/{name}"))
            .env("AT_LIFE", access_token_life.as_secs().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // It warns about some versions of Node.js.
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js runs: scripts/test installs what is missing");
        let mut events = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = within_time_limit("the OpenID provider", events.next_line()).await.unwrap();
        let first: Value =
            serde_json::from_str(&first.expect("npm ci was run in tests/e2e: scripts/test does that")).unwrap();
        Self { issuer: first["issuer"].as_str().unwrap().to_owned(), name, events, _process: process }
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The gateway's configuration for this provider.
    pub(crate) fn toml(&self) -> String {
        format!(
            r#"
            [providers.{}]
            issuer = "{}"
            client_id = "vestibule"
            client_secret = "a-secret-for-tests"
            scopes = ["openid", "email", "profile", "offline_access"]
            "#,
            self.name, self.issuer
        )
    }

    /// The next event.
    pub(crate) async fn next_event(&mut self) -> Value {
        loop {
            let line = within_time_limit("an event of the OpenID provider", self.events.next_line()).await.unwrap();
            // The process also prints lines that are no events.
            if let Ok(event) = serde_json::from_str(&line.expect("the OpenID provider runs")) {
                return event;
            }
        }
    }

    /// The next event of that name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        loop {
            let event = self.next_event().await;
            if event["event"] == name {
                return event;
            }
        }
    }

    /// Logs in on the provider's pages (a name and any password, then consent), and returns the answer of the gateway's
    /// callback.
    pub(crate) async fn login(&self, browser: &Browser, name: &str, return_to: &str) -> Answer {
        let mut answer = browser.navigate(&format!("/auth/login/corp?return_to={return_to}")).await;
        for _ in 0..12 {
            if answer.status.is_redirection() {
                let is_callback = answer.location().contains("/auth/callback/");
                answer = browser.follow(&answer).await;
                if is_callback {
                    return answer;
                }
                continue;
            }
            let action = attribute(&answer.text(), "action").unwrap_or_else(|| panic!("no form: {answer}"));
            let prompt = if answer.text().contains(r#"value="login""#) { "login" } else { "consent" };
            let fields = [("prompt", prompt), ("login", name), ("password", "any")];
            answer = browser.visit(&action).with_method(Method::POST).form(&fields).await;
        }
        panic!("the provider's pages do not end: {answer}");
    }

    /// Follows the redirect of a logout and confirms the logout at the provider.
    pub(crate) async fn end_session(&self, browser: &Browser, answer: &Answer) {
        let page = browser.follow(answer).await.is(200).text();
        let action = attribute(&page, "action").expect("a form");
        let xsrf = page.split("name=\"xsrf\" value=\"").nth(1).expect("a token").split('"').next().unwrap().to_owned();
        let fields = [("xsrf", xsrf.as_str()), ("logout", "yes")];
        let back = browser.visit(&action).with_method(Method::POST).form(&fields).await;
        assert!(back.status.is_redirection(), "{back}");
    }
}

/// The first value of an attribute in a page.
pub(crate) fn attribute(page: &str, name: &str) -> Option<String> {
    let start = page.find(&format!("{name}=\""))? + name.len() + 2;
    let value = &page[start..];
    Some(value[..value.find('"')?].replace("&amp;", "&"))
}
