//! Sends SMS through the configured providers: in their order, until one accepts the message.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, timeout};

use super::{
    message::{Sms, Undelivered},
    outbox::{Outbox, OutboxSettings},
};
use crate::{
    channel::Channel,
    clock::Clock,
    outbound::{Outbound, chain},
    secret::Random,
};

pub(super) mod aligo;
pub(crate) mod euc_kr;
mod failover;
pub(super) mod hmac;
pub(super) mod http_api;
mod log_text;
mod provider;
pub(super) mod sens;
pub(super) mod solapi;
#[cfg(test)]
mod tests;
pub(super) mod twilio;

use aligo::Aligo;
use failover::Failover;
use http_api::HttpApi;
use provider::{NotAccepted, ProviderInfo, RequestDeps, SmsProvider};
use sens::Sens;
use solapi::Solapi;
use twilio::Twilio;

/// How SMS are sent.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// The providers, in the order in which they are tried; at least one.
    pub providers: Vec<SmsProviderSettings>,
}

/// A provider of SMS.
#[derive(Clone, Debug)]
pub enum SmsProviderSettings {
    /// Aligo; Korean numbers only.
    Aligo(Aligo),
    /// Solapi.
    Solapi(Solapi),
    /// NAVER Cloud SENS.
    Sens(Sens),
    /// Twilio.
    Twilio(Twilio),
    /// Any other HTTP API.
    Http(Box<HttpApi>),
    /// For development: stores messages instead of sending them.
    Outbox(OutboxSettings),
}

/// Sends SMS.
pub struct SmsSender {
    providers: Vec<Box<dyn SmsProvider>>,
    failover: Failover,
    deps: RequestDeps,
}

/// Deadline for all providers together: a person is waiting for the code.
const TOTAL: Duration = Duration::from_secs(10);

impl SmsSender {
    /// A sender with these settings; `http` comes from [`super::http_client`].
    pub fn new(settings: SmsSettings, http: Outbound, clock: Clock, random: Random) -> Self {
        let provider = |settings| -> Box<dyn SmsProvider> {
            match settings {
                SmsProviderSettings::Aligo(aligo) => Box::new(aligo),
                SmsProviderSettings::Solapi(solapi) => Box::new(solapi),
                SmsProviderSettings::Sens(sens) => Box::new(sens),
                SmsProviderSettings::Twilio(twilio) => Box::new(twilio),
                SmsProviderSettings::Http(api) => api,
                SmsProviderSettings::Outbox(settings) => Box::new(Outbox::new(settings, http.clone())),
            }
        };
        let providers: Vec<_> = settings.providers.into_iter().map(provider).collect();
        let failover = Failover::new(providers.len(), random.clone());
        Self { providers, failover, deps: RequestDeps { http, clock, random } }
    }

    /// Sends `sms` through the first provider that accepts it. A provider that timed out may have sent it as well: a
    /// message that arrives twice is better than none.
    pub async fn send(&self, sms: &Sms) -> Result<(), Undelivered> {
        let deadline = Instant::now() + TOTAL;
        let mut left: Vec<_> = (0..self.providers.len()).filter(|index| self.providers[*index].serves(sms)).collect();
        if left.is_empty() {
            tracing::warn!(country = sms.country, "sms: no provider serves numbers of this country");
        }
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() && !left.is_empty() {
                tracing::warn!("sms: no time left for the other providers");
                break;
            }
            let Some(index) = self.failover.next(&mut left, self.deps.clock.now()) else { break };
            let provider = &self.providers[index];
            let sent = timeout(provider.timeout().min(remaining), provider.send(sms, &self.deps)).await;
            let Err(reason) = sent.unwrap_or(Err(NotAccepted::TooSlow)) else {
                self.failover.succeeded(index);
                tracing::debug!(provider = provider.name(), "sms: taken");
                return Ok(());
            };
            let tried_last = self.failover.failed(index, self.deps.clock.now());
            let error = log_text::masked(&chain(&reason), sms);
            tracing::warn!(provider = provider.name(), error, tried_last, "sms: not taken");
        }
        Err(Undelivered)
    }
}

impl ProviderInfo for Outbox {
    fn name(&self) -> &'static str {
        "outbox"
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(5)
    }
}

impl SmsProvider for Outbox {
    fn send<'a>(&'a self, sms: &'a Sms, _: &'a RequestDeps) -> BoxFuture<'a, Result<(), NotAccepted>> {
        Box::pin(async {
            self.put(Channel::Sms, &sms.to, None, &sms.text).await.map_err(|Undelivered| NotAccepted::Outbox)
        })
    }
}
