//! The outbox, for development: messages are written to a file or posted to a server on this machine, not sent.

use std::{io, path::PathBuf, time::Duration};

use http::{Method, StatusCode};
use serde::Serialize;
use tokio::{fs::OpenOptions, io::AsyncWriteExt as _};
use url::Url;

use super::{client::LARGEST_ANSWER, message::Undelivered};
use crate::{
    channel::Channel,
    outbound::{CallLimits, NoAnswer, Outbound, chain},
};

/// Deadline for a post to a server on this machine.
const DEADLINE: Duration = Duration::from_secs(5);

/// `[otp.X.outbox]`, validated.
#[derive(Clone, Debug)]
pub enum OutboxSettings {
    /// Appended to this file, one JSON object a line.
    File(PathBuf),
    /// Posted as JSON to this address on loopback.
    Url(Url),
}

/// Stores messages instead of sending them.
pub struct Outbox {
    settings: OutboxSettings,
    http: Outbound,
}

impl Outbox {
    /// An outbox with these settings; `http` is used with [`OutboxSettings::Url`].
    pub fn new(settings: OutboxSettings, http: Outbound) -> Self {
        Self { settings, http }
    }

    /// Stores a message; only an e-mail has a subject.
    pub async fn put(&self, channel: Channel, to: &str, subject: Option<&str>, text: &str) -> Result<(), Undelivered> {
        let message = OutboxMessage { channel, to, subject, text };
        let put = match &self.settings {
            OutboxSettings::File(path) => append(path, &message).await.map_err(OutboxError::File),
            OutboxSettings::Url(url) => self.post(url, &message).await,
        };
        put.map_err(|error| {
            tracing::warn!(channel = channel.as_str(), error = chain(&error), "otp: the outbox did not take a message");
            Undelivered
        })
    }

    async fn post(&self, url: &Url, message: &OutboxMessage<'_>) -> Result<(), OutboxError> {
        let request = self.http.request(Method::POST, url.clone()).json(message);
        let answer = self.http.send(request, CallLimits { deadline: DEADLINE, answer: LARGEST_ANSWER }).await?;
        if answer.status.is_success() { Ok(()) } else { Err(OutboxError::Status(answer.status)) }
    }
}

#[derive(Serialize)]
struct OutboxMessage<'m> {
    channel: Channel,
    to: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'m str>,
    text: &'m str,
}

#[derive(Debug, thiserror::Error)]
enum OutboxError {
    #[error("the file cannot be written")]
    File(#[source] io::Error),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error("the server answered with status {0}")]
    Status(StatusCode),
}

/// Appends a line in one write, so that lines of other writers cannot mix with it.
async fn append(path: &PathBuf, message: &OutboxMessage<'_>) -> io::Result<()> {
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

    use super::{super::http_client, *};
    use crate::scripted::{Reply, Server};

    #[tokio::test]
    async fn each_message_is_a_line_of_a_file_that_only_its_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("outbox.jsonl");
        let outbox = Outbox::new(OutboxSettings::File(path.clone()), http_client().unwrap());
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
    async fn a_server_on_this_machine_gets_each_message_as_json() {
        let server = Server::start(|seen| match seen.json()["to"].as_str() {
            Some("a@b.c") => Reply::text(204, "text/plain", ""),
            _ => Reply::text(500, "text/plain", "full"),
        })
        .await;
        let outbox = Outbox::new(OutboxSettings::Url(server.url("/messages")), http_client().unwrap());
        outbox.put(Channel::Email, "a@b.c", Some("제목"), "654321").await.unwrap();
        assert_eq!(outbox.put(Channel::Sms, "01012345678", None, "x").await, Err(Undelivered));
        let seen = server.seen();
        assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("POST", "/messages"));
        assert_eq!(seen[0].json(), json!({"channel": "email", "to": "a@b.c", "subject": "제목", "text": "654321"}));
    }

    #[tokio::test]
    async fn a_file_in_a_folder_that_does_not_exist_takes_no_message() {
        let outbox = Outbox::new(OutboxSettings::File("/nowhere/outbox.jsonl".into()), http_client().unwrap());
        assert_eq!(outbox.put(Channel::Sms, "01012345678", None, "x").await, Err(Undelivered));
    }
}
