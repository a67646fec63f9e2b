//! The outbox of development: messages are not sent but written to a file, or posted to a server of this machine.

use std::path::PathBuf;

use url::Url;

use super::Undelivered;

/// `[otp.X.outbox]`, validated.
#[derive(Clone, Debug)]
pub enum OutboxSettings {
    /// Appended to this file, one JSON object a line.
    File(PathBuf),
    /// Posted as JSON to this address on loopback.
    Url(Url),
}

/// Where messages end instead of at their addresses.
pub struct Outbox;

impl Outbox {
    /// An outbox of these settings.
    pub fn new(_settings: OutboxSettings, _http: reqwest::Client) -> Self {
        Self
    }

    /// Puts one message there.
    #[expect(clippy::unused_async, reason = "the outbox itself comes with e-mail")]
    pub async fn put(&self, _channel: &str, _to: &str, _subject: Option<&str>, _text: &str) -> Result<(), Undelivered> {
        Err(Undelivered)
    }
}
