//! The outbox of development: messages are not sent but written to a file, or posted to a server of this machine.

use std::{io, path::PathBuf, time::Duration};

use reqwest::Client;
use serde::Serialize;
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _};
use url::Url;

use super::Undelivered;
use crate::channel::Channel;

/// A server of this machine that takes longer is not there.
const LIMIT: Duration = Duration::from_secs(5);

/// `[otp.X.outbox]`, validated.
#[derive(Clone, Debug)]
pub enum OutboxSettings {
    /// Appended to this file, one JSON object a line.
    File(PathBuf),
    /// Posted as JSON to this address on loopback.
    Url(Url),
}

/// Where messages end instead of at their addresses.
pub struct Outbox {
    settings: OutboxSettings,
    http: Client,
}

impl Outbox {
    /// The outbox of `settings`; `http` posts, where it is an address.
    pub fn new(settings: OutboxSettings, http: Client) -> Self {
        Self { settings, http }
    }

    /// Puts a message there; only an e-mail has a subject.
    pub async fn put(&self, channel: Channel, to: &str, subject: Option<&str>, text: &str) -> Result<(), Undelivered> {
        let message = Message { channel, to, subject, text };
        let put = match &self.settings {
            OutboxSettings::File(path) => append(path, &message).await.map_err(Trouble::File),
            OutboxSettings::Url(url) => self.post(url, &message).await,
        };
        put.map_err(|error| {
            tracing::warn!(channel = channel.as_str(), %error, "otp: the outbox did not take a message");
            Undelivered
        })
    }

    async fn post(&self, url: &Url, message: &Message<'_>) -> Result<(), Trouble> {
        let answer = self.http.post(url.clone()).timeout(LIMIT).json(message).send().await?;
        if answer.status().is_success() { Ok(()) } else { Err(Trouble::Status(answer.status().as_u16())) }
    }
}

#[derive(Serialize)]
struct Message<'m> {
    channel: Channel,
    to: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'m str>,
    text: &'m str,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("its file cannot be written: {0}")]
    File(#[source] io::Error),
    #[error("its server cannot be reached: {0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("its server answered {0}")]
    Status(u16),
}

/// One write for the whole line: whoever reads along, and other writers, see lines.
async fn append(path: &PathBuf, message: &Message<'_>) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path).await?;
    file.write_all(&line).await?;
    file.flush().await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use serde_json::json;

    use super::*;
    use crate::scripted::{Reply, Server};

    #[tokio::test]
    async fn each_message_is_a_line_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.jsonl");
        let outbox = Outbox::new(OutboxSettings::File(path.clone()), Client::new());
        outbox.put(Channel::Sms, "01012345678", None, "코드 123456\n끝").await.unwrap();
        outbox.put(Channel::Email, "a@b.c", Some("제목"), "654321").await.unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"channel\":\"sms\",\"to\":\"01012345678\",\"text\":\"코드 123456\\n끝\"}\n\
             {\"channel\":\"email\",\"to\":\"a@b.c\",\"subject\":\"제목\",\"text\":\"654321\"}\n"
        );
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_server_of_this_machine_gets_each_message_as_json() {
        let server = Server::start(|seen| match seen.json()["to"].as_str() {
            Some("a@b.c") => Reply::text(204, "text/plain", ""),
            _ => Reply::text(500, "text/plain", "full"),
        })
        .await;
        let outbox = Outbox::new(OutboxSettings::Url(server.url("/messages")), Client::new());
        outbox.put(Channel::Email, "a@b.c", Some("제목"), "654321").await.unwrap();
        assert_eq!(outbox.put(Channel::Sms, "01012345678", None, "x").await, Err(Undelivered));
        let seen = server.seen();
        assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/messages"));
        assert_eq!(seen[0].json(), json!({"channel": "email", "to": "a@b.c", "subject": "제목", "text": "654321"}));
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_takes_no_message() {
        let outbox = Outbox::new(OutboxSettings::File("/nowhere/outbox.jsonl".into()), Client::new());
        assert_eq!(outbox.put(Channel::Sms, "01012345678", None, "x").await, Err(Undelivered));
    }
}
