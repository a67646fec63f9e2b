//! SMS: the configured ways in their order; the next takes over when one fails.

use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::Client;
use tokio::time::{Instant, timeout};

use super::{
    Aligo, HttpApi, Outbox, OutboxSettings, Sens, Sms, Solapi, Twilio, Undelivered,
    breaker::Breaker,
    exchange::{Failure, Wire},
    said,
};
use crate::{call::chain, channel::Channel, clock::Clock, secret::Random};

/// The ways that SMS go, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct SmsSettings {
    /// At least one.
    pub ways: Vec<SmsWay>,
}

/// One way.
#[derive(Clone, Debug)]
pub enum SmsWay {
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
    /// Development.
    Outbox(OutboxSettings),
}

/// Sends SMS.
pub struct SmsSender {
    ways: Vec<Box<dyn Way>>,
    breaker: Breaker,
    wire: Wire,
}

/// For all ways together: whoever waits for a code is told within this.
const TOTAL: Duration = Duration::from_secs(10);

impl SmsSender {
    /// Sends as `settings` say; `http` is one of [`super::http_client`].
    pub fn new(settings: SmsSettings, http: Client, clock: Clock, random: Random) -> Self {
        let way = |way| -> Box<dyn Way> {
            match way {
                SmsWay::Aligo(aligo) => Box::new(aligo),
                SmsWay::Solapi(solapi) => Box::new(solapi),
                SmsWay::Sens(sens) => Box::new(sens),
                SmsWay::Twilio(twilio) => Box::new(twilio),
                SmsWay::Http(api) => api,
                SmsWay::Outbox(settings) => Box::new(Outbox::new(settings, http.clone())),
            }
        };
        let ways: Vec<_> = settings.ways.into_iter().map(way).collect();
        Self { breaker: Breaker::new(ways.len()), ways, wire: Wire { http, clock, random } }
    }

    /// Sends `sms` by the first way that takes it. One that was asked and gave no answer may have sent it too: a message twice is better than
    /// none.
    pub async fn send(&self, sms: &Sms) -> Result<(), Undelivered> {
        let deadline = Instant::now() + TOTAL;
        let mut left: Vec<_> = (0..self.ways.len()).filter(|way| self.ways[*way].takes(sms)).collect();
        if left.is_empty() {
            tracing::warn!(country = sms.country, "sms: no way takes numbers of this country");
        }
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() && !left.is_empty() {
                tracing::warn!("sms: no time left for the other ways");
                break;
            }
            let Some(index) = self.breaker.next(&mut left, self.wire.clock.now()) else { break };
            let way = &self.ways[index];
            let time = way.timeout().min(remaining);
            let Err(failure) = timeout(time, way.send(sms, &self.wire)).await.unwrap_or(Err(Failure::TooSlow)) else {
                self.breaker.worked(index);
                tracing::debug!(provider = way.name(), "sms: taken");
                return Ok(());
            };
            let last = self.breaker.failed(index, self.wire.clock.now());
            let error = said::for_log(&chain(&failure), sms);
            tracing::warn!(provider = way.name(), error, stands_last = last, "sms: not taken");
        }
        Err(Undelivered)
    }
}

/// A way that SMS go.
pub(super) trait Way: Send + Sync {
    /// Its name in `order` and in logs.
    fn name(&self) -> &'static str;

    /// How long one message may take.
    fn timeout(&self) -> Duration;

    /// Whether it is for this number at all.
    fn takes(&self, _sms: &Sms) -> bool {
        true
    }

    /// Hands `sms` over. The future may be dropped when its time is up.
    fn send<'a>(&'a self, sms: &'a Sms, wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>>;
}

impl Way for Outbox {
    fn name(&self) -> &'static str {
        "outbox"
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn send<'a>(&'a self, sms: &'a Sms, _wire: &'a Wire) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            self.put(Channel::Sms, &sms.to, None, &sms.text).await.map_err(|Undelivered| Failure::Outbox)
        })
    }
}

/// The calling code of Korea.
pub(super) const KOREA: u16 = 82;

impl Sms {
    /// The digits without a calling code: in Korea with the domestic zero.
    pub(super) fn national(&self) -> &str {
        if self.country == KOREA {
            return &self.to;
        }
        let code = self.country.to_string();
        let digits = self.to_e164.trim_start_matches('+');
        digits.strip_prefix(&code).unwrap_or(digits)
    }
}

#[cfg(test)]
mod tests;
