//! A message that the outbox received.

use serde::{Deserialize, Serialize};

/// A message to a phone or a mailbox.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// `sms` or `email`.
    pub channel: String,
    /// The phone number or e-mail address.
    pub to: String,
    /// The subject of an e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The text.
    pub text: String,
}

impl Message {
    /// The first run of six digits in the text.
    pub fn code(&self) -> Option<&str> {
        let digits = |c: char| c.is_ascii_digit();
        self.text.split(|c: char| !digits(c)).find(|run| run.len() == 6)
    }
}
