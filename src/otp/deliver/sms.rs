//! SMS: the configured providers in their order; the next takes over when one fails.

use super::{OutboxSettings, Sms, Undelivered};

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
pub struct SmsSender;

impl SmsSender {
    /// Sends `sms` by the first way that takes it.
    pub async fn send(&self, _sms: &Sms) -> Result<(), Undelivered> {
        Err(Undelivered)
    }
}
