//! E-mail with a code: one message to one address, by the configured ways in their order.

use reqwest::Client;

use super::{Letter, Mail, Outbox, OutboxSettings, Undelivered};
use crate::{clock::Clock, secret::Random};

/// How e-mail goes, and what it says.
#[derive(Clone, Debug)]
pub struct MailSettings {
    /// The sender.
    pub from: String,
    /// What the message says.
    pub letter: Letter,
    /// The ways, in the order in which they are tried; at least one.
    pub ways: Vec<MailWay>,
}

/// One way.
#[derive(Clone, Debug)]
pub enum MailWay {
    /// Development.
    Outbox(OutboxSettings),
}

/// Mail servers cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("certificates of mail servers cannot be checked")]
pub struct MailSetupError;

/// Sends e-mail.
pub struct MailSender {
    letter: Letter,
    ways: Vec<Outbox>,
}

impl MailSender {
    /// The ways of `settings`; `http` is what an outbox posts with.
    pub fn new(settings: MailSettings, http: &Client, _clock: Clock, _random: Random) -> Result<Self, MailSetupError> {
        let ways = settings.ways.into_iter().map(|MailWay::Outbox(outbox)| Outbox::new(outbox, http.clone())).collect();
        Ok(Self { letter: settings.letter, ways })
    }

    /// What the messages say.
    pub fn letter(&self) -> &Letter {
        &self.letter
    }

    /// Sends `mail` by the first way that takes it.
    pub async fn send(&self, mail: &Mail) -> Result<(), Undelivered> {
        for way in &self.ways {
            if way.put("email", &mail.to, Some(&mail.subject), &mail.text).await.is_ok() {
                return Ok(());
            }
        }
        Err(Undelivered)
    }
}
