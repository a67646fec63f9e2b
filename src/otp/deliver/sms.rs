//! SMS: the configured ways in their order; the next takes over when one fails.

use reqwest::Client;

use super::{Outbox, OutboxSettings, Sms, Undelivered};
use crate::{clock::Clock, secret::Random};

/// The ways that SMS go, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// At least one.
    pub ways: Vec<SmsWay>,
}

/// One way.
#[derive(Clone, Debug)]
pub enum SmsWay {
    /// Development.
    Outbox(OutboxSettings),
}

/// Sends SMS.
pub struct SmsSender(Vec<Outbox>);

impl SmsSender {
    /// Sends as `settings` say; `http` is one of [`super::http_client`].
    #[expect(clippy::needless_pass_by_value, reason = "a stand-in for the branch that has the senders")]
    pub fn new(settings: SmsSettings, http: Client, _clock: Clock, _random: Random) -> Self {
        Self(settings.ways.into_iter().map(|SmsWay::Outbox(outbox)| Outbox::new(outbox, http.clone())).collect())
    }

    /// Sends `sms` by the first way that takes it.
    pub async fn send(&self, sms: &Sms) -> Result<(), Undelivered> {
        for way in &self.0 {
            if way.put("sms", &sms.to, None, &sms.text).await.is_ok() {
                return Ok(());
            }
        }
        Err(Undelivered)
    }
}
