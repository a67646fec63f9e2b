//! A mail server (npm smtp-server) as a process: `tests/e2e/smtp.mjs`.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::within_time_limit;

/// The running mail server; dropping it ends its process.
pub(crate) struct MailServer {
    port: u16,
    certificate: Vec<u8>,
    events: Lines<BufReader<ChildStdout>>,
    commands: ChildStdin,
    _process: Child,
}

impl MailServer {
    /// Starts the server with a certificate for `name`; `options` are described in the script.
    pub(crate) async fn start(name: &str, options: Value) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let mut process = Command::new("node")
            .arg("smtp.mjs")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e"))
            .env("CERT", made.cert.pem())
            .env("KEY", made.signing_key.serialize_pem())
            .env("OPTIONS", options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js runs: scripts/test installs what is missing");
        let events = BufReader::new(process.stdout.take().unwrap()).lines();
        let commands = process.stdin.take().unwrap();
        let certificate = made.cert.der().to_vec();
        let mut server = Self { port: 0, certificate, events, commands, _process: process };
        let listening = server.event("listening").await;
        server.port = u16::try_from(listening["port"].as_u64().unwrap()).unwrap();
        server
    }

    /// Its port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate, in DER.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    /// The next event.
    pub(crate) async fn next_event(&mut self) -> Value {
        let line = within_time_limit("an event of the mail server", self.events.next_line()).await.unwrap();
        let line = line.expect("the mail server runs; npm ci was run in tests/e2e: scripts/test does that");
        serde_json::from_str(&line).unwrap()
    }

    /// The next event of that name, and the names of those before it.
    pub(crate) async fn until(&mut self, name: &str) -> (Value, Vec<String>) {
        let mut before = Vec::new();
        loop {
            let event = self.next_event().await;
            let found = event["event"].as_str().unwrap().to_owned();
            if found == name {
                return (event, before);
            }
            before.push(found);
        }
    }

    /// The next event of that name.
    pub(crate) async fn event(&mut self, name: &str) -> Value {
        self.until(name).await.0
    }

    /// Sends a command of the script, and waits until it has taken effect.
    pub(crate) async fn command(&mut self, command: &str) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
        self.event(command).await;
    }
}
