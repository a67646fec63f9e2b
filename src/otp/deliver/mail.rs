//! E-mail by SMTP.

use super::{Mail, OutboxSettings, Undelivered};

/// How e-mail goes.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The sender: `Name <address>`.
    pub from: String,
    /// The ways, in the order in which they are tried; at least one.
    pub ways: Vec<MailWay>,
}

/// One way.
#[derive(Clone, Debug)]
pub enum MailWay {
    /// Development.
    Outbox(OutboxSettings),
}

/// Sends e-mail.
pub struct MailSender;

impl MailSender {
    /// Sends `mail` by the first way that takes it.
    pub async fn send(&self, _mail: &Mail) -> Result<(), Undelivered> {
        Err(Undelivered)
    }
}
